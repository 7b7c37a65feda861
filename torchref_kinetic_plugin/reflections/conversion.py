"""Measured intensities to amplitudes, and measured amplitudes of Friedel mates to intensities."""

from __future__ import annotations

import gemmi
import numpy as np

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.reflections.asymmetric_unit import Flags, Floats, Indices, resolution_of
from torchref_kinetic_plugin.reflections.french_wilson import french_wilson
from torchref_kinetic_plugin.reflections.friedel_mates import mean_of_mates
from torchref_kinetic_plugin.reflections.from_amplitudes import from_amplitudes
from torchref_kinetic_plugin.reflections.mean_intensity import mean_intensity
from torchref_kinetic_plugin.reflections.reflection_table import ReflectionTable

_VERY_NEGATIVE = -4.0


def amplitudes_of(
    table: ReflectionTable,
    cell: gemmi.UnitCell,
    hkl: Indices,
    intensity: Floats,
    sigma: Floats,
    remarks: list[str],
) -> tuple[Floats, Floats]:
    """French-Wilson amplitudes and their sigmas, (n,) each; what is odd goes to the remarks.

    Raises
    ------
    InputError
        When the intensities have no signal.
    """
    epsilon, centric = symmetry_factors(table, hkl)
    try:
        mean = mean_intensity(intensity, epsilon, resolution_of(cell, hkl))
    except InputError as error:
        raise InputError(f"{table.where}: {error}") from None
    negative = int((intensity < 0.0).sum())
    remarks.append(f"{len(hkl):,} intensities ({negative:,} negative) converted to amplitudes by French & Wilson")
    if far := int((intensity < _VERY_NEGATIVE * sigma).sum()):
        remarks.append(f"{far:,} intensities are below {_VERY_NEGATIVE:g} sigma: are the sigmas right?")
    if mean.n_without_signal:
        remarks.append(f"{mean.n_without_signal:,} reflections lie in resolution shells without significant signal")
    return french_wilson(intensity, sigma, mean.values, centric)


def intensities_of_mates(
    table: ReflectionTable, cell: gemmi.UnitCell, hkl: Indices, values: Floats, sigmas: Floats, remarks: list[str]
) -> tuple[Floats, Floats]:
    """Weighted means of the mates' own intensities (n,): a mean of French-Wilson amplitudes is none itself."""
    seen = np.isfinite(values)
    rows = np.nonzero(seen)[1]
    epsilon, centric = symmetry_factors(table, hkl)
    made = from_amplitudes(
        values[seen], sigmas[seen], epsilon[rows], resolution_of(cell, hkl[rows]), np.asarray(centric[rows])
    )
    remarks.append(f"of Friedel mates: {made.text}")
    intensity, width = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    intensity[seen], width[seen] = made.intensity, made.sigma
    mean, error, _ = mean_of_mates(intensity, width, centric)
    return mean, error


def symmetry_factors(table: ReflectionTable, hkl: Indices) -> tuple[Floats, Flags]:
    """Multiplicity of the intensity without centring (n,), and which are centric (n,)."""
    operations = table.spacegroup.operations()
    epsilon = np.asarray(operations.epsilon_factor_without_centering_array(hkl), dtype=np.float64)
    return epsilon, np.asarray(operations.centric_flag_array(hkl), dtype=np.bool_)
