"""A drawing of the kinetic scheme: states as nodes, transitions as arrows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch
from numpy.typing import NDArray

from torchref_kinetic_plugin.plotting.style import colour, new_figure, plain

Point = NDArray[np.float64]

_RADIUS = 0.3
_SPACING = 1.9
_MOST_COLUMNS = 6
_INCHES_PER_UNIT = 1.15


@dataclass(frozen=True)
class DrawnTransition:
    """One arrow.

    Attributes
    ----------
    source, target : str
        Names of the states.
    label : str
        Text beside the arrow, e.g. its time constant and efficiency; may have several lines.
    """

    source: str
    target: str
    label: str


def scheme_figure(
    states: Sequence[str],
    transitions: Sequence[DrawnTransition],
    *,
    initial: str,
    title: str | None = None,
) -> Figure:
    """Draw a scheme.

    Closed cycles of three or more states stand on a circle; all else in columns by the distance from the
    initial state. States that take no part stand below.

    Parameters
    ----------
    states : sequence of str
        Names, in the order of the scheme.
    transitions : sequence of DrawnTransition
        The arrows.
    initial : str
        State that is drawn filled.
    title : str, optional
        Above the drawing.

    Returns
    -------
    Figure
    """
    edges = {(t.source, t.target) for t in transitions}
    places = _layout(states, edges, initial)
    xs, ys = np.array(list(places.values())).T
    low = np.array([xs.min() - 1.0, ys.min() - 1.1])
    high = np.array([xs.max() + 1.0, ys.max() + 1.1])
    size = np.maximum((high - low) * _INCHES_PER_UNIT, 2.5)
    figure = new_figure((float(size[0]), float(size[1]) + (0.4 if title else 0.0)))
    axes = figure.subplots()
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    axes.set_axis_off()
    for transition in transitions:
        start, end = places[transition.source], places[transition.target]
        bend = _bend(transition, places, edges)
        axes.add_patch(
            FancyArrowPatch(
                tuple(start),
                tuple(end),
                connectionstyle=f"arc3,rad={bend}",
                arrowstyle="-|>,head_length=7,head_width=3.5",
                shrinkA=_points(_RADIUS),
                shrinkB=_points(_RADIUS),
                color="#333333",
                linewidth=1.4,
            )
        )
        way = end - start
        # The middle of arc3, a quadratic curve whose control point lies `bend` lengths beside the way.
        spot = (start + end) / 2.0 + 0.5 * bend * np.array([way[1], -way[0]])
        axes.text(
            spot[0],
            spot[1],
            plain(transition.label),
            ha="center",
            va="center",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
            zorder=4,
        )
    for state, place in places.items():
        first = state == initial
        axes.add_patch(
            Circle(
                tuple(place),
                _RADIUS,
                facecolor=colour(0) if first else "white",
                edgecolor=colour(0),
                linewidth=1.8,
                zorder=5,
            )
        )
        axes.text(
            place[0],
            place[1],
            plain(state),
            ha="center",
            va="center",
            zorder=6,
            color="white" if first else "black",
            fontsize=12 if len(state) <= 3 else 8 if len(state) <= 7 else 6,
            fontweight="bold",
        )
    if title:
        axes.set_title(plain(title))
    return figure


def _points(length: float) -> float:
    """Length in the drawing's units as points, less the stroke."""
    return 72.0 * _INCHES_PER_UNIT * length - 2.0


def _layout(states: Sequence[str], edges: set[tuple[str, str]], initial: str) -> dict[str, Point]:
    active = [state for state in states if any(state in edge for edge in edges)] or [initial]
    alone = [state for state in states if state not in active]
    cycle = _largest_cycle(active, edges)
    places = _circle(active, cycle, edges) if len(cycle) >= 3 else _columns(active, edges, initial)
    floor = min(place[1] for place in places.values())
    left = min(place[0] for place in places.values())
    for number, state in enumerate(alone):
        places[state] = np.array([left + number * _SPACING, floor - 1.3])
    return places


