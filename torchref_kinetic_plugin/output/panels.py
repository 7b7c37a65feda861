"""Figures with one panel for each parameter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from torchref_kinetic_plugin.plotting.style import new_figure

#: Panels in a row, at most.
_ACROSS = 3
#: Ratio of the largest to the smallest value from which an axis is logarithmic.
_WIDE = 8.0


def panels(count: int) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, in rows of three."""
    across = min(count, _ACROSS)
    down = math.ceil(count / across)
    figure = new_figure((3.4 * across + 0.4, 2.9 * down + 0.4))
    grid = figure.subplots(down, across, squeeze=False).ravel()
    for axis in grid[count:]:
        axis.set_visible(False)
    for axis in grid[:count]:
        axis.tick_params(labelsize=8)
        axis.locator_params(axis="x", nbins=5)
    return figure, list(grid[:count])


def spans_decades(values: NDArray[np.float64]) -> bool:
    """Whether positive values lie so far apart that an axis should be logarithmic."""
    return bool((values > 0.0).all() and values.max() > _WIDE * values.min())


class NamedParameter(Protocol):
    """Whatever belongs to one parameter."""

    @property
    def experiment(self) -> str:
        """Whose it is."""

    @property
    def kind(self) -> str:
        """As of `results.Estimate`."""

    @property
    def name(self) -> str:
        """A transition, or the parameter's own."""

    @property
    def unit(self) -> str:
        """Of its value."""


def labels_of(rows: Sequence[NamedParameter]) -> list[str]:
    """What the axes of parameters are called."""
    several = len({each.experiment for each in rows}) > 1
    return [
        (f"{each.experiment}: " if several else "")
        + f"{each.kind.replace('_', ' ')} {each.name}"
        + (f" ({each.unit})" if each.unit else "")
        for each in rows
    ]
