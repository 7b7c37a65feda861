"""Where to compute the points of a profile: evenly in the root of its drop, and closer about the limit."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

#: Fall of the log-likelihood at the ends of a 95 % interval: half the 95 % quantile of chi-square with one degree.
DROP = 0.5 * 3.841458820694124
#: Falls at which points are wanted.
_DROPS = (0.3, 1.0, DROP, 3.0)
#: A point this near its goal, in standard errors, has reached it; and one this near the limit fixes it.
_NEAR_GOAL, _NEAR_LIMIT = 0.15, 0.03
#: How much further than the last point the next may lie at most, as a factor of the distance.
_LONGEST = 3.0
#: Distance in standard errors of a first point from which a second is tried nearer by.
_TOO_FAR = 4.0
_MOST_POINTS, _MOST_REFINED = 16, 10
#: Width of a bracket, in the coordinate, above which a profile between its ends may have any shape.
_WIDE = 2.0
#: Part of a step, in the coordinate, that must be made; what stays behind has reached the end of its range.
_LEAST_PROGRESS = 0.5


@final
@dataclass(frozen=True)
class TracedPoint:
    """A point of a profile.

    Attributes
    ----------
    distance : float
        From the best value, in the coordinate.
    drop : float
        Log-likelihood lost.
    value : float
        Of the parameter.
    converged : bool
        Whether the refit has.
    """

    distance: float
    drop: float
    value: float
    converged: bool = True

    @property
    def root(self) -> float:
        """Root of twice the drop: the distance in standard errors, were the likelihood normal."""
        return math.sqrt(max(2.0 * self.drop, 0.0))


def trace(refit: Callable[[float], TracedPoint], sign: float, error: float, furthest: float) -> list[TracedPoint]:
    """Points on one side of the best value.

    Parameters
    ----------
    refit : callable
        Gives the point at a signed distance.
    sign : float
        -1 or 1.
    error : float
        Distance at which the drop is expected to be 1/2.
    furthest : float
        Distance beyond which nobody looks.

    Returns
    -------
    list of TracedPoint
        Nearest first. The last lies at a drop of about 3, or where the search ended: at the end of the range, or too
        far away to matter.
    """
    goals = [math.sqrt(2.0 * drop) for drop in _DROPS]
    found = [TracedPoint(0.0, 0.0, math.nan)]
    too_far: list[TracedPoint] = []
    step = goals[0] * error
    while len(found) + len(too_far) <= _MOST_POINTS:
        asked = min(abs(found[-1].distance) + step, furthest)
        point = refit(sign * asked)
        made = (point.distance - found[-1].distance) * sign
        if made < _LEAST_PROGRESS * (asked - abs(found[-1].distance)):
            # The range ends here; what was reached still counts, if anything was.
            if made > 0.0:
                found.append(point)
            break
        if len(found) == 1 and point.root > _TOO_FAR:
            # The expected error was too large, as where a combination of parameters is not determined.
            too_far.append(point)
            step *= max(goals[0] / point.root, 1.0 / _TOO_FAR**2)
            continue
        found.append(point)
        left = [goal for goal in goals if goal > point.root + _NEAR_GOAL]
        if not left or asked >= furthest:
            break
        slope = (point.root - found[-2].root) / made
        longest = (_LONGEST - 1.0) * abs(point.distance)
        step = min((left[0] - point.root) / slope, longest) if slope > 0.0 else longest
    return _refined(refit, sorted([*found, *too_far], key=lambda each: abs(each.distance)))[1:]


def _refined(refit: Callable[[float], TracedPoint], points: list[TracedPoint]) -> list[TracedPoint]:
    """The points with others between them until one is close to the limit."""
    limit = math.sqrt(2.0 * DROP)
    for _ in range(_MOST_REFINED):
        bracket = _bracket(points)
        if bracket is None or min(abs(point.root - limit) for point in points) < _NEAR_LIMIT:
            break
        here, there = bracket
        wide = abs(there.distance - here.distance) > _WIDE
        fraction = 0.5 if wide else min(max((limit - here.root) / (there.root - here.root), 0.1), 0.9)
        point = refit(here.distance + fraction * (there.distance - here.distance))
        points = sorted([*points, point], key=lambda each: abs(each.distance))
    return points


def _bracket(points: Sequence[TracedPoint]) -> tuple[TracedPoint, TracedPoint] | None:
    """Neighbours of which the nearer has not fallen to the limit, and the further has; the first such pair."""
    for here, there in itertools.pairwise(points):
        if here.drop < DROP <= there.drop:
            return here, there
    return None


def limit_of(side: Sequence[TracedPoint]) -> float | None:
    """Signed distance at which the drop is 1.92, straight in its root between neighbours; None where it never is."""
    bracket = _bracket([TracedPoint(0.0, 0.0, math.nan), *side])
    if bracket is None:
        return None
    here, there = bracket
    fraction = (math.sqrt(2.0 * DROP) - here.root) / (there.root - here.root)
    return here.distance + fraction * (there.distance - here.distance)
