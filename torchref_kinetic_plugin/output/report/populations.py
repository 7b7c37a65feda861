"""Section on the occupancies."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from torchref_kinetic_plugin.output.occupancy_band_figure import null_floor, occupancy_band_figure
from torchref_kinetic_plugin.output.report.blocks import Block, Cell, Column, Section, Table, section
from torchref_kinetic_plugin.output.report.material import ReportMaterial
from torchref_kinetic_plugin.output.report.numbers import NONE, delay_text, fixed, signed
from torchref_kinetic_plugin.output.report.pictures import drawn


def occupancies(material: ReportMaterial) -> Section | None:
    """A figure and a table for each experiment."""
    result = material.result
    blocks: list[Block] = []
    for experiment in dict.fromkeys(each.experiment for each in result.occupancies):

        def draw(experiment: str = experiment) -> Figure:
            return occupancy_band_figure(result, experiment)

        where = f" in {experiment}" if len(material.experiments) > 1 else ""
        caption = f"Occupancies{where} against the delay. Bands and bars: 95 % intervals."
        if any(each.experiment == experiment for each in result.validation.free_occupancies):
            caption += " Open points: occupancies fitted at each timepoint by itself, with no scheme behind them."
        if (floor := null_floor(result, experiment)) is not None:
            caption += (
                f" Grey: what references given as timepoints show as excited, up to {100.0 * floor:.1f} % (estimate "
                "and 1.96 standard errors); less than that means nothing."
            )
        blocks.append(drawn(draw, alternative=f"Occupancies of each structure{where} over time", caption=caption))
        blocks.append(_table(material, experiment, where))
    return section("Occupancies", blocks)


def _table(material: ReportMaterial, experiment: str, where: str) -> Table:
    rows = [each for each in material.result.occupancies if each.experiment == experiment]
    columns = (
        Column("timepoint", number=False),
        Column("delay"),
        *(Column(name) for name in material.result.structures),
    )
    cells = []
    for timepoint in dict.fromkeys(each.timepoint for each in rows):
        own = {each.structure: each for each in rows if each.timepoint == timepoint}
        values = []
        for name in material.result.structures:
            each = own[name]
            half = None if each.upper is None else each.upper - each.occupancy
            note = "" if half is None else " ± " + (f"{half:.3f}" if math.isfinite(half) else "∞")
            values.append(Cell(signed(f"{each.occupancy:.3f}"), each.occupancy, note))
        time = next(iter(own.values())).time_s
        before = math.isinf(time) and time < 0.0
        cells.append((Cell(timepoint), Cell("reference" if before else delay_text(time), time), *values))
    note = "± is half of the 95 % interval, which is symmetric and may leave the range of 0 to 1."
    return Table(f"Occupancies{where}.", columns, tuple(cells), note, f"occupancies-{experiment}")


def free_occupancies(material: ReportMaterial) -> list[Table]:
    """What a fit without a scheme finds beside what the scheme says."""
    rows = material.result.validation.free_occupancies
    if not rows:
        return []
    ours = {(each.experiment, each.timepoint, each.structure): each for each in material.result.occupancies}
    many = len(material.experiments) > 1
    columns = (
        *([Column("experiment", number=False)] if many else []),
        Column("timepoint", number=False),
        Column("structure", number=False),
        Column("free"),
        Column("standard error"),
        Column("by the scheme"),
        Column("difference / error"),
    )
    cells = []
    for each in rows:
        scheme = ours.get((each.experiment, each.timepoint, each.structure))
        away = Cell(NONE)
        if scheme is not None and each.std_error > 0.0 and math.isfinite(each.std_error):
            away = fixed((each.occupancy - scheme.occupancy) / each.std_error, 1)
        cells.append(
            (
                *([Cell(each.experiment)] if many else []),
                Cell(each.timepoint),
                Cell(each.structure),
                fixed(each.occupancy, 3),
                fixed(each.std_error, 3),
                fixed(None if scheme is None else scheme.occupancy, 3),
                away,
            )
        )
    caption = "Occupancies fitted at each timepoint by itself, no scheme behind them, beside those of the scheme."
    return [Table(caption, columns, tuple(cells), "", "free-occupancies")]
