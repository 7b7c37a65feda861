"""Rate constants against reciprocal temperature, and occupancies against temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from torchref_kinetic_plugin.plotting.style import (
    PALE,
    add_side_panel,
    colour,
    draw_frame,
    draw_points,
    line,
    new_figure,
    plain,
)

Array = NDArray[np.float64]

#: h / k_B, K s.
_PLANCK_OVER_BOLTZMANN = 6.62607015e-34 / 1.380649e-23
#: Transitions that are told apart in one panel; with more, each has its own.
_MOST_TOGETHER = 3


@final
@dataclass(frozen=True, eq=False)
class RateLine:
    """The rate constants of one transition over temperature.

    Attributes
    ----------
    label : str
        The transition.
    temperatures, rates : ndarray
        (n,) of the points, K and per second (or the unit named).
    lower, upper : ndarray or None
        (n,) ends of their bars.
    line_temperatures, line : ndarray
        (m,) of the law; empty without one.
    band : tuple of ndarray, optional
        (m,) lower and upper end of the law's 95 % interval.
    """

    label: str
    temperatures: Array
    rates: Array
    lower: Array | None
    upper: Array | None
    line_temperatures: Array
    line: Array
    band: tuple[Array, Array] | None = None

    def __post_init__(self) -> None:
        points = {"rates": self.rates, "lower": self.lower, "upper": self.upper}
        for name, values in points.items():
            if values is not None and values.shape != self.temperatures.shape:
                raise ValueError(f"{name} has shape {values.shape}, not {self.temperatures.shape} = (points,)")
        for values in (self.line, *(self.band or ())):
            if values.shape != self.line_temperatures.shape:
                raise ValueError(f"the line has shape {values.shape}, not {self.line_temperatures.shape}")


def rate_law_figure(
    lines: Sequence[RateLine],
    *,
    eyring: bool,
    figsize: tuple[float, float] | None = None,
    title: str | None = None,
    unit: str = "1/s",
) -> Figure:
    """Draw ln k, or ln(k h / k_B T), against 1000/T, with the temperatures above.

    Parameters
    ----------
    lines : sequence of RateLine
        One for each transition, up to three in one panel.
    eyring : bool
        Whether k is divided by k_B T / h, which makes the lines of Eyring's law straight.
    figsize : tuple of float, optional
        By default 6.5 by 4.5 inches for a panel.
    title : str, optional
        Above all.
    unit : str
        Of the rates.

    Returns
    -------
    Figure
    """
    if not lines:
        raise ValueError("there is no transition to draw")
    panels = [list(lines)] if len(lines) <= _MOST_TOGETHER else [[each] for each in lines]
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    size = (6.5, 4.5) if len(panels) == 1 else (3.8 * columns + 0.6, 3.4 * rows + 0.6)
    figure = new_figure(figsize or size)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    quantity = r"$\ln(k\,h\,/\,k_{\mathrm{B}}T)$" if eyring else rf"$\ln k$ ($k$ in {plain(unit)})"
    for number, (axes, together) in enumerate(zip(grid, panels, strict=False)):
        for place, each in enumerate(together):
            _draw_line(axes, each, number + place, eyring=eyring)
        axes.set_xlabel("1000 / T  (1/K)")
        axes.set_ylabel(quantity if number % columns == 0 else "")
        axes.grid(color=PALE, linewidth=0.6)
        axes.set_axisbelow(True)
        _temperatures_above(axes, together)
        if len(panels) > 1:
            axes.set_title(plain(together[0].label), loc="left", fontsize="medium")
        else:
            axes.legend(frameon=False)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    if title:
        figure.suptitle(plain(title), fontsize="large")
    return figure


def _draw_line(axes: Axes, each: RateLine, number: int, *, eyring: bool) -> None:
    def height(rates: Array, temperatures: Array) -> Array:
        scale = _PLANCK_OVER_BOLTZMANN / temperatures if eyring else np.ones_like(temperatures)
        return np.asarray(np.log(rates * scale))

    x = 1e3 / each.line_temperatures
    if each.band is not None:
        low, high = (height(end, each.line_temperatures) for end in each.band)
        axes.fill_between(x, low, high, color=colour(number), alpha=0.18, linewidth=0.0)
    if x.size:
        style = line(number)
        axes.plot(x, height(each.line, each.line_temperatures), color=colour(number), linestyle=style, linewidth=1.8)
    y = height(each.rates, each.temperatures)
    places = 1e3 / each.temperatures
    if each.lower is not None and each.upper is not None:
        bars = np.stack([y - height(each.lower, each.temperatures), height(each.upper, each.temperatures) - y])
        axes.errorbar(places, y, yerr=bars, fmt="none", ecolor=colour(number), elinewidth=1.2, capsize=3.0)
    draw_points(axes, places, y, number, label=each.label, size=6.0)


def _temperatures_above(axes: Axes, lines: Sequence[RateLine]) -> None:
    """Mark the temperatures of the points, as many as have room, in K."""
    above = axes.secondary_xaxis("top")
    known = sorted({float(t) for each in lines for t in each.temperatures})
    every = [1e3 / t for t in known]
    room = 0.07 * max(abs(axes.get_xlim()[1] - axes.get_xlim()[0]), 1e-12)
    shown: list[int] = []
    for number, place in enumerate(every):
        if not shown or abs(place - every[shown[-1]]) > room:
            shown.append(number)
    above.set_xticks([every[number] for number in shown], [f"{known[number]:.4g}" for number in shown])
    above.set_xlabel("T  (K)")


def occupancy_temperature_figure(
    labels: Sequence[str],
    temperatures: Array,
    measured: Array,
    smooth: tuple[Array, Array] | None,
    *,
    figsize: tuple[float, float] | None = None,
    title: str | None = None,
    side_panel: Sequence[str] = (),
    ylabel: str = "occupancy",
) -> Figure:
    """Draw stationary occupancies against temperature.

    Parameters
    ----------
    labels : sequence of str
        Name of each curve.
    temperatures : ndarray
        (n,) of the experiments, K.
    measured : ndarray
        (n_curves, n) at these.
    smooth : tuple of ndarray, optional
        Temperatures (m,) and values (n_curves, m) of smooth curves.
    figsize, title, side_panel, ylabel
        As of `occupancy_figure`.
    """
    figure = new_figure(figsize or (8.0, 4.5))
    axes = figure.subplots()
    for number, label in enumerate(labels):
        if smooth is not None:
            axes.plot(smooth[0], smooth[1][number], color=colour(number), linestyle=line(number), linewidth=1.8)
        draw_points(axes, temperatures, measured[number], number, label=label)
    axes.set_ylim(-0.04, 1.04)
    axes.set_xlabel("temperature (K)")
    axes.set_ylabel(ylabel)
    draw_frame(axes)
    if title:
        figure.suptitle(plain(title), fontsize="large")
    add_side_panel(figure, axes, side_panel)
    return figure
