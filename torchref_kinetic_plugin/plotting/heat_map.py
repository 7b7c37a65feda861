"""A table of numbers as coloured cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from torchref_kinetic_plugin.plotting.style import new_figure, plain

Array = NDArray[np.float64]

_DIVERGING = LinearSegmentedColormap.from_list("diverging", ["#1F5F99", "#A9C6DF", "#FAFAF7", "#F2BE9B", "#C2510A"])
_SEQUENTIAL = LinearSegmentedColormap.from_list("sequential", ["#F7F9FB", "#B9D2E6", "#5B9AC8", "#0B4A7A"])
#: Cells a side up to which their numbers are written into them.
_MOST_WRITTEN = 14
#: Share of the way to an end of the colours from which text is white.
_DARK = 0.62


def heat_map_figure(
    values: Array,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    label: str,
    limits: tuple[float, float],
    middle: float | None = None,
    decimals: int = 2,
    cell: tuple[float, float] = (0.62, 0.34),
    xlabel: str = "",
) -> Figure:
    """Draw a table of numbers.

    Parameters
    ----------
    values : ndarray
        (n_rows, n_columns); NaN where there is none.
    rows, columns : sequence of str
        Their names.
    label : str
        What the colours mean.
    limits : tuple of float
        Values at the ends of the colours.
    middle : float, optional
        Value without colour, where the numbers may lie on either side of one.
    decimals : int
        Of the numbers in the cells.
    cell : tuple of float
        Size of a cell, inches.
    xlabel : str
        Below the columns.
    """
    if values.shape != (len(rows), len(columns)):
        raise ValueError(f"values have shape {values.shape}, not {(len(rows), len(columns))} = (rows, columns)")
    longest = max((len(name) for name in rows), default=0)
    width = 1.4 + 0.075 * longest + cell[0] * len(columns)
    figure = new_figure((max(3.6, width), max(2.0, 1.1 + cell[1] * len(rows))))
    axes = figure.subplots()
    norm = Normalize(*limits) if middle is None else TwoSlopeNorm(middle, *limits)
    image = axes.imshow(values, cmap=_SEQUENTIAL if middle is None else _DIVERGING, norm=norm, aspect="auto")
    axes.set_xticks(np.arange(len(columns)), [plain(name) for name in columns])
    axes.set_yticks(np.arange(len(rows)), [plain(name) for name in rows])
    if max((len(name) for name in columns), default=0) * 0.085 > cell[0]:
        axes.tick_params(axis="x", labelrotation=45)
        for tick in axes.get_xticklabels():
            tick.set_horizontalalignment("right")
            tick.set_rotation_mode("anchor")
    axes.tick_params(length=0)
    axes.set_xlabel(xlabel)
    axes.set_xticks(np.arange(len(columns) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    if len(columns) <= _MOST_WRITTEN and len(rows) <= 2 * _MOST_WRITTEN:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                place = float(np.clip(norm(value), 0.0, 1.0))
                strength = place if middle is None else abs(2.0 * place - 1.0)
                shade = "white" if strength > _DARK else "#1f2430"
                text = f"{value:.{decimals}f}".replace("-", "−")
                axes.text(column, row, text, ha="center", va="center", fontsize=8.0, color=shade)
    bar = figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02, extend="both" if middle is not None else "neither")
    bar.set_label(label)
    bar.outline.set_visible(False)  # type: ignore[operator]
    return figure
