"""R factors and correlations of differences, dataset by dataset."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from torchref_kinetic_plugin.plotting.style import colour, new_figure, plain
from torchref_kinetic_plugin.results import RefinementResult


def agreement_figure(result: RefinementResult, experiment: str) -> Figure:
    """Draw R and the correlation of observed with calculated differences, work and free, after the last cycle."""
    rows = [each for each in result.statistics if each.experiment == experiment]
    last = max(each.cycle for each in rows)
    rows = [each for each in rows if each.cycle == last]
    figure = new_figure((max(6.0, 1.5 + 0.55 * len(rows)), 6.0))
    above, below = figure.subplots(2, 1, sharex=True)
    places = range(len(rows))
    for number, (name, values) in enumerate(
        (("work", [each.r_work for each in rows]), ("free", [each.r_free for each in rows]))
    ):
        above.plot(places, values, marker="o", linestyle="none", color=colour(number), label=name)
    correlations = [each.cc_diff_work for each in rows], [each.cc_diff_free for each in rows]
    for number, found in enumerate(correlations):
        shown = [math.nan if value is None else value for value in found]
        below.plot(places, shown, marker="o", linestyle="none", color=colour(number))
    above.set_ylabel("R")
    above.margins(y=0.2)
    above.legend(frameon=False)
    above.set_title(plain(f"{result.title}, {experiment}"))
    below.axhline(0.0, color="#666666", linewidth=0.8)
    below.set_ylabel("correlation of differences")
    below.set_xticks(list(places), [plain(each.dataset) for each in rows], rotation=45, ha="right")
    return figure
