"""Parameters of a campaign's runs beside each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from torchref_kinetic_plugin.output.panels import labels_of, spans_decades
from torchref_kinetic_plugin.plotting.style import COLOURS, GREY, colour, draw_frame, marker, new_figure, plain
from torchref_kinetic_plugin.results import SIGNED_KINDS, BootstrapEstimate, CampaignResult, CampaignRun, Estimate

#: Panels in a row, at most.
_ACROSS = 3
#: Runs up to which each has its name beside it.
_NAMED = 60
#: Inches of a run in a panel, and of all of them, at most.
_HEIGHT, _HIGHEST = 0.21, 12.0
#: Characters of a name.
_LONGEST = 44


@final
@dataclass(frozen=True)
class ComparedParameter:
    """A parameter that some run refines: experiment, kind, name and unit as of `Estimate`."""

    experiment: str
    kind: str
    name: str
    unit: str

    def of(self, run: CampaignRun) -> Estimate | None:
        """The estimate of a run, if it has refined it."""
        return next((each for each in _refined(run) if _identity(each) == self), None)

    def spread_in(self, run: CampaignRun) -> BootstrapEstimate | None:
        """Its spread over the draws of a run, if there were any."""
        draws = () if run.outcome is None else run.outcome.draws
        return next((each for each in draws if _identity(each) == self), None)


def compared_parameters(result: CampaignResult) -> tuple[ComparedParameter, ...]:
    """Every parameter that a run refines, in the order in which they come up."""
    return tuple(dict.fromkeys(_identity(each) for run in result.runs for each in _refined(run)))


def campaign_figure(result: CampaignResult) -> Figure:
    """Draw each parameter in a panel: a line for each run, with its value, its 95 % interval and that of its draws.

    Colours are the values of `coloured_axis`.
    """
    runs = [run for run in result.runs if run.outcome is not None]
    parameters = compared_parameters(result)
    across = min(max(1, len(parameters)), _ACROSS)
    down = max(1, math.ceil(len(parameters) / across))
    named = len(runs) <= _NAMED
    height = min(_HIGHEST, _HEIGHT * len(runs)) + 0.75
    figure = new_figure((2.5 * across + (2.3 if named else 0.6), height * down + 0.35))
    grid = figure.subplots(down, across, squeeze=False, sharey=True).ravel()
    groups = _groups(result, runs)
    for axes, parameter, label in zip(grid, parameters, labels_of(parameters), strict=False):
        _panel(axes, parameter, runs, groups, named=named)
        axes.set_xlabel(plain(label))
    for axes in grid[len(parameters) :]:
        axes.set_visible(False)
    if len(groups) > 1:
        handles = [
            Line2D([], [], color=colour(number), marker=marker(number), linestyle="-", label=plain(_short(label)))
            for number, label in enumerate(groups)
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=min(3, len(handles)), frameon=False)
    return figure


def _panel(
    axes: Axes, parameter: ComparedParameter, runs: Sequence[CampaignRun], groups: dict[str, list[int]], *, named: bool
) -> None:
    values = []
    for place, run in enumerate(runs):
        estimate = parameter.of(run)
        if estimate is None:
            continue
        group = next(number for number, numbers in enumerate(groups.values()) if run.number in numbers)
        values.append(estimate.value)
        if (ends := _known(estimate.lower, estimate.upper)) is not None:
            axes.plot(ends, [place] * 2, color=colour(group), linewidth=1.4)
        spread = parameter.spread_in(run)
        if spread is not None and (ends := _known(spread.lower, spread.upper)) is not None:
            axes.plot(ends, [place + 0.28] * 2, color=GREY, linewidth=0.9, marker="|", markersize=3.5)
        axes.plot([estimate.value], [place], color=colour(group), marker=marker(group), markersize=4.5)
    if values and parameter.kind not in SIGNED_KINDS and spans_decades(np.array(values)):
        axes.set_xscale("log")
    else:
        axes.ticklabel_format(axis="x", scilimits=(-3, 4), useMathText=True)
        axes.locator_params(axis="x", nbins=4)
    axes.set_ylim(len(runs) - 0.4, -0.6)
    places = range(len(runs)) if named else []
    axes.set_yticks(list(places), [plain(f"{_short(runs[place].name)}  {runs[place].number}") for place in places])
    draw_frame(axes)


def coloured_axis(result: CampaignResult) -> str:
    """The first axis whose values the colours can tell apart; empty where there is none."""
    runs = [run for run in result.runs if run.outcome is not None]
    counts = ((axis, len({run.axes.get(axis) for run in runs})) for axis in result.axes)
    return next((axis for axis, count in counts if 1 < count <= len(COLOURS)), "")


def _groups(result: CampaignResult, runs: Sequence[CampaignRun]) -> dict[str, list[int]]:
    """Value of the coloured axis to the numbers of its runs."""
    found: dict[str, list[int]] = {}
    axis = coloured_axis(result)
    for run in runs:
        found.setdefault(run.axes.get(axis, "other"), []).append(run.number)
    return found


def _refined(run: CampaignRun) -> list[Estimate]:
    return [] if run.outcome is None else [each for each in run.outcome.parameters if each.refined]


def _identity(each: Estimate | BootstrapEstimate) -> ComparedParameter:
    return ComparedParameter(each.experiment, each.kind, each.name, each.unit)


def _known(lower: float | None, upper: float | None) -> tuple[float, float] | None:
    if lower is None or upper is None or not math.isfinite(upper - lower):
        return None
    return lower, upper


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
