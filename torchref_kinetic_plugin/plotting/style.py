"""What all figures share: colours, markers, sizes, saving."""

from __future__ import annotations

import os

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from torchref_kinetic_plugin.files import atomic_path

#: Okabe & Ito's palette, told apart by colour-blind eyes, yellow left out (too pale on white).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
#: Shapes that tell curves apart in grey; as many as differ at small size.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
#: Line styles that follow each other once the colours are used up.
LINES = ("-", "--", ":")
GREY = "#666666"
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


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure, whole or not at all, in the format that the path's suffix names (PNG without one)."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format=temporary.suffix.lstrip(".") or "png")
