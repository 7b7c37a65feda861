"""``torchref.kinetic bootstrap FILE``."""

from __future__ import annotations

import argparse

from torchref_kinetic_plugin.cli.resampling_tables import print_bootstrap
from torchref_kinetic_plugin.cli.tables import console_for
from torchref_kinetic_plugin.workflow.resampling import bootstrap


def run(options: argparse.Namespace) -> None:
    """Refit to drawn data, counting, and close with a table."""
    console = console_for(quiet=options.quiet)
    report = bootstrap(
        options.file,
        options.number,
        parametric=options.parametric,
        error_model=not options.hold_error_model,
        output=options.output,
        builtin_only=options.no_plugins,
        overrides={} if options.d_min is None else {"refinement.d_min": options.d_min},
        workers=options.workers,
        announce=lambda text: console.print(text, markup=False),
    )
    print_bootstrap(console, report)
