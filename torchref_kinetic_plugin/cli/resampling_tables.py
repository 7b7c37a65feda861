"""Tables of profiles, bootstrap and starts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from torchref_kinetic_plugin.cli.tables import new_table
from torchref_kinetic_plugin.results import BootstrapReport, Estimate, ProfileReport, StartReport


def print_profiles(console: Console, report: ProfileReport) -> None:
    """Values with the intervals of profile and covariance, and what was found on the way."""
    table = new_table("Profile likelihoods", ("", "", "value", "95 % by profile", "95 % by covariance"))
    several = len({each.experiment for each in report.profiles}) > 1
    for found, estimate in zip(report.profiles, report.by_curvature, strict=True):
        ends = ["none" if end is None else f"{end:.4g}" for end in (found.lower, found.upper)]
        table.add_row(
            *_named(found.experiment, found.kind, found.name, several=several),
            f"{found.value:.4g} {found.unit}".strip(),
            " to ".join(ends),
            _interval(estimate),
        )
    console.print(table)
    remarks = [(each, remark) for each in report.profiles for remark in each.remarks]
    for each, remark in remarks:
        console.print(f"- {each.kind.replace('_', ' ')} {each.name}: {remark}", markup=False, soft_wrap=True)
    _remarks(console, report.remarks)


def print_bootstrap(console: Console, report: BootstrapReport) -> None:
    """Values with errors and intervals of the draws and of the covariance."""
    kind = "intensities drawn from the model" if report.parametric else "reflections drawn from the data"
    columns = ("", "", "value", "error", "95 % of the draws", "by covariance", "its 95 %")
    table = new_table(f"Bootstrap, {len(report.numbers)} times {kind}", columns)
    several = len({each.experiment for each in report.estimates}) > 1
    for found, estimate in zip(report.estimates, report.by_curvature, strict=True):
        table.add_row(
            *_named(found.experiment, found.kind, found.name, several=several),
            f"{found.value:.4g} {found.unit}".strip(),
            _per_cent(found.std_error_ln),
            f"{found.lower:.4g} to {found.upper:.4g}",
            _per_cent(estimate.std_error_ln),
            _interval(estimate),
        )
    console.print(table)
    _remarks(console, report.remarks)


def print_starts(console: Console, report: StartReport) -> None:
    """Each minimum with the number of starts that led there and its parameters."""
    names = [f"{each.kind.replace('_', ' ')} {each.name}" for each in report.parameters]
    table = new_table(f"{len(report.outcomes)} starts", ("minimum", "starts", "above the best", *names))
    best = report.outcomes[0].objective
    for number, outcomes in report.minima.items():
        first = outcomes[0]
        table.add_row(
            str(number),
            str(len(outcomes)),
            f"{first.objective - best:.2f}",
            *(f"{value:.4g} {each.unit}".strip() for each, value in zip(report.parameters, first.values, strict=True)),
        )
    console.print(table)
    if unsettled := sum(not each.converged for each in report.outcomes):
        console.print(f"- {unsettled} fits have not converged", markup=False)
    _remarks(console, report.remarks)


def _named(experiment: str, kind: str, name: str, *, several: bool) -> tuple[str, str]:
    return kind.replace("_", " "), escape(f"{experiment}: {name}" if several else name)


def _interval(estimate: Estimate) -> str:
    lower, upper = estimate.lower, estimate.upper
    if lower is None or upper is None or estimate.std_error is None or not math.isfinite(estimate.std_error):
        return "not determined"
    return f"{lower:.4g} to {upper:.4g}"


def _per_cent(error: float | None) -> str:
    if error is None:
        return ""
    return f"{100.0 * error:.2g} %" if math.isfinite(error) else "not determined"


def _remarks(console: Console, remarks: Sequence[str]) -> None:
    for remark in remarks:
        console.print(f"- {remark}", markup=False, soft_wrap=True)
