"""One random stream for each purpose, so that changing one leaves the others as they were."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from torchref_kinetic_plugin.errors import ParameterError


class Purpose(IntEnum):
    """What random numbers are drawn for."""

    FREE_FLAGS = 1
    MODEL_ERROR = 2
    SCALING = 3
    MISSING = 4
    NOISE = 5


def random_stream(seed: int, purpose: Purpose, dataset: int = 0) -> np.random.Generator:
    """Give the generator of a purpose and a dataset.

    Parameters
    ----------
    seed : int
        Not negative.
    purpose : Purpose
        What the numbers are for.
    dataset : int
        Number of the dataset; each has its own stream, so that adding one leaves the others unchanged.

    Raises
    ------
    ParameterError
        For a negative seed.
    """
    if seed < 0:
        raise ParameterError(f"seed = {seed!r}: a whole number from 0 up is wanted")
    return np.random.default_rng([seed, int(purpose), dataset])
