"""The observations of one dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import final

import gemmi
import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.errors import InputError, ShapeError
from torchref_kinetic_plugin.reflections.asymmetric_unit import (
    Flags,
    Floats,
    Indices,
    Keys,
    reflection_keys,
    resolution_of,
    shown,
    to_asymmetric_unit,
)
from torchref_kinetic_plugin.reflections.columns import Kind
from torchref_kinetic_plugin.reflections.free_flags import FreeFlags
from torchref_kinetic_plugin.reflections.from_amplitudes import from_amplitudes

#: Fewer reflections than this are no dataset.
FEWEST = 50
#: Measurements beyond this, or with a sigma below its inverse, are damage; their fourth powers still are numbers.
LARGEST = 1e30


@final
@dataclass(frozen=True, eq=False)
class Observations:
    """Amplitudes and intensities of one dataset; they never change.

    Both stand for the same measurements. A file has one of them, the other is made from it: amplitudes by
    `french_wilson`, intensities by its inverse (module `from_amplitudes`).

    Attributes
    ----------
    path : str
        File they came from.
    cell : gemmi.UnitCell
        A and degrees.
    spacegroup : gemmi.SpaceGroup
        In the setting of the cell.
    hkl : ndarray
        (n, 3) int32, unique, in the CCP4 reciprocal asymmetric unit, sorted.
    amplitude, sigma : ndarray
        (n,) float64, finite; sigma above zero.
    flags : FreeFlags or None
        Free flags of the file, also of reflections without an observation.
    columns : mapping
        From role (F, SIGF, I, SIGI, free) to the column used; two labels of Friedel mates stand with a comma.
    kind : {"amplitude", "intensity"}
        What the file holds; the other is made from it.
    wavelength : float or None
        A, when the file says it.
    remarks : tuple of str
        What was removed, converted, or found odd.
    intensity, intensity_sigma : ndarray
        (n,) float64, finite; sigma above zero. As measured, also below zero, in files of intensities. Made from the
        amplitudes when left out, which the remarks then say; so whoever changes the amplitudes has to give them, or
        leave them out.

    Raises
    ------
    ShapeError
        When arrays differ in length, or one of intensity and intensity_sigma is left out.
    InputError
        For values that are not finite, sigmas that are not above zero, or fewer than 50 reflections.
    """

    path: str
    cell: gemmi.UnitCell
    spacegroup: gemmi.SpaceGroup
    hkl: Indices = field(repr=False)
    amplitude: Floats = field(repr=False)
    sigma: Floats = field(repr=False)
    flags: FreeFlags | None
    columns: Mapping[str, str]
    kind: Kind
    wavelength: float | None
    remarks: tuple[str, ...]
    intensity: Floats = field(default_factory=lambda: np.empty(0), repr=False)
    intensity_sigma: Floats = field(default_factory=lambda: np.empty(0), repr=False)

    def __post_init__(self) -> None:
        count = len(self.hkl)
        arrays = ["amplitude", "sigma", "intensity", "intensity_sigma"]
        derived = np.size(self.intensity) == np.size(self.intensity_sigma) == 0
        if derived:
            arrays = arrays[:2]
        if np.shape(self.hkl) != (count, 3) or any(np.shape(getattr(self, name)) != (count,) for name in arrays):
            shapes = ", ".join(f"{name} {np.shape(getattr(self, name))}" for name in arrays)
            raise ShapeError(f"{self.path!r}: hkl {np.shape(self.hkl)}, {shapes} do not fit together")
        if count < FEWEST:
            raise InputError(f"{self.path!r} has {count} usable reflections; at least {FEWEST} are needed")
        for value, sigma in zip(arrays[::2], arrays[1::2], strict=True):
            errors = getattr(self, sigma)
            if not np.isfinite(getattr(self, value)).all() or not (np.isfinite(errors) & (errors > 0.0)).all():
                raise InputError(
                    f"{self.path!r}: {value} has to be finite, and {sigma} finite and above zero, for every reflection"
                )
        if max(np.max(np.abs(self.amplitude)), np.max(self.sigma), 1.0 / np.min(self.sigma)) > LARGEST:
            raise InputError(f"{self.path!r}: amplitudes or sigmas beyond {LARGEST:g}, or sigmas below its inverse")
        keys = reflection_keys(self.hkl)
        order = np.argsort(keys, kind="stable")
        if (repeats := np.flatnonzero(np.diff(keys[order]) == 0)).size:
            example = shown(self.hkl[order[repeats[0]]])
            raise InputError(f"{self.path!r} has {len(repeats):,} reflections more than once, e.g. {example}")
        self._keep("hkl", np.asarray(self.hkl, dtype=np.int32)[order])
        for name in arrays:
            self._keep(name, np.asarray(getattr(self, name), dtype=np.float64)[order])
        if derived:
            made = from_amplitudes(self.amplitude, self.sigma, self.epsilon, self.resolution, self.centric)
            self._keep("intensity", made.intensity)
            self._keep("intensity_sigma", made.sigma)
            object.__setattr__(self, "remarks", (*self.remarks, made.text))
        object.__setattr__(self, "columns", MappingProxyType(dict(self.columns)))

    def _keep(self, name: str, values: NDArray[np.generic]) -> None:
        values.flags.writeable = False
        object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return len(self.hkl)

    @property
    def name(self) -> str:
        """File name without its endings, as messages and tables call the dataset."""
        return Path(self.path).name.split(".")[0] or self.path

    @cached_property
    def keys(self) -> Keys:
        """One integer (n,) per reflection, rising."""
        return reflection_keys(self.hkl)

    @cached_property
    def resolution(self) -> Floats:
        """Spacing d (n,) of each reflection, A."""
        return resolution_of(self.cell, self.hkl)

    @property
    def d_min(self) -> float:
        """High-resolution limit, A."""
        return float(self.resolution.min())

    @property
    def d_max(self) -> float:
        """Low-resolution limit, A."""
        return float(self.resolution.max())

    @cached_property
    def free(self) -> NDArray[np.int8] | None:
        """(n,): 1 free, 0 work, -1 without a flag; None when the file has no free flags."""
        return None if self.flags is None else self.flags.at(self.keys)

    @cached_property
    def centric(self) -> Flags:
        """(n,) bool."""
        return np.asarray(self.spacegroup.operations().centric_flag_array(self.hkl), dtype=np.bool_)

    @cached_property
    def epsilon(self) -> Floats:
        """(n,), factor of the expected intensity for symmetry, without centring."""
        factors = self.spacegroup.operations().epsilon_factor_without_centering_array(self.hkl)
        return np.asarray(factors, dtype=np.float64)

    def within(self, d_min: float | None = None, d_max: float | None = None) -> Observations:
        """Only the reflections with d_min <= d <= d_max, A.

        Raises
        ------
        InputError
            For limits that are not above zero or exclude each other, or leave fewer than 50 reflections.
        """
        low, high = 0.0 if d_min is None else d_min, np.inf if d_max is None else d_max
        if (d_min is not None and not d_min > 0.0) or not high > low:
            raise InputError(f"d_min = {d_min!r} and d_max = {d_max!r}: 0 < d_min < d_max is wanted")
        kept = (self.resolution >= low) & (self.resolution <= high)
        if kept.all():
            return self
        if kept.sum() < FEWEST:
            raise InputError(
                f"{self.path!r} has {int(kept.sum())} reflections between {high:g} and {low:g} A (its own limits "
                f"are {self.d_max:.2f} and {self.d_min:.2f}); at least {FEWEST} are needed"
            )
        remark = f"{int((~kept).sum()):,} reflections outside {high:g} to {low:g} A left out"
        return self._chosen(kept, remark)

    def reindexed(self, operator: gemmi.Op) -> Observations:
        """The same observations with other indices: h' = h * rotation, and the cell that goes with them.

        Parameters
        ----------
        operator : gemmi.Op
            As `alternative_indexing` gives it.
        """
        flags = self.flags
        if flags is not None:
            keys = reflection_keys(self._images(flags.indices, operator))
            order = np.argsort(keys)
            flags = replace(flags, keys=keys[order], free=flags.free[order])
        parameters = np.round(changed_cell(self.cell, operator), 6)
        return replace(
            self,
            cell=gemmi.UnitCell(*parameters.tolist()),
            hkl=self._images(self.hkl, operator),
            flags=flags,
            remarks=(*self.remarks, f"reindexed as {operator.as_hkl().triplet()}"),
        )

    def images(self, operator: gemmi.Op) -> Keys:
        """Keys (n,) of the reflections after reindexing, in the present order."""
        return reflection_keys(self._images(self.hkl, operator))

    def _images(self, hkl: Indices, operator: gemmi.Op) -> Indices:
        return to_asymmetric_unit(transformed(hkl, operator), self.spacegroup)

    def _chosen(self, kept: Flags, remark: str) -> Observations:
        return replace(
            self,
            hkl=self.hkl[kept],
            amplitude=self.amplitude[kept],
            sigma=self.sigma[kept],
            intensity=self.intensity[kept],
            intensity_sigma=self.intensity_sigma[kept],
            remarks=(*self.remarks, remark),
        )


def transformed(hkl: Indices, operator: gemmi.Op) -> Indices:
    """Indices (n, 3) under an operator: h' = h * rotation, as ``gemmi.Op.apply_to_hkl``."""
    product = np.asarray(hkl, dtype=np.int64) @ np.array(operator.rot, dtype=np.int64)
    whole, rest = np.divmod(product, gemmi.Op.DEN)
    if rest.any():
        raise InputError(f"the operator {operator.triplet()} does not give whole indices")
    return np.ascontiguousarray(whole.astype(np.int32))


def changed_cell(cell: gemmi.UnitCell, operator: gemmi.Op) -> Floats:
    """Cell parameters (6,) after h' = h * rotation, so that each reflection keeps its spacing."""
    rotation = np.array(operator.rot, dtype=np.float64) / gemmi.Op.DEN
    inverse = np.linalg.inv(rotation)
    reciprocal = np.array(cell.reciprocal_metric_tensor().as_mat33().tolist())
    # h'^T G' h' = h^T G h for h' = R^T h.
    metric = np.linalg.inv(inverse @ reciprocal @ inverse.T)
    lengths = np.sqrt(np.diag(metric))
    cosines = [metric[1, 2] / (lengths[1] * lengths[2]), metric[0, 2] / (lengths[0] * lengths[2])]
    cosines.append(metric[0, 1] / (lengths[0] * lengths[1]))
    return np.concatenate([lengths, np.degrees(np.arccos(cosines))])
