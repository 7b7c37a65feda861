"""Map coefficients of one timepoint, from amplitudes on an absolute scale and the error of the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.special import i0e, i1e

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
Flags = NDArray[np.bool_]

#: Weight of how far a difference lies out, in `difference_weights`.
_OUTLIER = 0.05
#: Least excited fraction for which structure factors are extrapolated: below, their noise is multiplied by over 30.
LEAST_FRACTION = 0.03


@final
@dataclass(frozen=True, eq=False)
class MapData:
    """What map coefficients of a timepoint are made of; amplitudes in electrons.

    Attributes
    ----------
    hkl : ndarray
        (H, 3).
    cell, spacegroup : gemmi.UnitCell, gemmi.SpaceGroup
        Of the data.
    f_obs, sigma : ndarray
        (H,) of the timepoint; NaN where missing.
    f_obs_reference, sigma_reference : ndarray
        (H,) of the references' mean; NaN where missing.
    f_calc, f_calc_reference : ndarray
        (H,) complex, the model of the timepoint's mixture and of the state before the trigger.
    f_calc_excited : ndarray or None
        (H,) complex, of what the trigger made, at full occupancy; None when there is nothing.
    excited_fraction : float
        Its occupancy.
    error_variance : ndarray
        (H,), variance of the model's error, ``<|E|^2>``, electrons squared.
    centric, free : ndarray
        (H,) bool.
    """

    hkl: NDArray[np.int32]
    cell: gemmi.UnitCell
    spacegroup: gemmi.SpaceGroup
    f_obs: Floats = field(repr=False)
    sigma: Floats = field(repr=False)
    f_obs_reference: Floats = field(repr=False)
    sigma_reference: Floats = field(repr=False)
    f_calc: Complexes = field(repr=False)
    f_calc_reference: Complexes = field(repr=False)
    f_calc_excited: Complexes | None = field(repr=False)
    excited_fraction: float
    error_variance: Floats = field(repr=False)
    centric: Flags = field(repr=False)
    free: Flags = field(repr=False)


@final
@dataclass(frozen=True, eq=False)
class Coefficients:
    """Complex coefficients (H,) of a map; NaN where it has none."""

    values: Complexes

    @property
    def amplitude(self) -> Floats:
        """(H,)."""
        return np.abs(self.values)

    @property
    def phase(self) -> Floats:
        """(H,), degrees, in (-180, 180]."""
        return np.degrees(np.angle(self.values))


def figure_of_merit(f_obs: Floats, sigma: Floats, f_calc: Floats, variance: Floats, centric: Flags) -> Floats:
    """Expected cosine of the phase error (H,), NaN without an observation (Sim, Acta Cryst. 12, 813, 1959).

    With X = 2 F_obs F_calc / (variance + 2 sigma^2) it is I1(X) / I0(X) for acentric reflections, and for centric ones
    tanh of F_obs F_calc / (variance + sigma^2); the variance of the model's error and that of the amplitude add up as
    in Murshudov et al. (Acta Cryst. D67, 355, 2011).

    Parameters
    ----------
    f_obs, sigma, f_calc : ndarray
        (H,) amplitudes.
    variance : ndarray
        (H,), ``<|E|^2>``.
    centric : ndarray
        (H,) bool.
    """
    product = f_obs * f_calc
    x = 2.0 * product / (variance + 2.0 * sigma**2)
    acentric = i1e(x) / i0e(x)
    return np.asarray(np.where(centric, np.tanh(product / (variance + sigma**2)), acentric))


def difference_weights(difference: Floats, sigma: Floats) -> Floats:
    """Weights (H,) of differences, mean 1: 1 / (1 + s^2/<s^2> + 0.05 d^2/<d^2>); NaN where there is none.

    Weak where the error is large or the difference an outlier (Ursby & Bourgeois, Acta Cryst. A53, 564, 1997, in the
    form of Hekstra et al., Nature 540, 400, 2016).

    Parameters
    ----------
    difference, sigma : ndarray
        (H,) of F_obs(t) - F_obs(reference).
    """
    squares, variances = difference**2, sigma**2
    mean_square, mean_variance = float(np.nanmean(squares)), float(np.nanmean(variances))
    weights = 1.0 / (1.0 + variances / mean_variance + _OUTLIER * squares / max(mean_square, 1e-300))
    return np.asarray(weights / float(np.nanmean(weights)))


def model_maps(data: MapData) -> tuple[Coefficients, Coefficients, Floats]:
    """2mFo-DFc and mFo-DFc against the mixture, and m (H,).

    D is 1: the scale was fitted to the model. Reflections without an observation have the model's value in the first
    and nothing in the second; centric ones are mFo in the first (Read, Acta Cryst. A42, 140, 1986).
    """
    calculated = np.abs(data.f_calc)
    phase = _phases(data.f_calc)
    merit = figure_of_merit(data.f_obs, data.sigma, calculated, data.error_variance, data.centric)
    best = np.where(data.centric, merit * data.f_obs, 2.0 * merit * data.f_obs - calculated)
    best = np.where(np.isfinite(data.f_obs), best, calculated)
    return Coefficients(best * phase), Coefficients((merit * data.f_obs - calculated) * phase), merit


def difference_map(data: MapData) -> Coefficients:
    """Weighted F_obs(t) - F_obs(reference) on the phases of the reference."""
    difference = data.f_obs - data.f_obs_reference
    sigma = np.sqrt(data.sigma**2 + data.sigma_reference**2)
    return Coefficients(difference_weights(difference, sigma) * difference * _phases(data.f_calc_reference))


def extrapolated(data: MapData) -> tuple[Floats, Floats, Coefficients] | None:
    """Amplitudes of the excited structure alone, their sigmas, and a 2mFo-DFc map of them.

    The vector difference that the observed change of amplitude suggests, along the reference's phase, is scaled up by
    the excited fraction a and added to the reference: F_ext = | F_ref + w (F_obs - F_obs,ref) exp(i phi_ref) / a |.

    Returns
    -------
    tuple or None
        F_ext (H,), sigma (H,), coefficients; None where the excited fraction is below `LEAST_FRACTION`.
    """
    if data.f_calc_excited is None or data.excited_fraction < LEAST_FRACTION:
        return None
    difference = data.f_obs - data.f_obs_reference
    sigma = np.sqrt(data.sigma**2 + data.sigma_reference**2)
    weights = difference_weights(difference, sigma)
    amplitude = data.f_obs_reference + weights * difference / data.excited_fraction
    error = np.sqrt(data.sigma_reference**2 + (weights * sigma / data.excited_fraction) ** 2)
    calculated, phase = np.abs(data.f_calc_excited), _phases(data.f_calc_excited)
    merit = figure_of_merit(np.maximum(amplitude, 0.0), error, calculated, data.error_variance, data.centric)
    best = np.where(data.centric, merit * amplitude, 2.0 * merit * amplitude - calculated)
    return amplitude, error, Coefficients(best * phase)


def _phases(values: Complexes) -> Complexes:
    """exp(i phi) (H,)."""
    return np.asarray(np.exp(1j * np.angle(values)))
