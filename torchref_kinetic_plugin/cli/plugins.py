"""``torchref.kinetic plugins``."""

from __future__ import annotations

import argparse

from rich import box
from rich.markup import escape
from rich.table import Table

from torchref_kinetic_plugin.cli.tables import console_for
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.plugins.hookspecs import PREFIX


def run(options: argparse.Namespace) -> None:
    """List every plugin with its version, hooks, providers, and why it failed."""
    manager = PluginManager(builtin_only=options.no_plugins)
    console = console_for()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("plugin", "package", "version", "occupancy providers", f"hooks, {PREFIX}..."):
        table.add_column(column)
    records = manager.describe()
    for record in records:
        hooks = ", ".join(hook.removeprefix(PREFIX) for hook in record.hooks)
        table.add_row(
            *(escape(text) for text in (record.name, record.package, record.version)),
            escape(", ".join(record.providers)) or "-",
            escape(hooks) or ("failed" if record.failure else "-"),
        )
    console.print(table)
    for name in manager.provider_names():
        console.print(f'occupancy = "{name}": {manager.provider(name).description}', markup=False)
    for record in records:
        if record.failure:
            console.print(f"{record.name} failed: {record.failure}", markup=False, soft_wrap=True)
