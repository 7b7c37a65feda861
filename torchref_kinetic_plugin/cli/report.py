"""``torchref.kinetic report DIRECTORY``."""

from __future__ import annotations

import argparse

from torchref_kinetic_plugin.cli.tables import console_for
from torchref_kinetic_plugin.workflow.reporting import report


def run(options: argparse.Namespace) -> None:
    """Write the report and say where it is."""
    written = report(options.directory)
    console_for(quiet=options.quiet).print(f"{written} written", markup=False, soft_wrap=True)
