"""R-work and R-free of all datasets, cycle by cycle."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from torchref_kinetic_plugin.plotting.style import colour, draw_frame, new_figure
from torchref_kinetic_plugin.results import RefinementResult


def r_history_figure(result: RefinementResult, *, figsize: tuple[float, float] = (5.6, 3.1)) -> Figure:
    """Draw R of each dataset as thin lines, and their means."""
    figure = new_figure(figsize)
    axes = figure.subplots()
    cycles = sorted({each.cycle for each in result.statistics})
    datasets = list(dict.fromkeys((each.experiment, each.dataset) for each in result.statistics))
    found = {(each.experiment, each.dataset, each.cycle): each for each in result.statistics}
    for number, (name, pick) in enumerate((("R-work", "r_work"), ("R-free", "r_free"))):
        table = np.array(
            [
                [getattr(found[key], pick) if (key := (*dataset, cycle)) in found else np.nan for cycle in cycles]
                for dataset in datasets
            ]
        )
        axes.plot(cycles, table.T, color=colour(number), linewidth=0.7, alpha=0.3)
        seen = np.isfinite(table).any(axis=0)
        means = np.nanmean(table[:, seen], axis=0)
        axes.plot(
            np.array(cycles)[seen], means, color=colour(number), marker="o", markersize=4.5, linewidth=1.8, label=name
        )
    axes.set_xlabel("cycle")
    axes.set_xticks(cycles)
    axes.set_ylabel("R")
    axes.margins(x=0.06, y=0.12)
    draw_frame(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure
