"""Pictures that a page holds in itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from torchref_kinetic_plugin.output.report.blocks import Picture

_MIME = {
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}
#: Pixels of a page per inch of a figure.
_PIXELS = 96
#: Left about a trimmed figure, inches.
_MARGIN = 0.05
#: One look for all figures of a report; what would differ from run to run is fixed.
_STYLE = {
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.0,
    "axes.linewidth": 0.7,
    "axes.edgecolor": "#4a5260",
    "axes.labelcolor": "#1f2430",
    "text.color": "#1f2430",
    "xtick.color": "#4a5260",
    "ytick.color": "#4a5260",
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.fontsize": 8.5,
    "svg.hashsalt": "torchref-kinetic-plugin",
    "svg.fonttype": "path",
}


def drawn(draw: Callable[[], Figure], *, alternative: str, caption: str, trimmed: bool = False) -> Picture:
    """A figure as a picture, drawn in the style of the report; ``trimmed`` cuts its empty margins off."""
    with matplotlib.rc_context(_STYLE):
        figure = draw()
        buffer = io.BytesIO()
        if trimmed:
            box = _drawn_box(figure)
            width = float(box.width)
            figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches=box)
        else:
            width = float(figure.get_figwidth())
            figure.savefig(buffer, format="svg", metadata={"Date": None})
    return Picture(_address("image/svg+xml", buffer.getvalue()), alternative, caption, round(_PIXELS * width))


def from_file(path: Path, *, alternative: str, caption: str, width: int) -> Picture | None:
    """A picture file as a picture; None where it is not there, or of no kind that a browser shows."""
    mime = _MIME.get(path.suffix.lower())
    if mime is None or not path.is_file():
        return None
    return Picture(_address(mime, path.read_bytes()), alternative, caption, width)


def _drawn_box(figure: Figure) -> Bbox:
    """What the shapes and texts of a figure without a frame take, inches."""
    figure.draw_without_rendering()
    artists = [artist for axes in figure.axes for artist in (*axes.patches, *axes.texts, axes.title)]
    boxes = [artist.get_window_extent() for artist in artists]
    taken = Bbox.union([box for box in boxes if box.width > 0.0])
    return taken.transformed(figure.dpi_scale_trans.inverted()).padded(_MARGIN)


def _address(mime: str, content: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"
