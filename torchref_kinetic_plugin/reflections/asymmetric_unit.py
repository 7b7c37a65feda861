"""Reflection indices: one representative of each set of equivalents, and one integer for each reflection."""

from __future__ import annotations

import gemmi
import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.errors import InputError

Floats = NDArray[np.float64]
Indices = NDArray[np.int32]
Keys = NDArray[np.int64]
Flags = NDArray[np.bool_]

_BITS = 21
_HALF = 1 << (_BITS - 1)
_MASK = (1 << _BITS) - 1
#: The largest index that a key has room for.
LARGEST_INDEX = _HALF - 1


def to_asymmetric_unit(hkl: Indices, spacegroup: gemmi.SpaceGroup) -> Indices:
    """Equivalents (n, 3) in the CCP4 reciprocal asymmetric unit; Friedel mates become one."""
    mapped = np.array(hkl, dtype=np.int32, order="C").reshape(-1, 3)
    spacegroup.switch_to_asu(mapped)
    return mapped


def reflection_keys(hkl: Indices) -> Keys:
    """One integer (n,) per reflection, ordered as (h, k, l).

    Raises
    ------
    InputError
        For an index beyond +-1,048,575.
    """
    wide = np.asarray(hkl, dtype=np.int64).reshape(-1, 3)
    if wide.size and int(np.abs(wide).max()) > LARGEST_INDEX:
        raise InputError(f"a reflection index of {int(np.abs(wide).max()):,}; the file is damaged")
    h, k, l = (wide + _HALF).T  # noqa: E741
    return np.asarray((h << (2 * _BITS)) | (k << _BITS) | l)


def indices_of(keys: Keys) -> Indices:
    """Indices (n, 3) of keys (n,)."""
    parts = (keys >> (2 * _BITS), (keys >> _BITS) & _MASK, keys & _MASK)
    return np.ascontiguousarray((np.stack(parts, axis=1) - _HALF).astype(np.int32))


def resolution_of(cell: gemmi.UnitCell, hkl: Indices) -> Floats:
    """Spacings d (n,), A."""
    return np.asarray(cell.calculate_d_array(np.ascontiguousarray(hkl, dtype=np.int32)), dtype=np.float64)


def shown(hkl: NDArray[np.integer]) -> str:
    """One reflection for a message, e.g. ``"(1, -2, 3)"``."""
    return "(" + ", ".join(str(int(index)) for index in hkl) + ")"


def find_keys(sorted_keys: Keys, wanted: Keys) -> tuple[NDArray[np.intp], Flags]:
    """Where keys stand in a sorted list of unique ones.

    Returns
    -------
    tuple of ndarray
        Positions (n,), meaningful only where the second array (n,) is true.
    """
    if not len(sorted_keys):
        return np.zeros(len(wanted), dtype=np.intp), np.zeros(len(wanted), dtype=np.bool_)
    place = np.minimum(np.searchsorted(sorted_keys, wanted), len(sorted_keys) - 1)
    return place, np.asarray(sorted_keys[place] == wanted)


def uniform_from_keys(keys: Keys, seed: int, purpose: int) -> Floats:
    """Random numbers (n,) in [0, 1), each a function of its reflection, the seed and the purpose alone.

    So a draw depends neither on the order of the reflections nor on which others there are. The mixing
    function is the finalizer of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).

    Raises
    ------
    InputError
        For a seed below 0.
    """
    if seed < 0:
        raise InputError(f"seed = {seed!r}: a whole number from 0 up is wanted")
    # The seed goes through numpy's own mixing, which takes whole numbers of any size.
    word = np.random.SeedSequence([seed, purpose]).generate_state(1, np.uint64)
    mixed = _mixed(_mixed(keys.astype(np.uint64)) ^ word)
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(words ^ (words >> np.uint64(31)))
