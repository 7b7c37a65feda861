"""Two maps side by side, contoured alike, with the structures drawn into them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from torchref_kinetic_plugin.plotting.style import GREY, new_figure, plain

Array = NDArray[np.float64]

#: Colours of density that is gained and lost.
GAINED, LOST = "#009E73", "#C8371B"
#: Contours, over the first.
_LEVELS = np.array([1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0])
#: Elements told apart by colour; all others have that of their model.
_ELEMENTS = {"N": "#2F5FD0", "O": "#E0281E", "S": "#C99A00"}
_SCALE_BAR = 2.0


@final
@dataclass(frozen=True, eq=False)
class DrawnModel:
    """A structure in a view.

    Attributes
    ----------
    label : str
        Its name.
    xyz : ndarray
        (n, 3): right, up, depth towards the viewer; A.
    elements : tuple of str
        (n,).
    bonds : ndarray
        (m, 2), pairs of atoms by their numbers.
    """

    label: str
    xyz: Array = field(repr=False)
    elements: tuple[str, ...] = field(repr=False)
    bonds: NDArray[np.int64] = field(repr=False)


def map_view_figure(
    maps: Sequence[tuple[str, Array]],
    models: Sequence[tuple[DrawnModel, str]],
    *,
    half_width: float,
    level: float,
    figsize: tuple[float, float] = (8.4, 4.55),
) -> Figure:
    """Draw maps of one slab side by side.

    Parameters
    ----------
    maps : sequence of (str, ndarray)
        Title and density (n, n) of each, rows upwards, e/A^3.
    models : sequence of (DrawnModel, str)
        Structures in the view, each with its colour; the first lies below.
    half_width : float
        From the middle of the view to its edge, A.
    level : float
        Of the first contour, e/A^3.
    figsize : tuple of float
        Width and height in inches.
    """
    figure = new_figure(figsize)
    panels = figure.subplots(1, len(maps), squeeze=False)[0]
    for axes, (title, density) in zip(panels, maps, strict=True):
        _draw_density(axes, density, half_width, level)
        for model, shade in models:
            _draw_model(axes, model, shade)
        axes.set(xlim=(-half_width, half_width), ylim=(-half_width, half_width), aspect="equal", xticks=[], yticks=[])
        axes.set_title(plain(title), loc="left", fontsize=9.5, color="#222222")
        for spine in axes.spines.values():
            spine.set(color="#bbbbbb", linewidth=0.7)
    bar = panels[0]
    left = -half_width + 0.35
    bar.plot([left, left + _SCALE_BAR], [-half_width + 0.45] * 2, color="#222222", linewidth=2.0, zorder=6)
    bar.text(
        left + _SCALE_BAR / 2, -half_width + 0.6, f"{_SCALE_BAR:g} Å", ha="center", va="bottom", fontsize=8, zorder=6
    )
    handles = [Line2D([], [], color=shade, linewidth=2.4, label=plain(model.label)) for model, shade in models]
    handles += [
        Line2D([], [], color=GAINED, linewidth=1.2, label="density gained"),
        Line2D([], [], color=LOST, linewidth=1.2, linestyle=(0, (3, 1.5)), label="density lost"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8.5)
    return figure


def _draw_density(axes: Axes, density: Array, half_width: float, level: float) -> None:
    ends = (-half_width, half_width)
    x = np.linspace(*ends, density.shape[1])
    y = np.linspace(*ends, density.shape[0])
    for sign, shade, dashes in ((1.0, GAINED, "solid"), (-1.0, LOST, (0, (3, 1.5)))):
        levels = level * _LEVELS
        signed = sign * density
        if not (signed > level).any():
            # matplotlib warns of contours that are nowhere.
            continue
        top = max(float(signed.max()), 1.001 * float(levels[0]))
        shown = levels[levels < top]
        for number, low in enumerate(shown):
            axes.contourf(x, y, signed, levels=[low, 2.0 * top], colors=[shade], alpha=0.13, zorder=1 + 0.01 * number)
        axes.contour(x, y, signed, levels=shown, colors=[shade], linewidths=0.9, linestyles=[dashes], zorder=2)


def _draw_model(axes: Axes, model: DrawnModel, shade: str) -> None:
    ends = model.xyz[model.bonds][:, :, :2] if len(model.bonds) else np.zeros((0, 2, 2))
    axes.add_collection(LineCollection(list(ends), colors=shade, linewidths=2.2, capstyle="round", alpha=0.9, zorder=4))
    for element, colour in _ELEMENTS.items():
        own = np.array([each == element for each in model.elements], dtype=np.bool_)
        axes.scatter(
            model.xyz[own, 0], model.xyz[own, 1], s=15, color=colour, edgecolors=shade, linewidths=0.8, zorder=5
        )
    bonded = set(model.bonds.flatten().tolist())
    alone = [n for n, element in enumerate(model.elements) if n not in bonded and element not in _ELEMENTS]
    axes.scatter(model.xyz[alone, 0], model.xyz[alone, 1], s=15, color=shade, edgecolors=GREY, linewidths=0.4, zorder=5)
