"""The data table: what each dataset is worth by itself and against the first reference."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from torchref_kinetic_plugin.reflections import Observations, RelativeScale, Spread, completeness, spread_against_sigma
from torchref_kinetic_plugin.results import DatasetSummary
from torchref_kinetic_plugin.workflow.loaded import LoadedExperiment


def spreads_of(experiment: LoadedExperiment) -> list[Spread]:
    """Differences of all datasets but the first, against the first, over their sigmas."""
    first, *others = experiment.observations
    return [spread_against_sigma(first, each) for each in others]


def summaries_of(experiment: LoadedExperiment, spreads: Sequence[Spread]) -> list[DatasetSummary]:
    """The datasets of an experiment, references first; ``spreads`` as of `spreads_of`."""
    first = experiment.observations[0]
    times: list[float | None] = [None] * experiment.n_references
    times += list(experiment.times)
    against: list[Spread | None] = [None, *spreads]
    rows = []
    for name, time, each, spread in zip(experiment.names, times, experiment.observations, against, strict=True):
        rows.append(
            DatasetSummary(
                experiment.settings.name,
                name,
                each.path,
                time,
                len(each),
                each.d_max,
                each.d_min,
                completeness(each).overall.completeness,
                None if spread is None else r_between(first, each, spread.scale),
                None if spread is None else spread.overall,
                tuple(each.remarks),
            )
        )
    return rows


def r_between(reference: Observations, other: Observations, scale: RelativeScale) -> float:
    """R of a dataset, scaled, against a reference on their common reflections."""
    _, mine, theirs = np.intersect1d(reference.keys, other.keys, assume_unique=True, return_indices=True)
    target = reference.amplitude[mine]
    scaled = scale.factors(reference.resolution[mine]) * other.amplitude[theirs]
    total = float(target.sum())
    return float(np.abs(target - scaled).sum()) / total if total else math.nan
