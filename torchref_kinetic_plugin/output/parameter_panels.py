"""Profile likelihoods and resamplings of parameters, one panel each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from torchref_kinetic_plugin.plotting.style import GREY, colour, draw_frame, new_figure, plain
from torchref_kinetic_plugin.results import SIGNED_KINDS, BootstrapEstimate, Profile

#: Loss of log-likelihood at the ends of a 95 % interval: half of chi-square's with one degree of freedom.
_DROP = 1.92
_COLUMNS = 3
#: Largest over smallest value from which an axis is logarithmic.
_DECADES = 5.0


def profile_figure(profiles: Sequence[Profile], titles: Sequence[str], units: Sequence[str]) -> Figure:
    """Draw what is lost of the log-likelihood against the value of each parameter; units as they are printed."""

    def draw(axes: Axes, number: int) -> None:
        profile = profiles[number]
        values = np.array([point.value for point in profile.points])
        drops = np.array([point.drop for point in profile.points])
        low = profile.lower if profile.lower is not None else float(values.min())
        high = profile.upper if profile.upper is not None else float(values.max())
        axes.axvspan(low, high, color=colour(0), alpha=0.12, linewidth=0.0)
        axes.axhline(_DROP, color=GREY, linewidth=0.8, linestyle=(0, (4, 2)))
        axes.plot(values, drops, color=colour(0), marker="o", markersize=3.5, linewidth=1.3)
        axes.axvline(profile.value, color=colour(0), linewidth=0.8)
        axes.set_ylim(-0.15, max(2.5 * _DROP, 0.15))
        _scale(axes, values, profile.kind)

    return _panels(draw, titles, units, "ln L lost")


def bootstrap_figure(estimates: Sequence[BootstrapEstimate], titles: Sequence[str], units: Sequence[str]) -> Figure:
    """Draw the values of each parameter from resampled data, its interval and the value of the data themselves."""

    def draw(axes: Axes, number: int) -> None:
        estimate = estimates[number]
        values = np.array([value for value in estimate.values if np.isfinite(value)])
        axes.axvspan(estimate.lower, estimate.upper, color=colour(2), alpha=0.12, linewidth=0.0)
        if values.size:
            axes.hist(values, bins=min(30, max(5, int(np.sqrt(values.size)) * 2)), color=colour(2), alpha=0.65)
        axes.axvline(estimate.value, color="#1f2430", linewidth=1.1)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))

    return _panels(draw, titles, units, "resamplings")


def _panels(draw: Callable[[Axes, int], None], titles: Sequence[str], units: Sequence[str], ylabel: str) -> Figure:
    columns = min(_COLUMNS, len(titles))
    rows = -(-len(titles) // columns)
    figure = new_figure((2.55 * columns + 0.3, 2.15 * rows + 0.15))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for number, (title, unit) in enumerate(zip(titles, units, strict=True)):
        axes = grid[number]
        draw(axes, number)
        axes.set_title(plain(title), loc="left")
        axes.set_xlabel(plain(unit))
        if axes.get_xscale() == "linear":
            axes.ticklabel_format(axis="x", scilimits=(-3, 4), useMathText=True)
            axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_ylabel(ylabel if number % columns == 0 else "")
        draw_frame(axes)
    for axes in grid[len(titles) :]:
        axes.set_visible(False)
    return figure


def _scale(axes: Axes, values: np.ndarray, kind: str) -> None:
    if kind not in SIGNED_KINDS and values.min() > 0.0 and values.max() > _DECADES * values.min():
        axes.set_xscale("log")
