"""Occupancies of a result with their bands, what a fit without a scheme finds, and the floor of the null test."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from torchref_kinetic_plugin.plotting import TimeAxis
from torchref_kinetic_plugin.plotting.style import GREY, colour, draw_frame, draw_points, line, marker, new_figure
from torchref_kinetic_plugin.results import OccupancyCurve, OccupancyEstimate, RefinementResult

#: Standard errors in half a 95 % interval.
_95 = 1.959963984540054


def occupancy_band_figure(
    result: RefinementResult, experiment: str, *, figsize: tuple[float, float] = (8.4, 4.1)
) -> Figure:
    """Draw the occupancy of each structure against the delay.

    Curves with bands where the provider has occupancies between the delays, else points with bars that are joined.
    """
    figure = new_figure(figsize)
    axes = figure.subplots()
    rows = [
        each
        for each in result.occupancies
        if each.experiment == experiment and not (math.isinf(each.time_s) and each.time_s < 0.0)
    ]
    axis = TimeAxis.of(np.array([each.time_s for each in rows]), logarithmic=True)
    if (floor := null_floor(result, experiment)) is not None:
        axes.axhspan(0.0, floor, color="#9aa3ad", alpha=0.35, linewidth=0.0, zorder=0)
    for number, structure in enumerate(result.structures):
        curves = [c for c in result.curves if c.experiment == experiment and c.structure == structure]
        for curve in curves:
            _draw_curve(axes, axis, curve, number)
        own = [each for each in rows if each.structure == structure]
        _draw_estimates(axes, axis, own, number, structure, joined=not curves)
        _draw_free(axes, axis, result, own, number)
    axis.draw(axes, "s")
    axes.set_xlabel("delay")
    axes.set_ylabel("occupancy")
    low = min((each.occupancy for each in result.validation.free_occupancies), default=0.0)
    axes.set_ylim(min(low, 0.0) - 0.035, 1.035)
    draw_frame(axes)
    handles, labels = axes.get_legend_handles_labels()
    if any(each.experiment == experiment for each in result.validation.free_occupancies):
        handles.append(
            Line2D([], [], color=GREY, marker="o", markerfacecolor="white", markersize=5.5, linestyle="none")
        )
        labels.append("fitted freely")
    if floor is not None:
        handles.append(Patch(color="#9aa3ad", alpha=0.35, linewidth=0.0))
        labels.append("null test")
    figure.legend(handles, labels, loc="outside upper center", ncols=6, frameon=False)
    return figure


def null_floor(result: RefinementResult, experiment: str) -> float | None:
    """What a null test cannot exclude as excited, the largest of an experiment's; None without a test."""
    tests = [each for each in result.validation.null_tests if each.experiment == experiment]
    ends = [max(each.excited, 0.0) + _95 * each.std_error for each in tests]
    known = [end for end in ends if math.isfinite(end)]
    return max(known) if known else None


def _draw_curve(axes: Axes, axis: TimeAxis, curve: OccupancyCurve, number: int) -> None:
    places = axis.place(np.array(curve.times_s))
    shown = (places >= axis.limits[0]) & (places <= axis.limits[1])
    if curve.lower and np.isfinite(curve.lower).all():
        low, high = np.array(curve.lower), np.array(curve.upper)
        axes.fill_between(places[shown], low[shown], high[shown], color=colour(number), alpha=0.22, linewidth=0.0)
    values = np.array(curve.occupancy)
    axes.plot(places[shown], values[shown], color=colour(number), linestyle=line(number), linewidth=1.5)


def _draw_estimates(
    axes: Axes, axis: TimeAxis, rows: list[OccupancyEstimate], number: int, structure: str, *, joined: bool
) -> None:
    rows = sorted(rows, key=lambda each: each.time_s)
    places = axis.place(np.array([each.time_s for each in rows]))
    values = np.array([each.occupancy for each in rows])
    half = np.array([0.0 if each.upper is None else each.upper - each.occupancy for each in rows])
    half = np.where(np.isfinite(half), half, 0.0)
    if half.any():
        axes.errorbar(places, values, yerr=half, fmt="none", ecolor=colour(number), elinewidth=1.0, capsize=2.0)
    draw_points(axes, places, values, number, label=structure, size=5.0, linestyle=":" if joined else "none")


def _draw_free(
    axes: Axes, axis: TimeAxis, result: RefinementResult, rows: list[OccupancyEstimate], number: int
) -> None:
    """Occupancies of a fit without a scheme, as open points a little to the right of the others."""
    times = {(each.experiment, each.timepoint, each.structure): each.time_s for each in rows}
    free = [
        each
        for each in result.validation.free_occupancies
        if (each.experiment, each.timepoint, each.structure) in times
    ]
    if not free:
        return
    delays = np.array([times[each.experiment, each.timepoint, each.structure] for each in free])
    half = np.array([_95 * each.std_error if math.isfinite(each.std_error) else 0.0 for each in free])
    places = axis.place(delays) + 0.012 * (axis.limits[1] - axis.limits[0])
    axes.errorbar(
        places,
        [each.occupancy for each in free],
        yerr=half,
        linestyle="none",
        marker=marker(number),
        markersize=5.5,
        markerfacecolor="white",
        color=colour(number),
        elinewidth=0.9,
        capsize=2.0,
    )
