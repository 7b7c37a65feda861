"""Whether refinement files name the same data: by content, not by name."""

from __future__ import annotations

import hashlib

import numpy as np

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.scheme import format_time
from torchref_kinetic_plugin.workflow.loaded import LoadedExperiment, LoadedRefinement


def require_same_data(first: LoadedRefinement, other: LoadedRefinement) -> None:
    """Refuse files whose likelihoods are of different data, and so cannot be compared.

    Raises
    ------
    InputError
        Naming the file and the first thing that differs: experiments, delays, datasets, reflections or free set.
    """
    where = f"{str(other.file.path)!r} and {str(first.file.path)!r} are not of the same data"
    if len(other.experiments) != len(first.experiments):
        raise InputError(f"{where}: {len(other.experiments)} and {len(first.experiments)} experiments")
    for ours, theirs in zip(other.experiments, first.experiments, strict=True):
        if (difference := _difference(ours, theirs)) is not None:
            raise InputError(f"{where}: {ours.settings.name}: {difference}")


def _difference(ours: LoadedExperiment, theirs: LoadedExperiment) -> str | None:
    if ours.n_references != theirs.n_references:
        return f"{ours.n_references} and {theirs.n_references} references"
    if len(ours.times) != len(theirs.times):
        return f"{len(ours.times)} and {len(theirs.times)} timepoints"
    for name, here, there in zip(ours.names[ours.n_references :], ours.times, theirs.times, strict=True):
        if here != there:
            return f"{name} has a delay of {format_time(here)} and {format_time(there)}"
    if _digest(ours.grid.hkl) != _digest(theirs.grid.hkl):
        return f"{len(ours.grid.hkl):,} and {len(theirs.grid.hkl):,} reflections, not the same ones; the same d_min?"
    for row, name in enumerate(ours.names):
        measured = [_digest(each.grid.intensity[row], each.grid.intensity_sigma[row]) for each in (ours, theirs)]
        if measured[0] != measured[1]:
            return f"what {name} measured differs"
    if _digest(ours.grid.free) != _digest(theirs.grid.free):
        return "the free set differs"
    return None


def _digest(*values: np.ndarray) -> str:
    """SHA-256 of the content of arrays."""
    digest = hashlib.sha256()
    for each in values:
        digest.update(np.ascontiguousarray(each).tobytes())
    return digest.hexdigest()
