"""What all figures share: colours, markers, sizes, saving."""

from __future__ import annotations

import os
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from torchref_kinetic_plugin.files import atomic_path

#: Okabe & Ito's palette, told apart by colour-blind eyes, yellow left out (too pale on white).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
#: Shapes that tell curves apart in grey; as many as differ at small size.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
#: Line styles that follow each other once the colours are used up.
LINES = ("-", "--", ":")
GREY = "#666666"
#: Of lines that help the eye.
PALE = "#dddddd"
_DPI = 150


def colour(number: int) -> str:
    """Colour of a curve by its place in the list."""
    return COLOURS[number % len(COLOURS)]


def marker(number: int) -> str:
    """Marker of a curve by its place in the list."""
    return MARKERS[number % len(MARKERS)]


def line(number: int) -> str:
    """Line style of a curve: solid until the colours repeat."""
    return LINES[number // len(COLOURS) % len(LINES)]


def plain(text: str) -> str:
    """Text that is shown as it is, not read as mathematics."""
    return text.replace("$", r"\$")


def new_figure(figsize: tuple[float, float]) -> Figure:
    """An empty figure of a size in inches that belongs to no window."""
    figure = Figure(figsize=figsize, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def draw_points(
    axes: Axes,
    places: NDArray[np.float64],
    values: NDArray[np.float64],
    number: int,
    *,
    label: str | None = None,
    size: float = 5.5,
    linestyle: str = "none",
) -> None:
    """Draw the points (n,) of a curve by its place in the list, with a white rim that parts those that overlap."""
    axes.plot(
        places,
        values,
        color=colour(number),
        linestyle=linestyle,
        marker=marker(number),
        markersize=size,
        markeredgecolor="white",
        markeredgewidth=0.6,
        label=None if label is None else plain(label),
    )


def draw_open_points(
    axes: Axes, places: NDArray[np.float64], values: NDArray[np.float64], number: int, *, size: float = 9.0
) -> None:
    """Draw points (n,) that a curve is compared with, as large open shapes about its own."""
    axes.plot(
        places,
        values,
        color=colour(number),
        linestyle="none",
        marker=marker(number),
        markersize=size,
        markerfacecolor="none",
        markeredgewidth=1.4,
    )


def draw_frame(axes: Axes) -> None:
    """Leave of the frame what is read: the axes left and below, and pale lines across."""
    axes.grid(axis="y", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def add_side_panel(figure: Figure, axes: Axes, lines: Sequence[str]) -> None:
    """Put lines of text and the legend of some axes at the right of a figure."""
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside right upper",
        frameon=False,
        title="\n".join(plain(entry) for entry in lines) or None,
        title_fontproperties={"family": "monospace", "size": "small"},
        alignment="left",
    )


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure, whole or not at all, in the format that the path's suffix names (PNG without one).

    The same figure gives the same bytes: names within an SVG are not drawn at random, and it has no date.
    """
    with atomic_path(path) as temporary, matplotlib.rc_context({"svg.hashsalt": "torchref-kinetic-plugin"}):
        kind = temporary.suffix.lstrip(".") or "png"
        figure.savefig(temporary, dpi=_DPI, format=kind, metadata={"Date": None} if kind == "svg" else None)
