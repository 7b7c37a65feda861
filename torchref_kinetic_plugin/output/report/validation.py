"""Section on what nobody can tune to, as far as it was asked for."""

from __future__ import annotations

from torchref_kinetic_plugin.output.report.blocks import Block, Cell, Column, Section, Table, section
from torchref_kinetic_plugin.output.report.material import ReportMaterial
from torchref_kinetic_plugin.output.report.numbers import count, fixed, p_value
from torchref_kinetic_plugin.output.report.populations import free_occupancies


def validation(material: ReportMaterial) -> Section | None:
    """Timepoints left out, tests of the scheme, null tests, free occupancies."""
    found = material.result.validation
    blocks: list[Block] = []
    if found.left_out:
        blocks.append(_left_out(material))
    if found.scheme_tests:
        blocks.append(_scheme_tests(material))
    if found.null_tests:
        blocks.append(_null_tests(material))
    blocks += free_occupancies(material)
    return section("Validation", blocks)


def _where(material: ReportMaterial, *columns: Column) -> tuple[Column, ...]:
    many = len(material.experiments) > 1
    return (*([Column("experiment", number=False)] if many else []), *columns)


def _row(material: ReportMaterial, experiment: str, *cells: Cell) -> tuple[Cell, ...]:
    many = len(material.experiments) > 1
    return (*([Cell(experiment)] if many else []), *cells)


def _left_out(material: ReportMaterial) -> Table:
    columns = _where(
        material,
        Column("timepoint", number=False),
        Column("differences"),
        Column("CC(ΔF), left out"),
        Column("CC(ΔF), included"),
        Column("ln L given the others"),
    )
    rows = tuple(
        _row(
            material,
            each.experiment,
            Cell(each.timepoint),
            count(each.n_reflections),
            fixed(each.cc_left_out, 3),
            fixed(each.cc_included, 3),
            fixed(each.log_likelihood, 1),
        )
        for each in material.result.validation.left_out
    )
    note = (
        "Correlation of the observed differences with those predicted by a refinement that has never seen the "
        "timepoint, and by the one that has."
    )
    return Table("Each timepoint predicted by all others.", columns, rows, note, "left-out")


def _scheme_tests(material: ReportMaterial) -> Table:
    columns = _where(
        material, Column("timepoint", number=False), Column("χ²"), Column("degrees of freedom"), Column("p")
    )
    rows = tuple(
        _row(
            material,
            each.experiment,
            Cell(each.timepoint),
            fixed(each.statistic, 2),
            count(each.freedom),
            p_value(each.p_value),
        )
        for each in material.result.validation.scheme_tests
    )
    note = (
        "Score test (Rao, 1948) of the hypothesis that the timepoint's occupancies are those of the scheme. Of many "
        "timepoints the smallest p is small by chance: one in n is expected below 1/n."
    )
    return Table("Whether a timepoint speaks against the scheme.", columns, rows, note, "scheme-tests")


def _null_tests(material: ReportMaterial) -> Table:
    columns = _where(
        material, Column("dataset", number=False), Column("excited"), Column("standard error"), Column("over its error")
    )
    rows = tuple(
        _row(
            material,
            each.experiment,
            Cell(each.dataset),
            fixed(each.excited, 4),
            fixed(each.std_error, 4),
            fixed(each.excited / each.std_error if each.std_error > 0.0 else None, 1),
        )
        for each in material.result.validation.null_tests
    )
    note = "What is excited in a dataset measured without the trigger, which should be nothing."
    return Table("References given as timepoints.", columns, rows, note, "null-tests")
