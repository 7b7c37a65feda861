"""``torchref.kinetic check FILE``."""

from __future__ import annotations

import argparse

from torchref_kinetic_plugin.cli.tables import console_for, print_check
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.workflow.checking import check


def run(options: argparse.Namespace) -> None:
    """Check, and print the data table and what was found."""
    console = console_for(quiet=options.quiet)
    report = check(
        options.file,
        plugins=PluginManager(builtin_only=options.no_plugins),
        overrides={} if options.d_min is None else {"refinement.d_min": options.d_min},
    )
    print_check(console, report)
