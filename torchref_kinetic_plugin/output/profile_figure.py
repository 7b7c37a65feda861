"""Profile likelihoods beside the parabolas of the covariance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.interpolate import PchipInterpolator

from torchref_kinetic_plugin.output.panels import panels, spans_decades
from torchref_kinetic_plugin.plotting.style import GREY, colour, plain
from torchref_kinetic_plugin.results import Estimate, Profile

#: Fall of the log-likelihood at the ends of a 95 % interval, and the largest that is drawn.
_LIMIT, _LARGEST = 1.920729, 4.5
#: Standard errors in half a 95 % interval.
_95 = 1.959964


def profile_figure(
    profiles: Sequence[Profile], by_curvature: Sequence[Estimate | None], labels: Sequence[str], title: str = ""
) -> Figure:
    """Draw the fall of the log-likelihood along each parameter, the parabola of the covariance, and both intervals.

    Parameters
    ----------
    profiles : sequence of Profile
        A panel for each.
    by_curvature : sequence of Estimate or None
        The same parameters by the covariance, where it is known.
    labels : sequence of str
        What each axis is called, with its unit.
    title : str
        Of the figure.
    """
    figure, axes = panels(len(profiles))
    for axis, found, estimate, label in zip(axes, profiles, by_curvature, labels, strict=True):
        _draw(axis, found, estimate)
        axis.set_xlabel(plain(label), fontsize=8)
    axes[0].legend(frameon=False, fontsize=8, loc="upper center")
    if title:
        figure.suptitle(plain(title))
    return figure


def _draw(axis: Axes, found: Profile, estimate: Estimate | None) -> None:
    shown = [point for point in found.points if point.drop <= _LARGEST]
    values = np.array([point.value for point in shown])
    logarithmic = spans_decades(values)
    if logarithmic:
        axis.set_xscale("log")
    _curve(axis, found, logarithmic=logarithmic)
    axis.plot(values, [point.drop for point in shown], marker="o", linestyle="none", markersize=4, color=colour(0))
    if estimate is not None:
        _parabola(axis, estimate, (values.min(), values.max()))
    axis.axhline(_LIMIT, color=GREY, linewidth=0.8, linestyle=":")
    for limit in (found.lower, found.upper):
        if limit is not None:
            axis.plot([limit, limit], [0.0, _LIMIT], color=colour(0), linewidth=0.8)
    if None in {found.lower, found.upper}:
        axis.text(0.5, 0.9, "no limit on one side", transform=axis.transAxes, ha="center", fontsize=8, color=colour(1))
    axis.set_ylim(-0.1, _LARGEST)
    axis.set_ylabel("fall of ln L", fontsize=8)


def _curve(axis: Axes, found: Profile, *, logarithmic: bool) -> None:
    """Through the points, straight where the likelihood is normal: in the signed root of the fall."""
    points = {math.log(p.value) if logarithmic else p.value: p for p in found.points}
    if len(points) < 3:
        return
    place = np.array(list(points))
    root = np.array([math.copysign(math.sqrt(max(2.0 * p.drop, 0.0)), p.value - found.value) for p in points.values()])
    fine = np.linspace(place[0], place[-1], 400)
    fall = 0.5 * PchipInterpolator(place, root)(fine) ** 2
    axis.plot(np.exp(fine) if logarithmic else fine, fall, color=colour(0), label="profile")


def _parabola(axis: Axes, estimate: Estimate, ends: tuple[float, float]) -> None:
    """What the covariance says, symmetric in the coordinate of its interval."""
    lower, upper = estimate.lower, estimate.upper
    if lower is None or upper is None or not (math.isfinite(upper - lower) and upper > lower):
        return
    fine = np.linspace(*ends, 400) if ends[0] <= 0.0 or ends[1] < 3.0 * ends[0] else np.geomspace(*ends, 400)
    value = estimate.value
    if estimate.kind in {"efficiency", "activation"}:
        inside = (fine > 0.0) & (fine < 1.0)
        fine = fine[inside]
        place, width = np.log(fine / (1.0 - fine)) - math.log(value / (1.0 - value)), _logit(upper) - _logit(lower)
    elif estimate.std_error_ln is not None and lower > 0.0:
        fine = fine[fine > 0.0]
        place, width = np.log(fine / value), math.log(upper / lower)
    else:
        place, width = fine - value, upper - lower
    axis.plot(fine, 0.5 * (2.0 * _95 * place / width) ** 2, color=colour(1), linestyle="--", label="covariance")


def _logit(value: float) -> float:
    return math.log(value / (1.0 - value)) if 0.0 < value < 1.0 else math.copysign(40.0, value - 0.5)
