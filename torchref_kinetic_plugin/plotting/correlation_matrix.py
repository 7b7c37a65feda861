"""A correlation matrix, with the standard errors of its rows beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from torchref_kinetic_plugin.plotting.style import COLOURS, GREY, colour, marker, new_figure, plain

Array = NDArray[np.float64]

#: Rows up to which each correlation is written into its field.
_MOST_WRITTEN = 30
#: Inches of a field, and of what surrounds the matrix.
_FIELD, _AROUND = 0.36, 1.3
#: Least inches of the matrix, so that few rows are no stamp.
_SMALLEST = 1.8


def correlation_figure(
    labels: Sequence[str], matrix: Array, std_errors: Array, sandwich: Array, *, title: str | None = None
) -> Figure:
    """Draw a correlation matrix; what is not determined is left grey.

    Parameters
    ----------
    labels : sequence of str
        (n,) of the rows.
    matrix : ndarray
        (n, n), NaN where there is none.
    std_errors, sandwich : ndarray
        (n,) standard errors, from the curvature, and from curvature and scatter; infinite where not determined.
    title : str, optional
        Above.
    """
    n = len(labels)
    side = max(_SMALLEST, _FIELD * n)
    longest = 0.085 * max(len(label) for label in labels)
    figure = new_figure((side + longest + _AROUND + 2.6, side + longest + _AROUND))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(side, 1.9))
    _draw_matrix(left, labels, matrix, side / n)
    _draw_errors(right, std_errors, sandwich)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=2, frameon=False)
    if title:
        figure.suptitle(plain(title), fontsize="medium")
    return figure


def _draw_matrix(axes: Axes, labels: Sequence[str], matrix: Array, field: float) -> None:
    colours = LinearSegmentedColormap.from_list("correlation", [COLOURS[0], "#ffffff", COLOURS[1]])
    colours.set_bad("#cccccc")
    n = len(labels)
    # The diagonal says nothing, and shall not draw the eye.
    axes.imshow(np.where(np.eye(n, dtype=bool), 0.0, matrix), vmin=-1.0, vmax=1.0, cmap=colours, aspect="auto")
    names = [plain(label) for label in labels]
    axes.set_xticks(range(n), names, rotation=90)
    axes.set_yticks(range(n), names)
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(n - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(n - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.0)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("correlation", loc="left", fontsize="medium")
    if n > _MOST_WRITTEN:
        return
    for (row, column), value in np.ndenumerate(matrix):
        if np.isfinite(value):
            dark = row != column and abs(value) > 0.6
            # Zero has no sign.
            text = "1" if row == column else f"{round(value, 2) + 0.0:.2f}".replace("-", "\u2212")
            axes.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                fontsize=min(10.0, 22.0 * field),
                color="white" if dark else "black",
            )


def _draw_errors(axes: Axes, std_errors: Array, sandwich: Array) -> None:
    """Both errors of each row; none where one is infinite."""
    rows = np.arange(len(std_errors), dtype=np.float64)
    for number, (label, values) in enumerate((("curvature", std_errors), ("sandwich", sandwich))):
        known = np.isfinite(values) & (values > 0.0)
        axes.plot(
            values[known],
            rows[known],
            linestyle="none",
            marker=marker(number),
            color=colour(number),
            markerfacecolor=colour(number) if number == 0 else "none",
            markersize=6.0 if number == 0 else 8.0,
            label=label,
        )
    for row in rows[~np.isfinite(std_errors)]:
        axes.text(
            0.5, row, "not determined", transform=axes.get_yaxis_transform(), ha="center", va="center", color=GREY
        )
    _draw_decades(axes, np.concatenate([std_errors, sandwich]))
    axes.set_title("standard error", loc="left", fontsize="medium")
    axes.set_xlabel("of ln k, logit, or in the unit")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_decades(axes: Axes, values: Array) -> None:
    """A logarithmic axis of whole decades, marked at 1 and 3 where there are few of them."""
    logs = np.log10(values[np.isfinite(values) & (values > 0.0)])
    low = float(np.floor(logs.min() - 0.05)) if logs.size else -2.0
    high = float(np.ceil(logs.max() + 0.05)) if logs.size else 0.0
    axes.set_xscale("log")
    axes.set_xlim(10.0**low, 10.0**high)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high - low > 2.0 else (1.0, 3.0), numticks=20))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
