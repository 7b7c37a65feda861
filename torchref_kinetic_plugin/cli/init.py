"""``torchref.kinetic init DIR FILE ...``."""

from __future__ import annotations

import argparse

from torchref_kinetic_plugin.cli.tables import console_for
from torchref_kinetic_plugin.workflow.starting import start


def run(options: argparse.Namespace) -> None:
    """Write the file and say what to do next."""
    written = start(options.directory, options.files, references=options.reference, replace=options.force)
    console = console_for(quiet=options.quiet)
    console.print(f"{written} written. Complete it, then: torchref.kinetic check {written}", markup=False)
