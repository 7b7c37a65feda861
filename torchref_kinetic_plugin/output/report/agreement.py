"""Section on the agreement of model and data."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from torchref_kinetic_plugin.output.cycle_figures import history_figure
from torchref_kinetic_plugin.output.r_history_figure import r_history_figure
from torchref_kinetic_plugin.output.report.blocks import Block, Cell, Column, Picture, Section, Table, section
from torchref_kinetic_plugin.output.report.material import ReportMaterial
from torchref_kinetic_plugin.output.report.numbers import count, fixed
from torchref_kinetic_plugin.output.report.pictures import drawn
from torchref_kinetic_plugin.plotting.heat_map import heat_map_figure
from torchref_kinetic_plugin.results import RefinementResult, ShellResidual

#: Ends of the colours of normalized differences, at least.
_SPREAD = 0.3
#: Size of the history, inches.
_HISTORY = (8.2, 8.4)


def agreement(material: ReportMaterial) -> Section | None:
    """R factors of every dataset, their history, and what is left by time and resolution."""
    result = material.result
    blocks: list[Block] = []
    if result.statistics:
        blocks.append(_table(material))
        if material.last_cycle > 0:
            caption = "R factors before the refinement (cycle 0) and after each cycle: all datasets, and their mean."
            if not result.cycles:
                caption = "R factors before (0) and after the fit (1): all datasets, and their mean."
            blocks.append(
                drawn(lambda: r_history_figure(result), alternative="R-work and R-free by cycle", caption=caption)
            )
    for experiment in dict.fromkeys(each.experiment for each in result.residuals):
        blocks += _heat_maps(material, experiment)
    if result.cycles:
        caption = (
            "Cycle by cycle: likelihood of validation and free reflections, restraints, R-free, correlation of "
            "differences, and kinetic parameters over their final values."
        )
        blocks.append(drawn(lambda: _history(result), alternative="History of the refinement", caption=caption))
    return section("Agreement", blocks)


def _history(result: RefinementResult) -> Figure:
    figure = history_figure(result)
    figure.axes[0].set_title("")
    figure.set_size_inches(*_HISTORY)
    return figure


def last_statistics(result: RefinementResult) -> tuple[float, float, float]:
    """Means over the datasets after the last cycle: R-work, R-free, correlation of differences on free reflections."""
    last = max((each.cycle for each in result.statistics), default=0)
    rows = [each for each in result.statistics if each.cycle == last]
    correlations = [each.cc_diff_free for each in rows if each.cc_diff_free is not None]
    return _mean([each.r_work for each in rows]), _mean([each.r_free for each in rows]), _mean(correlations)


def _mean(values: list[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def _table(material: ReportMaterial) -> Table:
    statistics, many = material.result.statistics, len(material.experiments) > 1
    before = {(e.experiment, e.dataset): e for e in statistics if e.cycle == 0}
    columns = (
        *([Column("experiment", number=False)] if many else []),
        Column("dataset", number=False),
        Column("work"),
        Column("free"),
        Column("R-work"),
        Column("R-free"),
        Column("CC(ΔF), work"),
        Column("CC(ΔF), free"),
        Column("R-work, before"),
        Column("R-free, before"),
        Column("CC(ΔF), free, before"),
    )
    rows = []
    for each in statistics:
        if each.cycle != material.last_cycle:
            continue
        first = before.get((each.experiment, each.dataset))
        rows.append(
            (
                *([Cell(each.experiment)] if many else []),
                Cell(each.dataset),
                count(each.n_work),
                count(each.n_free),
                fixed(each.r_work, 4),
                fixed(each.r_free, 4),
                fixed(each.cc_diff_work, 3),
                fixed(each.cc_diff_free, 3),
                fixed(None if first is None else first.r_work, 4),
                fixed(None if first is None else first.r_free, 4),
                fixed(None if first is None else first.cc_diff_free, 3),
            )
        )
    note = (
        "CC(ΔF): correlation of the observed difference to the reference with the model's, on reflections that both "
        "have; the signal of a weak change is in it, not in R."
    )
    return Table("Agreement of each dataset with the model.", columns, tuple(rows), note, "agreement-table")


def _heat_maps(material: ReportMaterial, experiment: str) -> list[Picture]:
    rows = [each for each in material.result.residuals if each.experiment == experiment]
    datasets = list(dict.fromkeys(each.dataset for each in rows))
    shells = list(dict.fromkeys((each.d_max, each.d_min) for each in rows))
    names = ["–".join(f"{end:.1f}" if end >= 10.0 else f"{end:.2f}" for end in shell) for shell in shells]
    r = _values(rows, datasets, shells, "r")
    difference = _values(rows, datasets, shells, "difference")
    where = f" in {experiment}" if len(material.experiments) > 1 else ""
    found = []

    def draw_r() -> Figure:
        limits = (0.9 * float(np.nanmin(r)), max(1.05 * float(np.nanmax(r)), 1e-3))
        return heat_map_figure(r, datasets, names, label="R", limits=limits, decimals=3, xlabel="resolution, Å")

    if np.isfinite(r).any():
        found.append(
            drawn(
                draw_r,
                alternative=f"R by dataset and resolution{where}",
                caption=f"R of all reflections{where}, by dataset and shell of resolution.",
            )
        )
    kept = np.asarray(np.isfinite(difference).any(axis=1))
    shown, shown_names = difference[kept], [name for name, keep in zip(datasets, kept.tolist(), strict=True) if keep]

    def draw_difference() -> Figure:
        spread = max(_SPREAD, float(np.nanmax(np.abs(shown - 1.0))))
        return heat_map_figure(
            shown,
            shown_names,
            names,
            label="r.m.s. over expected",
            limits=(1.0 - min(spread, 1.0), 1.0 + spread),
            middle=1.0,
            xlabel="resolution, Å",
        )

    if len(shown):
        found.append(
            drawn(
                draw_difference,
                alternative=f"Normalized differences by timepoint and resolution{where}",
                caption=f"What scheme and structures leave of the differences to the reference{where}: r.m.s. of "
                "observed less calculated difference over its standard deviation. 1: nothing but errors of "
                "measurement; errors of the phases add to it where a change is large. A row that stands out is a "
                "timepoint that the scheme does not describe.",
            )
        )
    return found


def _values(
    rows: list[ShellResidual], datasets: list[str], shells: list[tuple[float, float]], pick: str
) -> NDArray[np.float64]:
    """(n_datasets, n_shells), NaN where there is nothing."""
    table = np.full((len(datasets), len(shells)), np.nan)
    for each in rows:
        value = getattr(each, pick)
        if value is not None:
            table[datasets.index(each.dataset), shells.index((each.d_max, each.d_min))] = value
    return table
