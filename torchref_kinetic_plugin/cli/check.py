"""``torchref.kinetic check FILE``."""

from __future__ import annotations

import argparse

from rich.markup import escape

from torchref_kinetic_plugin.cli.tables import console_for, print_check
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.workflow.checking import check


def run(options: argparse.Namespace) -> None:
    """Check, and print the data table, what was found, and what the data can determine."""
    console = console_for(quiet=options.quiet)
    with console.status("importing") as status:

        def tell(text: str) -> None:
            status.update(escape(text))
            if not console.is_terminal:
                console.print(text, markup=False)

        report = check(
            options.file,
            quick=options.quick,
            plugins=PluginManager(builtin_only=options.no_plugins),
            overrides={} if options.d_min is None else {"refinement.d_min": options.d_min},
            announce=tell,
        )
    print_check(console, report)
