"""Tables that verbs print."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from torchref_kinetic_plugin.results import (
    ALL_EXPERIMENTS,
    Estimate,
    Identifiability,
    RefinementResult,
    SchemeComparison,
)
from torchref_kinetic_plugin.scheme import format_time
from torchref_kinetic_plugin.simulation import CampaignTruth, Truth
from torchref_kinetic_plugin.workflow.checking import CheckReport

#: Width where there is no terminal to ask, as in a log file.
_WIDTH = 110


def console_for(*, quiet: bool = False) -> Console:
    """A console on standard output, wide enough for the tables where no terminal says otherwise."""
    width = None if sys.stdout.isatty() else _WIDTH
    return Console(file=sys.stdout, quiet=quiet, highlight=False, width=width)


def print_result(console: Console, result: RefinementResult) -> None:
    """Rates, time constants with errors, occupancies, R factors and correlations of differences."""
    console.print(f"\n{escape(result.title)}: {_count(result)}, {result.seconds:.1f} s\n", markup=True)
    experiments = list(dict.fromkeys(each.experiment for each in result.occupancies))
    if result.parameters:
        console.print(_parameters(result, many=len(experiments) > 1))
    for experiment in experiments:
        console.print(_occupancies(result, experiment))
        console.print(_statistics(result, experiment))
        if (table := _validation(result, experiment)) is not None:
            console.print(table)
    for remark in result.remarks:
        console.print(f"- {remark}", markup=False, soft_wrap=True)


def print_check(console: Console, report: CheckReport) -> None:
    """The data table, what will be refined, and how many observations and parameters there are."""
    file = report.loaded.file
    table = new_table("Data", ("dataset", "delay", "reflections", "d, A", "complete", "R to ref.", "diff./sigma"))
    for row in report.datasets:
        table.add_row(
            escape(f"{row.experiment}: {row.name}" if len(file.experiments) > 1 else row.name),
            "reference" if row.time_s is None else format_time(row.time_s),
            f"{row.n_reflections:,}",
            f"{row.d_max:.1f}-{row.d_min:.2f}",
            f"{100.0 * row.completeness:.1f} %",
            _number(row.r_reference, 3),
            _number(row.difference_over_sigma, 2),
        )
    console.print(table)
    if report.parameters:
        table = new_table(f"Parameters of {file.refinement.occupancy}", ("", "", "start", "", "refined"))
        fitted = "kinetics" in file.refinement.refine
        for each in report.parameters:
            if each.kind == "efficiency" and not each.refined and each.start == 1.0:
                continue
            shown = format_time(1.0 / each.start) if each.kind == "rate_constant" and each.start else ""
            table.add_row(
                each.kind.replace("_", " "),
                escape(each.name),
                f"{each.start:.4g} {each.unit}".strip(),
                shown,
                "yes" if each.refined and fitted else "no",
            )
        console.print(table)
    console.print(
        f"Structures: {', '.join(report.loaded.structures.names)}. Refined: {', '.join(file.refinement.refine)}."
    )
    console.print(
        f"{report.n_observations_work:,} observations to refine against, {report.n_observations_free:,} free; "
        f"{report.n_parameters} parameters of the occupancies."
    )
    for title, lines in (("Notes", report.notes), ("Warnings", report.warnings)):
        if lines:
            console.print(f"\n{title}")
        for line in lines:
            console.print(f"- {line}", markup=False, soft_wrap=True)
    if report.identifiability is not None:
        _print_identifiability(console, report.identifiability, report)


def _print_identifiability(console: Console, found: Identifiability, report: CheckReport) -> None:
    """Expected errors, and what is left open."""
    title = "Expected standard errors from these starting values"
    table = new_table(title, ("", "", "start", "", "error", "relative"))
    several = len(report.loaded.file.experiments) > 1
    for each in found.expected:
        name = f"{each.experiment}: {each.name}" if several and each.experiment != ALL_EXPERIMENTS else each.name
        known = math.isfinite(each.std_error)
        relative = "" if each.std_error_ln is None or not known else f"{100.0 * each.std_error_ln:.2g} %"
        table.add_row(
            each.kind.replace("_", " "),
            escape(name),
            f"{each.value:.4g} {each.unit}".strip(),
            format_time(1.0 / each.value) if each.kind == "rate_constant" else "",
            f"± {each.std_error:.2g}" if known else "not determined",
            relative,
        )
    console.print()
    console.print(table)
    eigenvalues = ", ".join(f"{value:.3g}" for value in found.spectrum)
    console.print(
        f"Eigenvalues of the information (1: apart from all others, near 0: hardly determined): {eigenvalues}.",
        soft_wrap=True,
    )
    if "structures" in report.loaded.file.refinement.refine:
        console.print("The errors are those at the structures as given; their refinement adds to them.", soft_wrap=True)
    if found.weak:
        console.print("\nWhat the data leave open")
    for line in found.weak:
        console.print(f"- {line}", markup=False, soft_wrap=True)


def print_comparison(console: Console, found: SchemeComparison) -> None:
    """The ranking, the likelihood ratios of nested schemes, and what can be told apart, in words."""
    console.print(f"\n{escape(found.title)}: {found.n_held_out} timepoints left out, {found.seconds:.1f} s\n")
    columns = ("scheme", "parameters", "held out, to the best", "tied", "ln L, work", "ln L, free", "AICc", "BIC")
    table = new_table("Schemes", columns)
    least = [min(each.aicc for each in found.schemes), min(each.bic for each in found.schemes)]
    for each in found.schemes:
        table.add_row(
            escape(each.name),
            f"{each.n_parameters}",
            f"{each.held_out:.1f}" if each is found.schemes[0] else f"{each.difference:.1f} ± {each.std_error:.1f}",
            "" if each is found.schemes[0] else "yes" if each.tied else "no",
            f"{each.log_likelihood_work:.1f}",
            f"{each.log_likelihood_free:.1f}",
            f"+{each.aicc - least[0]:.1f}",
            f"+{each.bic - least[1]:.1f}",
        )
    console.print(table)
    if found.ratios:
        table = new_table(
            "Likelihood ratios", ("smaller", "larger", "chi-square", "freedom", "p (too large at bounds)")
        )
        for ratio in found.ratios:
            names = escape(ratio.smaller), escape(ratio.larger)
            table.add_row(*names, f"{ratio.statistic:.1f}", f"{ratio.freedom}", f"{ratio.p_value:.2g}")
        console.print(table)
    for remark in found.remarks:
        console.print(f"- {remark}", markup=False, soft_wrap=True)


def print_truth(console: Console, truth: Truth | CampaignTruth) -> None:
    """The datasets of a simulated series, or of each experiment of a campaign."""
    for experiment in truth.experiments:
        table = new_table(
            f"Simulated: {experiment.experiment}" if experiment.experiment else "Simulated",
            ("dataset", "delay", "reflections", "complete", "R to truth", "diff./sigma", "occupancies"),
        )
        for each in experiment.datasets:
            table.add_row(
                escape(each.name),
                "reference" if each.time_s is None else format_time(each.time_s),
                f"{each.n_reflections:,}",
                f"{100.0 * each.completeness:.1f} %",
                f"{each.r_truth:.3f}",
                _number(each.difference_over_sigma, 2),
                escape("  ".join(f"{name} {value:.3f}" for name, value in each.occupancies.items())),
            )
        console.print(table)


def _count(result: RefinementResult) -> str:
    state = "converged" if result.converged else "NOT converged"
    return (
        f"{result.n_observations_work:,} observations, {result.n_parameters} parameters, {len(result.steps)} steps, "
        f"{state}"
    )


def _parameters(result: RefinementResult, *, many: bool) -> Table:
    table = new_table("Parameters", ("", "", "value", "error", "95 % interval", "time constant", "its interval"))
    for each in result.parameters:
        if each.kind == "efficiency" and not each.refined and each.value == 1.0:
            # Nobody asked for it, and it says nothing.
            continue
        kind = each.kind.replace("_", " ")
        name = f"{each.experiment}: {each.name}" if many else each.name
        table.add_row(kind, escape(name), *_shown(each))
    return table


def _shown(each: Estimate) -> Sequence[str]:
    value = f"{each.value:.4g} {each.unit}".strip()
    if not each.refined:
        return value, "fixed", "", format_time(1.0 / each.value) if each.kind == "rate_constant" else "", ""
    assert each.lower is not None
    assert each.upper is not None
    if each.std_error_ln is None:
        assert each.std_error is not None
        spread, error = each.std_error, f"± {each.std_error:.2g}"
    else:
        spread, error = each.std_error_ln, f"{100.0 * each.std_error_ln:.2g} %"
    if not math.isfinite(spread):
        return value, "not determined", "", "", ""
    interval = f"{each.lower:.4g} to {each.upper:.4g}"
    if each.kind != "rate_constant":
        return value, error, interval, "", ""
    ends = [1.0 / end if end > 0.0 else math.inf for end in (each.upper, each.lower)]
    return value, error, interval, format_time(1.0 / each.value), " to ".join(format_time(end) for end in ends)


def _occupancies(result: RefinementResult, experiment: str) -> Table:
    rows = [each for each in result.occupancies if each.experiment == experiment]
    table = new_table(f"Occupancies, {experiment}", ("timepoint", "delay", *result.structures))
    for timepoint in dict.fromkeys(each.timepoint for each in rows):
        own = {each.structure: each for each in rows if each.timepoint == timepoint}
        cells = []
        for structure in result.structures:
            each = own[structure]
            half = None if each.upper is None else (each.upper - each.occupancy) / 1.96
            error = f" ± {half:.3f}" if half is not None and math.isfinite(half) else ""
            cells.append(f"{each.occupancy:.3f}{error}")
        table.add_row(escape(timepoint), format_time(own[result.structures[0]].time_s), *cells)
    return table


def _statistics(result: RefinementResult, experiment: str) -> Table:
    rows = [each for each in result.statistics if each.experiment == experiment]
    last = max(each.cycle for each in rows)
    columns = ("dataset", "work", "free", "R-work", "R-free", "CC diff., work", "CC diff., free")
    table = new_table(f"Agreement, {experiment}", columns)
    for each in rows:
        if each.cycle == last:
            table.add_row(
                escape(each.dataset),
                f"{each.n_work:,}",
                f"{each.n_free:,}",
                f"{each.r_work:.4f}",
                f"{each.r_free:.4f}",
                _number(each.cc_diff_work, 3),
                _number(each.cc_diff_free, 3),
            )
    return table


def _validation(result: RefinementResult, experiment: str) -> Table | None:
    """Timepoint by timepoint: how others predict it, its free occupancies, whether it speaks against the scheme."""
    found = result.validation
    left = {each.timepoint: each for each in found.left_out if each.experiment == experiment}
    free = {(each.timepoint, each.structure): each for each in found.free_occupancies if each.experiment == experiment}
    tests = {each.timepoint: each for each in found.scheme_tests if each.experiment == experiment}
    timepoints = dict.fromkeys([*left, *tests])
    if not timepoints:
        return None
    columns = ("timepoint", "CC left out", "CC included", *(f"{name}, free" for name in result.structures), "p, scheme")
    table = new_table(f"Validation, {experiment}", columns)
    for timepoint in timepoints:
        predicted, test = left.get(timepoint), tests.get(timepoint)
        cells = []
        for structure in result.structures:
            own = free.get((timepoint, structure))
            cells.append("" if own is None else f"{own.occupancy:.3f} ± {own.std_error:.3f}")
        table.add_row(
            escape(timepoint),
            _number(None if predicted is None else predicted.cc_left_out, 3),
            _number(None if predicted is None else predicted.cc_included, 3),
            *cells,
            "" if test is None else f"{test.p_value:.2g}",
        )
    return table


def new_table(title: str, columns: Sequence[str]) -> Table:
    """An empty table: the first column to the left, numbers to the right."""
    table = Table(title=escape(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(escape(column), justify="left" if number == 0 else "right", no_wrap=number == 0)
    return table


def _number(value: float | None, digits: int) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.{digits}f}"
