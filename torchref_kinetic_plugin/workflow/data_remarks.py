"""What is odd about the datasets of an experiment, though all of them can be used."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from torchref_kinetic_plugin.scheme import format_time
from torchref_kinetic_plugin.structures.report import counted, some_of

if TYPE_CHECKING:
    from torchref_kinetic_plugin.workflow.loaded import LoadedExperiment

#: Relative difference of the cells of model and data that is told.
_OTHER_CELL = 0.01
#: How much further than asked for, or than another dataset, a resolution limit is before it is told.
_COARSER = 1.05
_NUMBER = re.compile(r"[\d.,]*\d")


def data_remarks(experiment: LoadedExperiment, d_min: float | None, model_cell: tuple[float, ...] | None) -> list[str]:
    """One sentence each on delays, resolution and cell.

    Parameters
    ----------
    experiment : LoadedExperiment
        The datasets.
    d_min : float, optional
        The limit asked for, A.
    model_cell : tuple of float, optional
        Cell of the common structures, A and degrees, where the experiment takes them.
    """
    name = experiment.settings.name
    found = [*_repeated_delays(experiment), *_resolution(experiment, d_min)]
    if model_cell is not None:
        strain = float(np.abs(np.divide(experiment.grid.cell.parameters, model_cell) - 1.0).max())
        if strain > _OTHER_CELL:
            found.append(
                f"the cell of the models and that of the data differ by up to {100.0 * strain:.1f} %; the models are "
                "moved into it as rigid bodies"
            )
    return [f"{name}: {text}" for text in found]


def file_notes(experiment: LoadedExperiment) -> list[str]:
    """What was made of each file; what was made of several alike is told of the first."""
    found: dict[str, list[str]] = {}
    for name, observations in zip(experiment.names, experiment.observations, strict=True):
        for remark in observations.remarks:
            found.setdefault(_NUMBER.sub("", remark), []).append(f"{name}: {remark}")
    return [
        each[0] + (f" (and much the same of {counted(len(each) - 1, 'other dataset')})" if len(each) > 1 else "")
        for each in found.values()
    ]


def _repeated_delays(experiment: LoadedExperiment) -> list[str]:
    names: dict[float, list[str]] = {}
    for point, time in zip(experiment.settings.timepoints, experiment.times, strict=True):
        names.setdefault(time, []).append(point.name)
    return [
        f"{', '.join(each)} have one delay, {format_time(time)}; each counts as a measurement of its own"
        for time, each in names.items()
        if len(each) > 1
    ]


def _resolution(experiment: LoadedExperiment, d_min: float | None) -> list[str]:
    limits = [each.d_min for each in experiment.observations]
    finest = min(limits)
    found = []
    if d_min is not None and finest > _COARSER * d_min:
        found.append(f"d_min = {d_min:g} A is asked for, but the data end at {finest:.2f} A")
    coarser = [
        f"{name} ({limit:.2f} A)"
        for name, limit in zip(experiment.names, limits, strict=True)
        if limit > _COARSER * finest
    ]
    if coarser:
        found.append(f"datasets that end before the others, which reach {finest:.2f} A: {some_of(coarser)}")
    return found
