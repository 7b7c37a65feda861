"""Histograms of the bootstrap, and the waterfall of many starts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from torchref_kinetic_plugin.output.panels import labels_of, panels, spans_decades
from torchref_kinetic_plugin.plotting.style import GREY, colour, marker, new_figure, plain
from torchref_kinetic_plugin.results import BootstrapEstimate, Estimate, StartReport

#: Least objective above the best that the logarithmic axis of a waterfall shows.
_LEAST = 1e-4


def bootstrap_figure(
    estimates: Sequence[BootstrapEstimate],
    by_curvature: Sequence[Estimate | None],
    labels: Sequence[str],
    title: str = "",
) -> Figure:
    """Draw what each parameter was in the draws, the covariance's normal curve, and both 95 % intervals.

    Parameters
    ----------
    estimates : sequence of BootstrapEstimate
        A panel for each.
    by_curvature : sequence of Estimate or None
        The same parameters by the covariance, where it is known.
    labels : sequence of str
        What each axis is called, with its unit.
    title : str
        Of the figure.
    """
    figure, axes = panels(max(1, len(estimates)))
    for axis, found, estimate, label in zip(axes, estimates, by_curvature, labels, strict=False):
        _histogram(axis, found, estimate)
        axis.set_xlabel(plain(label), fontsize=8)
    if estimates:
        axes[0].legend(frameon=False, fontsize=7)
    if title:
        figure.suptitle(plain(title), fontsize=10)
    return figure


def _histogram(axis: Axes, found: BootstrapEstimate, estimate: Estimate | None) -> None:
    values = np.array([value for value in found.values if math.isfinite(value)])
    if values.size:
        axis.hist(values, bins=max(8, round(math.sqrt(len(values)))), density=True, color=colour(4), label="draws")
    error = None if estimate is None else estimate.std_error
    if values.size and error is not None and math.isfinite(error) and error > 0.0:
        low, high = min(values.min(), found.value - 3.0 * error), max(values.max(), found.value + 3.0 * error)
        fine = np.linspace(low, high, 300)
        density = np.exp(-0.5 * ((fine - found.value) / error) ** 2) / (error * math.sqrt(2.0 * math.pi))
        axis.plot(fine, density, color=colour(1), label="covariance")
    top = axis.get_ylim()[1]
    axis.set_ylim(0.0, 1.25 * top)
    for height, number, each in ((1.16, 0, found), (1.08, 1, estimate)):
        if each is None or each.lower is None or each.upper is None:
            continue
        if math.isfinite(each.upper - each.lower):
            axis.plot([each.lower, each.upper], [height * top] * 2, color=colour(number), marker="|", linewidth=1.5)
    axis.axvline(found.value, color=GREY, linewidth=0.8)
    axis.set_yticks([])


def waterfall_figure(report: StartReport) -> Figure:
    """Draw the objective that each start reached, best first, and the parameters there; a shape for each minimum."""
    count = len(report.parameters)
    figure = new_figure((7.0, 3.2 + 1.7 * count))
    axes = np.atleast_1d(figure.subplots(1 + count, 1, sharex=True, height_ratios=[1.6, *[1.0] * count]))
    best = report.outcomes[0].objective
    places = np.arange(1, len(report.outcomes) + 1)
    for number, outcomes in report.minima.items():
        own = np.array([each.minimum == number for each in report.outcomes])
        style = {"marker": marker(number - 1), "linestyle": "none", "color": colour(number - 1), "markersize": 5}
        label = f"minimum {number}: {len(outcomes)}"
        above = [each.objective - best + _LEAST for each in outcomes]
        axes[0].plot(places[own], above, label=label if number <= 6 else None, **style)
        for axis, place in zip(axes[1:], range(count), strict=True):
            axis.plot(places[own], [each.values[place] for each in outcomes], **style)
    axes[0].set_yscale("log")
    axes[0].set_ylabel("objective above the best", fontsize=8)
    axes[0].legend(frameon=False, fontsize=8)
    axes[0].set_title(plain(f"{report.title}: {len(report.outcomes)} starts"))
    for place, (axis, label) in enumerate(zip(axes[1:], labels_of(report.parameters), strict=True)):
        if spans_decades(np.array([outcome.values[place] for outcome in report.outcomes])):
            axis.set_yscale("log")
        axis.set_ylabel(plain(label).replace(" (", "\n("), fontsize=7)
    axes[-1].set_xlabel("starts, best first")
    return figure
