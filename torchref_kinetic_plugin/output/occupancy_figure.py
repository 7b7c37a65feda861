"""Occupancies of a result against the delay, with their intervals; for providers without curves between delays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from torchref_kinetic_plugin.plotting import TimeAxis
from torchref_kinetic_plugin.plotting.style import colour, marker, new_figure, plain
from torchref_kinetic_plugin.results import RefinementResult


def occupancy_result_figure(result: RefinementResult, experiment: str) -> Figure:
    """Draw the occupancy of each structure at each delay of one experiment."""
    figure = new_figure((9.0, 5.0))
    axes = figure.subplots()
    rows = [each for each in result.occupancies if each.experiment == experiment]
    axis = TimeAxis.of(np.array([each.time_s for each in rows]), logarithmic=True)
    for number, structure in enumerate(result.structures):
        own = sorted((each for each in rows if each.structure == structure), key=lambda each: each.time_s)
        places = axis.place(np.array([each.time_s for each in own]))
        values = np.array([each.occupancy for each in own])
        half = [0.0 if each.upper is None else each.upper - each.occupancy for each in own]
        half = [value if np.isfinite(value) else 0.0 for value in half]
        axes.errorbar(
            places,
            values,
            yerr=half,
            color=colour(number),
            marker=marker(number),
            linewidth=1.0,
            capsize=2.5,
            label=plain(structure),
        )
        _draw_free(axes, result, experiment, structure, axis, {each.timepoint: each.time_s for each in own})
    axis.draw(axes, "s")
    axes.set_ylabel("occupancy (95 % interval)")
    axes.set_title(plain(f"{result.title}, {experiment}"))
    axes.legend(frameon=False)
    return figure


def _draw_free(
    axes: Axes, result: RefinementResult, experiment: str, structure: str, axis: TimeAxis, times: Mapping[str, float]
) -> None:
    """Occupancies of one structure without the provider, open, with their standard errors."""
    chosen = [
        each
        for each in result.validation.free_occupancies
        if (each.experiment, each.structure) == (experiment, structure)
    ]
    number = result.structures.index(structure)
    axes.errorbar(
        axis.place(np.array([times[each.timepoint] for each in chosen])),
        [each.occupancy for each in chosen],
        yerr=[each.std_error if np.isfinite(each.std_error) else 0.0 for each in chosen],
        color=colour(number),
        marker=marker(number),
        markersize=9,
        markerfacecolor="none",
        linestyle="none",
        capsize=2.5,
        label="free, standard errors" if chosen and number == 0 else None,
    )
