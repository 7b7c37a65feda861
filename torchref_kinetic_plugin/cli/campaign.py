"""``torchref.kinetic campaign FILE``."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from torchref_kinetic_plugin.campaign.planning import plan_campaign
from torchref_kinetic_plugin.campaign.running import CampaignProgress, run_campaign, statuses
from torchref_kinetic_plugin.cli.tables import console_for, new_table
from torchref_kinetic_plugin.results import CampaignResult


def run(options: argparse.Namespace) -> None:
    """List the runs, or compute them, showing where the whole stands, and close with a table."""
    console = console_for(quiet=options.quiet)
    if options.list:
        _list(console, options)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", markup=False),
    )
    with Bar(*columns, console=console, transient=True, disable=options.quiet) as bar:
        task = bar.add_task("reading", total=None, left="")

        def show(now: CampaignProgress) -> None:
            failed = f", {now.failed} failed" if now.failed else ""
            left = "" if now.seconds_left is None else f"about {now.seconds_left:.0f} s left"
            bar.update(task, description=f"runs{failed}", total=now.total, completed=now.finished, left=left)
            if now.ended:
                console.print(f"{now.finished} of {now.total}: {now.ended}", markup=False, soft_wrap=True)
            elif now.found:
                console.print(f"{now.found} of {now.total} finished before", markup=False)

        result = run_campaign(
            options.file,
            output=options.output,
            scheduler=options.scheduler,
            workers=options.workers,
            retry=options.retry,
            builtin_only=options.no_plugins,
            on_progress=show,
        )
    _print(console, result)


def _list(console: Console, options: argparse.Namespace) -> None:
    plan = plan_campaign(options.file, output=options.output, builtin_only=options.no_plugins)
    table = new_table(f"{len(plan.runs)} runs", ("run", *plan.axes, "draws", "status", "directory"))
    for each, status in zip(plan.runs, statuses(plan), strict=True):
        labels = each.row.labels
        table.add_row(
            str(each.number),
            *(escape(labels.get(axis, "")) for axis in plan.axes),
            str(plan.file.bootstraps),
            status,
            each.directory_name,
        )
    console.print(table)


def _print(console: Console, result: CampaignResult) -> None:
    columns = ("run", *result.axes, "status", "R-free", "ln L, free", "free", "draws")
    table = new_table(result.title or "Campaign", columns)
    for each in result.runs:
        found = each.outcome
        table.add_row(
            str(each.number),
            *(escape(each.axes.get(axis, "")) for axis in result.axes),
            each.status,
            "" if found is None else f"{found.r_free:.4f}",
            "" if found is None else f"{found.log_likelihood_free:.1f}",
            "" if found is None else f"{found.n_observations_free:,}",
            "" if found is None else str(found.n_draws),
        )
    console.print(table)
    for failure in result.failures:
        what = f"run {failure.number}" + (f", draw {failure.draw}" if failure.draw else "")
        console.print(f"- {what} failed: {failure.error}", markup=False, soft_wrap=True)
    for remark in result.remarks:
        console.print(f"- {remark}", markup=False, soft_wrap=True)
