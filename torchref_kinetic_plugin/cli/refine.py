"""``torchref.kinetic refine FILE``."""

from __future__ import annotations

import argparse

from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from torchref_kinetic_plugin.cli.tables import console_for, print_result
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.workflow.refining import Progress, refine


def run(options: argparse.Namespace) -> None:
    """Refine, showing where it stands, and close with a table."""
    console = console_for(quiet=options.quiet)
    overrides = {} if options.d_min is None else {"refinement.d_min": options.d_min}
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=12),
        TextColumn("{task.fields[loss]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", markup=False),
    )
    with Bar(*columns, console=console, transient=True, disable=options.quiet) as bar:
        task = bar.add_task("importing", total=None, loss="", left="")

        def show(progress: Progress) -> None:
            loss = "" if progress.loss is None else f"loss {progress.loss:,.1f}"
            left = "" if progress.seconds_left is None else f"about {progress.seconds_left:.0f} s left"
            bar.update(task, description=progress.stage, loss=loss, left=left)
            if not console.is_terminal:
                console.print("  ".join(part for part in (progress.stage, loss, left) if part), markup=False)

        result = refine(
            options.file,
            output=options.output,
            device=options.device,
            plugins=PluginManager(builtin_only=options.no_plugins),
            overrides=overrides,
            resume=options.resume,
            on_progress=show,
        )
    print_result(console, result)
