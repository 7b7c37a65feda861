"""Occupancies against time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from torchref_kinetic_plugin.plotting.style import (
    GREY,
    add_side_panel,
    colour,
    draw_frame,
    draw_open_points,
    draw_points,
    line,
    marker,
    new_figure,
    plain,
)
from torchref_kinetic_plugin.plotting.time_axis import TimeAxis

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TimeCourses:
    """Curves of one experiment.

    Attributes
    ----------
    labels : sequence of str
        Name of each curve.
    delays : ndarray
        Measured delays after the trigger (n_timepoints,), any order, infinities allowed.
    measured : ndarray
        Values at the measured delays (n_curves, n_timepoints).
    axis : TimeAxis
        Where delays lie on paper.
    smooth : tuple of ndarray
        Values on `TimeAxis.dense`, (n_curves, n_points) for each unbroken part; empty to join the points.
    target : ndarray, optional
        Values to compare with, as ``measured``; NaN where there is none.
    target_errors : ndarray, optional
        Their standard errors; NaN where none is drawn.
    """

    labels: Sequence[str]
    delays: Array
    measured: Array
    axis: TimeAxis
    smooth: tuple[Array, ...] = ()
    target: Array | None = None
    target_errors: Array | None = None

    def __post_init__(self) -> None:
        shape = (len(self.labels), len(self.delays))
        for name, values in (
            ("measured", self.measured),
            ("target", self.target),
            ("target_errors", self.target_errors),
        ):
            if values is not None and values.shape != shape:
                raise ValueError(f"{name} has shape {values.shape}, not {shape} = (curves, delays)")
        for values, delays in zip(self.smooth, self.axis.dense(), strict=True) if self.smooth else ():
            if values.shape != (len(self.labels), len(delays)):
                raise ValueError(f"smooth has shape {values.shape}, not {(len(self.labels), len(delays))}")


def _draw_curves(axes: Axes, courses: TimeCourses) -> None:
    places = courses.axis.place(courses.delays)
    order = np.argsort(places, kind="stable")
    for number, label in enumerate(courses.labels):
        style = {"color": colour(number), "linestyle": line(number), "linewidth": 1.8}
        for delays, values in zip(courses.axis.dense(), courses.smooth, strict=True) if courses.smooth else ():
            axes.plot(courses.axis.place(delays), values[number], **style)  # type: ignore[arg-type]
        joined = "none" if courses.smooth else line(number)
        draw_points(axes, places[order], courses.measured[number][order], number, label=label, linestyle=joined)
        if courses.target is not None:
            draw_open_points(axes, places, courses.target[number], number)


def _draw_errors(axes: Axes, courses: TimeCourses) -> None:
    if courses.target is None or courses.target_errors is None:
        return
    places = courses.axis.place(courses.delays)
    for number in range(len(courses.labels)):
        errors = courses.target_errors[number]
        axes.errorbar(
            places, courses.target[number], yerr=errors, fmt="none", ecolor=colour(number), elinewidth=1.2, capsize=2.5
        )


def _finish(axes: Axes, courses: TimeCourses, time_unit: str | None, ylabel: str) -> None:
    courses.axis.draw(axes, time_unit)
    shown = [values[np.isfinite(values)] for values in (courses.measured, courses.target) if values is not None]
    low, high = min(0.0, *(v.min(initial=0.0) for v in shown)), max(1.0, *(v.max(initial=1.0) for v in shown))
    axes.set_ylim(low - 0.04, high + 0.04)
    axes.set_ylabel(ylabel)
    draw_frame(axes)


def occupancy_figure(
    rows: Sequence[tuple[str, TimeCourses]],
    *,
    figsize: tuple[float, float],
    title: str | None = None,
    time_unit: str | None = None,
    side_panel: Sequence[str] = (),
    ylabel: str = "occupancy",
) -> Figure:
    """Draw one experiment, or several one below the other.

    Parameters
    ----------
    rows : sequence of (str, TimeCourses)
        Name (shown where there are several) and curves of each experiment.
    figsize : tuple of float
        Width and height in inches.
    title : str, optional
        Above all.
    time_unit : str, optional
        Unit of the delays.
    side_panel : sequence of str
        Lines printed at the right, below the legend.
    ylabel : str
        Of every row.

    Returns
    -------
    Figure
    """
    figure = new_figure(figsize)
    grid = figure.subplots(len(rows), 1, squeeze=False)
    for axes, (name, courses) in zip(grid[:, 0], rows, strict=True):
        _draw_curves(axes, courses)
        _draw_errors(axes, courses)
        _finish(axes, courses, time_unit, ylabel)
        if len(rows) > 1:
            axes.set_title(plain(name), loc="left", fontsize="medium")
    if title:
        figure.suptitle(plain(title), fontsize="large")
    add_side_panel(figure, grid[0, 0], side_panel)
    return figure


def comparison_figure(
    courses: TimeCourses,
    *,
    figsize: tuple[float, float],
    title: str | None = None,
    time_unit: str | None = None,
) -> Figure:
    """Draw curves with the values they are compared with, and what is left between them.

    Parameters
    ----------
    courses : TimeCourses
        With its ``target``.
    figsize, title, time_unit
        As for `occupancy_figure`.
    """
    if courses.target is None:
        raise ValueError("a comparison needs a target")
    figure = new_figure(figsize)
    left, right = figure.subplots(1, 2)
    _draw_curves(left, courses)
    _finish(left, courses, time_unit, "occupancy")
    left.set_title("model (filled) and target (open)", loc="left", fontsize="medium")
    residuals = courses.target - courses.measured
    places = courses.axis.place(courses.delays)
    for number, label in enumerate(courses.labels):
        known = residuals[number][np.isfinite(residuals[number])]
        spread = f"{np.sqrt(np.mean(known**2)):.3f}" if known.size else "no target"
        right.vlines(places, 0.0, residuals[number], color=colour(number), linewidth=1.0, alpha=0.5)
        right.plot(
            places,
            residuals[number],
            color=colour(number),
            linestyle="none",
            marker=marker(number),
            label=f"{plain(label)}: r.m.s. {spread}",
        )
    courses.axis.draw(right, time_unit)
    right.axhline(0.0, color=GREY, linewidth=0.8)
    right.set_ylabel("target − model")
    right.set_title("residual", loc="left", fontsize="medium")
    right.spines[["top", "right"]].set_visible(False)
    widest = float(np.nanmax(np.abs(residuals), initial=0.0))
    right.set_ylim(-1.15 * max(widest, 1e-3), 1.15 * max(widest, 1e-3))
    if title:
        figure.suptitle(plain(title), fontsize="large")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure
