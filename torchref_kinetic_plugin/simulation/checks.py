"""What a caller may ask of a series, checked once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import gemmi
import numpy as np

from torchref_kinetic_plugin.errors import InputError, ParameterError, ShapeError
from torchref_kinetic_plugin.simulation.structure_factors import Reals

#: Rounding allowed when the occupancies of a dataset must sum to 1.
_SUM_TOLERANCE = 1e-6


def distinct_names(structures: Sequence[gemmi.Structure], names: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the structures, by default those inside their files; each once."""
    labels = tuple(structure.name for structure in structures) if names is None else tuple(names)
    if len(labels) != len(structures):
        raise ShapeError(f"{len(labels)} structure_names for {len(structures)} structures")
    if len(set(labels)) != len(labels) or not all(labels):
        raise InputError(f"structure names {labels} are not distinct; give structure_names")
    return labels


def checked_occupancies(occupancies: Reals, n_structures: int, n_datasets: int) -> Reals:
    """Occupancies (n_structures, n_datasets), each column a mixture."""
    weights = np.asarray(occupancies, dtype=np.float64)
    if weights.shape != (n_structures, n_datasets):
        raise ShapeError(
            f"occupancies have shape {weights.shape}; ({n_structures} structures, {n_datasets} datasets) is wanted"
        )
    if not (np.all(np.isfinite(weights)) and weights.min() >= -_SUM_TOLERANCE):
        raise ParameterError("occupancies must be finite numbers from 0 to 1")
    sums = weights.sum(axis=0)
    if not np.allclose(sums, 1.0, rtol=0.0, atol=_SUM_TOLERANCE):
        worst = int(np.argmax(np.abs(sums - 1.0)))
        raise ParameterError(f"the occupancies of dataset {worst + 1} sum to {sums[worst]:g}, not to 1")
    return weights


def check_datasets(names: Sequence[str], times: Sequence[float | None]) -> None:
    """Raise for names that are not distinct or delays that are not numbers."""
    if len(times) != len(names):
        raise ShapeError(f"{len(times)} times for {len(names)} datasets; a reference has None")
    if len(set(names)) != len(names):
        raise InputError(f"dataset names {tuple(names)} are not distinct; each is the stem of a file")
    for name, time in zip(names, times, strict=True):
        if time is not None and math.isnan(time):
            raise ParameterError(f"the delay of dataset {name!r} is not a number")


def missing_fractions(missing: float | Sequence[float], n_datasets: int) -> list[float]:
    """Fraction of missing reflections of each dataset."""
    fractions = [float(missing)] * n_datasets if isinstance(missing, int | float) else list(missing)
    if len(fractions) != n_datasets:
        raise ShapeError(f"{len(fractions)} missing fractions for {n_datasets} datasets")
    for fraction in fractions:
        if not 0.0 <= fraction < 1.0:
            raise ParameterError(f"missing = {fraction!r}: a fraction from 0 to below 1 is wanted")
    return fractions
