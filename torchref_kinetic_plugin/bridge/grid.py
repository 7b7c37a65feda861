"""All datasets of an experiment on one list of reflections, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from torchref_kinetic_plugin.bridge.crystal import Crystal, Floats, Indices
from torchref_kinetic_plugin.errors import CrystalError, ShapeError

_HALF = 1 << 20  # room for indices of +-1,048,575 in one 63-bit key


@final
@dataclass(frozen=True)
class Observations:
    """Amplitudes of T datasets on H reflections; NaN where a dataset lacks one.

    Attributes
    ----------
    hkl : ndarray
        (H, 3) int32, unique, in the CCP4 asymmetric unit, sorted.
    amplitudes, sigmas : ndarray
        (T, H) float64; both NaN where missing.
    """

    hkl: Indices
    amplitudes: Floats
    sigmas: Floats

    @property
    def present(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """(T, H), which reflections each dataset has."""
        return np.isfinite(self.amplitudes)


def one_grid(
    datasets: Sequence[tuple[Indices, Floats, Floats]], crystal: Crystal, names: Sequence[str] | None = None
) -> Observations:
    """Put datasets on the union of their reflections.

    A reflection missing in one dataset is missing there and nowhere else.

    Parameters
    ----------
    datasets : sequence of (hkl, amplitudes, sigmas)
        (H_t, 3), (H_t,), (H_t,) each, merged; indices in any asymmetric unit. A value that is not finite, or
        has no positive sigma, is no observation.
    crystal : Crystal
        Cell and space group of all.
    names : sequence of str, optional
        What messages call them.

    Returns
    -------
    Observations
        In the order of the datasets.

    Raises
    ------
    ShapeError
        When arrays of a dataset differ in length.
    CrystalError
        When a dataset has a reflection twice, or none.
    """
    names = [f"dataset {i + 1}" for i in range(len(datasets))] if names is None else names
    keys = []
    for name, (hkl, amplitudes, sigmas) in zip(names, datasets, strict=True):
        if not len(hkl) == len(amplitudes) == len(sigmas):
            raise ShapeError(f"{name}: {len(hkl)} indices, {len(amplitudes)} amplitudes and {len(sigmas)} sigmas")
        if not len(hkl):
            raise CrystalError(f"{name} has no reflections")
        keys.append(reflection_keys(crystal.to_asu(hkl)))
    if not keys:
        raise CrystalError("no datasets")
    unique, place = np.unique(np.concatenate(keys), return_inverse=True)
    shape = (len(datasets), len(unique))
    values, errors = np.full(shape, np.nan), np.full(shape, np.nan)
    start = 0
    for row, (name, (hkl, amplitudes, sigmas)) in enumerate(zip(names, datasets, strict=True)):
        columns = place[start : start + len(hkl)]
        start += len(hkl)
        _refuse_repeats(name, hkl, columns)
        good = np.isfinite(amplitudes) & np.isfinite(sigmas) & (np.asarray(sigmas) > 0.0)
        values[row, columns] = np.where(good, amplitudes, np.nan)
        errors[row, columns] = np.where(good, sigmas, np.nan)
    return Observations(_indices(unique), values, errors)


def reflection_keys(hkl: Indices) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """One integer (H,) per reflection, ordered as (h, k, l)."""
    h, k, l = (np.asarray(hkl).astype(np.int64) + _HALF).T  # noqa: E741
    return np.asarray((h << 42) | (k << 21) | l)


def _indices(keys: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Indices:
    parts = (keys >> 42, (keys >> 21) & (2 * _HALF - 1), keys & (2 * _HALF - 1))
    return np.ascontiguousarray((np.stack(parts, axis=1) - _HALF).astype(np.int32))


def _refuse_repeats(name: str, hkl: Indices, columns: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> None:
    _, first, count = np.unique(columns, return_index=True, return_counts=True)
    if (count > 1).any():
        example = tuple(int(i) for i in np.asarray(hkl)[first[count > 1][0]])
        raise CrystalError(
            f"{name} has {int((count > 1).sum())} reflections more than once, e.g. {example} and an "
            "equivalent of it; merge equivalents and Friedel mates first"
        )
