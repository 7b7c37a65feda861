"""``torchref.kinetic simulate FILE -o DIR``."""

from __future__ import annotations

import argparse

from torchref_kinetic_plugin.cli.tables import console_for, print_truth
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.workflow.simulating import simulate


def run(options: argparse.Namespace) -> None:
    """Simulate, and print what was made."""
    console = console_for(quiet=options.quiet)
    truth = simulate(
        options.file,
        options.output,
        plugins=PluginManager(builtin_only=options.no_plugins),
        announce=lambda text: console.print(text, markup=False),
    )
    print_truth(console, truth)
    count = sum(len(each.datasets) for each in truth.experiments)
    console.print(f"{options.output}: {count} MTZ files and truth.json", markup=False)
