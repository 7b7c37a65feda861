"""The page of a campaign: its runs beside each other."""

from __future__ import annotations

from torchref_kinetic_plugin.output.campaign_figure import (
    ComparedParameter,
    campaign_figure,
    coloured_axis,
    compared_parameters,
)
from torchref_kinetic_plugin.output.report.blocks import (
    Block,
    Cell,
    Column,
    Section,
    Table,
    Terms,
    Words,
    section,
)
from torchref_kinetic_plugin.output.report.mechanism import kind_text
from torchref_kinetic_plugin.output.report.numbers import NONE, arrows, count, fixed, with_interval
from torchref_kinetic_plugin.output.report.page import KeyNumber, Verdict, page_html
from torchref_kinetic_plugin.output.report.pictures import drawn
from torchref_kinetic_plugin.results import CampaignResult, CampaignRun

#: Report of a run, in its directory.
RUN_REPORT = "refined/report.html"


def campaign_html(result: CampaignResult, reports: frozenset[int]) -> str:
    """One page that needs nothing beside itself; whatever a user can name is escaped.

    Parameters
    ----------
    result : CampaignResult
        What to show.
    reports : frozenset of int
        Numbers of the runs that have a report of their own, which the table leads to.
    """
    waiting, failed = result.count("waiting"), result.count("failed")
    total = len(result.runs)
    verdict = "All runs are done." if not waiting and not failed else f"{waiting} waiting, {failed} failed."
    parts = [_runs(result, reports), _parameters(result), _failures(result), _provenance(result)]
    draws = f", each refitted to {result.bootstraps} draws of its data" if result.bootstraps else ""
    return page_html(
        title=result.title or "Campaign",
        subtitle=f"Campaign of {total} kinetic refinement{'s' if total > 1 else ''}{draws}",
        verdict=Verdict(verdict, good=not waiting and not failed),
        key_numbers=[
            KeyNumber("runs", count(total)),
            KeyNumber("done", count(result.count("done"))),
            KeyNumber("failed", count(failed)),
            KeyNumber("waiting", count(waiting)),
            KeyNumber("draws done", count(sum(run.outcome.n_draws for run in result.runs if run.outcome is not None))),
        ],
        remarks=result.remarks,
        nothing="The runs gave no reason for a remark.",
        sections=[part for part in parts if part is not None],
    )


def _runs(result: CampaignResult, reports: frozenset[int]) -> Section | None:
    columns = (
        Column("run"),
        *(Column(axis, number=False) for axis in result.axes),
        Column("status", number=False),
        Column("parameters"),
        Column("R-work"),
        Column("R-free"),
        Column("CC(ΔF), free"),
        Column("ln L, free"),
        Column("free"),
        *([Column("draws")] if result.bootstraps else []),
        Column("time", "s"),
    )
    rows = []
    for run in result.runs:
        found = run.outcome
        link = f"{run.directory}/{RUN_REPORT}" if run.number in reports else ""
        rows.append(
            (
                Cell(str(run.number), link=link),
                *(Cell(run.axes.get(axis, NONE)) for axis in result.axes),
                Cell(_status(run)),
                Cell(NONE) if found is None else count(found.n_parameters),
                fixed(None if found is None else found.r_work, 4),
                fixed(None if found is None else found.r_free, 4),
                fixed(None if found is None else found.cc_diff_free, 3),
                fixed(None if found is None else found.log_likelihood_free, 1),
                Cell(NONE) if found is None else count(found.n_observations_free),
                *([Cell(NONE) if found is None else count(found.n_draws)] if result.bootstraps else []),
                fixed(run.seconds, 1),
            )
        )
    note = (
        "R factors and correlations of differences are means over the datasets; ln L, free: log-likelihood of the free "
        "reflections after the fit. Both can be compared between runs of the same free reflections."
    )
    if reports:
        note += " The number of a run leads to its own report."
    return section("Runs", [Table("All runs of the campaign.", columns, tuple(rows), note, "runs-table")])


def _status(run: CampaignRun) -> str:
    if run.outcome is not None and not run.outcome.converged:
        return "done, not converged"
    return run.status


def _parameters(result: CampaignResult) -> Section | None:
    parameters = compared_parameters(result)
    if not parameters:
        return None
    caption = "Refined parameters with their 95 % intervals, run by run"
    caption += ", and below each, in grey, the interval of its draws." if result.bootstraps else "."
    if axis := coloured_axis(result):
        caption += f" Colours: {axis}."
    picture = drawn(lambda: campaign_figure(result), alternative="Parameters by run", caption=caption)
    blocks: list[Block] = [picture]
    blocks += [_parameter(result, each, number) for number, each in enumerate(parameters, 1)]
    return section("Parameters", blocks)


def _parameter(result: CampaignResult, parameter: ComparedParameter, number: int) -> Table:
    columns = (
        Column("run"),
        *(Column(axis, number=False) for axis in result.axes),
        Column("value"),
        Column("95 % interval"),
        *([Column("95 % of the draws")] if result.bootstraps else []),
    )
    rows = []
    for run in result.runs:
        estimate = parameter.of(run)
        if estimate is None:
            continue
        value, interval = with_interval(estimate.value, estimate.lower, estimate.upper, estimate.unit)
        spread = parameter.spread_in(run)
        of_draws = Cell(NONE)
        if spread is not None:
            # The data's own value may lie at an end of it, which says nothing of the digits.
            middle = 0.5 * (spread.lower + spread.upper)
            of_draws = with_interval(middle, spread.lower, spread.upper, spread.unit)[1]
        rows.append(
            (
                Cell(str(run.number)),
                *(Cell(run.axes.get(axis, NONE)) for axis in result.axes),
                value,
                interval,
                *([of_draws] if result.bootstraps else []),
            )
        )
    several = len({each.experiment for each in compared_parameters(result)}) > 1
    where = f", {parameter.experiment}" if several else ""
    caption = f"{kind_text(parameter.kind).capitalize()} {arrows(parameter.name)}{where}."
    return Table(caption, columns, tuple(rows), anchor=f"parameter-{number}")


def _failures(result: CampaignResult) -> Section | None:
    if not result.failures:
        return None
    entries = []
    for each in result.failures:
        what = f"Run {each.number}" + (f", draw {each.draw}" if each.draw else "")
        lines = [each.run, *each.error.splitlines()]
        if each.trace:
            lines.append("This is an error of the program; where it happened is in campaign.json.")
        entries.append((what, tuple(lines)))
    return section("Failures", [Terms(tuple(entries))])


def _provenance(result: CampaignResult) -> Section | None:
    software = tuple(f"{name} {version}" for name, version in result.versions.items())
    files = Table(
        "Input files.",
        (Column("file", number=False), Column("SHA-256", number=False)),
        tuple((Cell(name), Cell(digest)) for name, digest in result.inputs.items()),
        "",
        "inputs",
    )
    words = Words(("Each run lies in a directory of its own, with its refinement file and all that refine writes.",))
    return section("Provenance", [Terms((("Software", software),)), words, files])
