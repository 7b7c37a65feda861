"""One random stream for each purpose, so that changing one leaves the others as they were."""

from __future__ import annotations

import hashlib
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.errors import ParameterError

#: The odd number nearest to 2^64 over the golden ratio: steps of it spread over all bits.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Purpose(IntEnum):
    """What random numbers are drawn for."""

    FREE_FLAGS = 1
    MODEL_ERROR = 2
    SCALING = 3
    MISSING = 4
    NOISE = 5


def random_stream(seed: int, purpose: Purpose, dataset: int = 0, experiment: str = "") -> np.random.Generator:
    """Give the generator of a purpose and a dataset.

    Parameters
    ----------
    seed : int
        Not negative.
    purpose : Purpose
        What the numbers are for.
    dataset : int
        Number of the dataset; each has its own stream, so that adding one leaves the others unchanged.
    experiment : str
        Name of the experiment, where there are several; each has its own streams, whatever its place among them.

    Raises
    ------
    ParameterError
        For a negative seed.
    """
    return np.random.default_rng([*_key(seed, purpose), dataset, *_words(experiment)])


def uniform_of_indices(seed: int, purpose: Purpose, hkl: NDArray[np.int32]) -> NDArray[np.float64]:
    """Uniform random numbers (n,) in [0, 1) that follow from the Miller indices (n, 3) alone.

    Crystals of one form with cells a little different have lists of reflections that differ at their edge; a number
    drawn by the place in a list would then belong to other indices.

    Raises
    ------
    ParameterError
        For a negative seed.

    Notes
    -----
    The finalizer of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014, p. 453), once for each index.
    """
    start = np.random.SeedSequence(_key(seed, purpose)).generate_state(1, np.uint64)
    state = np.repeat(start, len(hkl))
    for column in hkl.astype(np.int64).T:
        state = _mixed(state + _GOLDEN * (column.astype(np.uint64) + np.uint64(1)))
    # The upper 53 bits, which a float holds exactly.
    return np.asarray((state >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ (state >> np.uint64(31)))


def _key(seed: int, purpose: Purpose) -> list[int]:
    if seed < 0:
        raise ParameterError(f"seed = {seed!r}: a whole number from 0 up is wanted")
    return [seed, int(purpose)]


def _words(experiment: str) -> list[int]:
    """A name as numbers for a seed; none for no name."""
    if not experiment:
        return []
    return list(hashlib.sha256(experiment.encode()).digest())
