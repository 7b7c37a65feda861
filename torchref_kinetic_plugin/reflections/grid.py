"""All datasets of an experiment on the union of their reflections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import gemmi
import numpy as np

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.reflections.asymmetric_unit import (
    Flags,
    Floats,
    Indices,
    indices_of,
    resolution_of,
)
from torchref_kinetic_plugin.reflections.free_set import FreeSet
from torchref_kinetic_plugin.reflections.observations import Observations
from torchref_kinetic_plugin.reflections.same_crystal import CellChange, check_same_crystal


@final
@dataclass(frozen=True, eq=False)
class Grid:
    """T datasets on H reflections; what one lacks is missing there and nowhere else.

    Attributes
    ----------
    cell : gemmi.UnitCell
        Of the first dataset, A and degrees.
    spacegroup : gemmi.SpaceGroup
        Of all.
    paths : tuple of str
        (T,), the files.
    hkl : ndarray
        (H, 3) int32, unique, in the asymmetric unit, sorted.
    amplitude, sigma : ndarray
        (T, H) float64; NaN where a dataset has no such reflection.
    intensity, intensity_sigma : ndarray
        (T, H) float64, the same measurements as intensities; NaN where the amplitude is.
    free, validation, centric : ndarray
        (H,) bool.
    epsilon : ndarray
        (H,), factor of the expected intensity for symmetry, without centring.
    resolution : ndarray
        (H,), d in A in the cell of the first dataset.
    cell_changes : tuple of CellChange
        (T,), each cell against that of the first dataset.
    """

    cell: gemmi.UnitCell
    spacegroup: gemmi.SpaceGroup
    paths: tuple[str, ...]
    hkl: Indices = field(repr=False)
    amplitude: Floats = field(repr=False)
    sigma: Floats = field(repr=False)
    intensity: Floats = field(repr=False)
    intensity_sigma: Floats = field(repr=False)
    free: Flags = field(repr=False)
    validation: Flags = field(repr=False)
    centric: Flags = field(repr=False)
    epsilon: Floats = field(repr=False)
    resolution: Floats = field(repr=False)
    cell_changes: tuple[CellChange, ...] = field(repr=False)

    @property
    def mask(self) -> Flags:
        """(T, H), which reflections each dataset has."""
        return np.asarray(np.isfinite(self.amplitude))


def merge_grid(observations: Sequence[Observations], free_set: FreeSet, *, tolerance: float = 0.01) -> Grid:
    """Put all datasets on one list of reflections, in one pass.

    Parameters
    ----------
    observations : sequence of Observations
        T datasets; they keep their order.
    free_set : FreeSet
        Of the experiment.
    tolerance : float
        Largest relative change of a length or an angle of the cell.

    Raises
    ------
    InputError
        For no datasets, another space group, or a cell beyond the tolerance.
    """
    if not observations:
        raise InputError("no datasets to merge")
    first = observations[0]
    if free_set.spacegroup.xhm() != first.spacegroup.xhm():
        raise InputError(
            f"the free set is in space group {free_set.spacegroup.xhm()}, {first.path!r} in {first.spacegroup.xhm()}"
        )
    changes = tuple(check_same_crystal(first, each, tolerance) for each in observations)
    keys, place = np.unique(np.concatenate([each.keys for each in observations]), return_inverse=True)
    rows = np.repeat(np.arange(len(observations)), [len(each) for each in observations])

    def spread(parts: Sequence[Floats]) -> Floats:
        values = np.full((len(observations), len(keys)), np.nan)
        values[rows, place] = np.concatenate(parts)
        return values

    hkl = indices_of(keys)
    free, validation = free_set.at(hkl)
    operations = first.spacegroup.operations()
    return Grid(
        cell=first.cell,
        spacegroup=first.spacegroup,
        paths=tuple(each.path for each in observations),
        hkl=hkl,
        amplitude=spread([each.amplitude for each in observations]),
        sigma=spread([each.sigma for each in observations]),
        intensity=spread([each.intensity for each in observations]),
        intensity_sigma=spread([each.intensity_sigma for each in observations]),
        free=free,
        validation=validation,
        centric=np.asarray(operations.centric_flag_array(hkl), dtype=np.bool_),
        epsilon=np.asarray(operations.epsilon_factor_without_centering_array(hkl), dtype=np.float64),
        resolution=resolution_of(first.cell, hkl),
        cell_changes=changes,
    )
