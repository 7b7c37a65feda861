"""``torchref.kinetic starts FILE``."""

from __future__ import annotations

import argparse

from torchref_kinetic_plugin.cli.resampling_tables import print_starts
from torchref_kinetic_plugin.cli.tables import console_for
from torchref_kinetic_plugin.workflow.resampling import starts


def run(options: argparse.Namespace) -> None:
    """Fit from many starts, counting, and close with a table."""
    console = console_for(quiet=options.quiet)
    report = starts(
        options.file,
        options.number,
        output=options.output,
        builtin_only=options.no_plugins,
        overrides={} if options.d_min is None else {"refinement.d_min": options.d_min},
        workers=options.workers,
        announce=lambda text: console.print(text, markup=False),
    )
    print_starts(console, report)
