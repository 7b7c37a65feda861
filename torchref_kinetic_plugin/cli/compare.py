"""``torchref.kinetic compare FILE... [--scheme CHART]``."""

from __future__ import annotations

import argparse

from torchref_kinetic_plugin.cli.tables import console_for, print_comparison
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.workflow.comparing import compare


def run(options: argparse.Namespace) -> None:
    """Compare, and print the ranking and what can be told apart."""
    console = console_for(quiet=options.quiet)
    found = compare(
        *options.files,
        schemes=options.scheme,
        output=options.output,
        device=options.device,
        plugins=PluginManager(builtin_only=options.no_plugins),
        overrides={} if options.d_min is None else {"refinement.d_min": options.d_min},
        on_progress=lambda progress: console.print(progress.stage, markup=False),
    )
    print_comparison(console, found)
