"""``torchref.kinetic profile FILE``."""

from __future__ import annotations

import argparse

from torchref_kinetic_plugin.cli.resampling_tables import print_profiles
from torchref_kinetic_plugin.cli.tables import console_for
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.workflow.profiling import profile


def run(options: argparse.Namespace) -> None:
    """Compute profiles, telling of each, and close with a table."""
    console = console_for(quiet=options.quiet)
    report = profile(
        options.file,
        options.parameter,
        output=options.output,
        plugins=PluginManager(builtin_only=options.no_plugins),
        overrides={} if options.d_min is None else {"refinement.d_min": options.d_min},
        announce=lambda text: console.print(text, markup=False),
    )
    print_profiles(console, report)