def _reachable(start: str, edges: set[tuple[str, str]]) -> set[str]:
    found, new = {start}, {start}
    while new:
        new = {target for source, target in edges if source in new} - found
        found |= new
    return found


def _largest_cycle(states: Sequence[str], edges: set[tuple[str, str]]) -> list[str]:
    """States of the largest set that reach each other by more than reversible pairs."""
    reach = {state: _reachable(state, edges) for state in states}
    groups = [[b for b in states if b in reach[a] and a in reach[b]] for a in states]
    largest = max(groups, key=len)
    pairs = {frozenset(edge) for edge in edges if edge[0] in largest and edge[1] in largest}
    # As many links as states close a ring; one fewer is a line of reversible pairs.
    return largest if len(pairs) >= len(largest) else []


def _circle(states: Sequence[str], cycle: Sequence[str], edges: set[tuple[str, str]]) -> dict[str, Point]:
    radius = max(1.25, len(cycle) * _SPACING / (2.0 * math.pi) * 1.1)
    places = {}
    for number, state in enumerate(cycle):
        angle = math.pi - 2.0 * math.pi * number / len(cycle)
        places[state] = radius * np.array([math.cos(angle), math.sin(angle)])
    outside = [state for state in states if state not in places]
    while outside:
        # Each joins beyond a neighbour that is placed, outwards.
        state = next((s for s in outside if _neighbours(s, edges) & set(places)), outside[0])
        near = next(iter(sorted(_neighbours(state, edges) & set(places))))
        direction = places[near] / max(float(np.linalg.norm(places[near])), 1e-9)
        place = places[near] + _SPACING * direction
        turn = 0
        while any(np.linalg.norm(place - other) < 1.2 for other in places.values()):
            turn += 1
            angle = 0.7 * (-1) ** turn * ((turn + 1) // 2)
            turned = np.array(
                [
                    direction[0] * math.cos(angle) - direction[1] * math.sin(angle),
                    direction[0] * math.sin(angle) + direction[1] * math.cos(angle),
                ]
            )
            place = places[near] + (_SPACING + 0.25 * turn) * turned
        places[state] = place
        outside.remove(state)
    return places


def _neighbours(state: str, edges: set[tuple[str, str]]) -> set[str]:
    return {b if a == state else a for a, b in edges if state in (a, b)}


def _columns(states: Sequence[str], edges: set[tuple[str, str]], initial: str) -> dict[str, Point]:
    depth = {initial: 0}
    frontier = [initial]
    while frontier:
        found = [b for a in frontier for x, b in sorted(edges) if x == a and b not in depth]
        depth.update(dict.fromkeys(found, depth[frontier[0]] + 1))
        frontier = list(dict.fromkeys(found))
    for state in states:
        depth.setdefault(state, 0)
    places = {}
    if len(set(depth.values())) == len(states) > _MOST_COLUMNS:
        # A long line is folded, every other row running backwards.
        for number, state in enumerate(sorted(states, key=depth.__getitem__)):
            row, column = divmod(number, _MOST_COLUMNS)
            column = column if row % 2 == 0 else _MOST_COLUMNS - 1 - column
            places[state] = np.array([column * _SPACING, -row * _SPACING])
        return places
    for column in sorted(set(depth.values())):
        members = [state for state in states if depth[state] == column]
        for number, state in enumerate(members):
            places[state] = np.array([column * _SPACING, ((len(members) - 1) / 2.0 - number) * _SPACING])
    return places


def _bend(transition: DrawnTransition, places: dict[str, Point], edges: set[tuple[str, str]]) -> float:
    """Bend of an arrow: apart from its reverse, and around states that lie on the straight way."""
    start, end = places[transition.source], places[transition.target]
    way = end - start
    if (transition.target, transition.source) in edges:
        return 0.3
    length = float(np.linalg.norm(way))
    for place in places.values():
        along = float((place - start) @ way) / length**2
        if 0.05 < along < 0.95 and np.linalg.norm(start + along * way - place) < 1.3 * _RADIUS:
            # Backward arrows pass below, forward ones above.
            return 0.45 if way[0] < 0.0 else -0.45
    return 0.0
