"""Rows of a table as they are measured, and all of them in a file that programs can compare over time."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch


@dataclass
class Table:
    """Prints rows and keeps them.

    Attributes
    ----------
    columns : tuple of str
        Headings.
    rows : list of dict
        Cells by heading, as printed.
    """

    columns: tuple[str, ...] = ("what", "ours", "beside", "ratio", "limit")
    rows: list[dict[str, str]] = field(default_factory=list)

    def heading(self) -> None:
        """Print the headings."""
        print(f"| {' | '.join(self.columns)} |")
        print("|" + "---|" * len(self.columns))

    def show(self, rows: Iterable[str]) -> None:
        """Print rows of Markdown, each as soon as it is there."""
        for row in rows:
            print(row, flush=True)
            cells = [cell.strip() for cell in row.strip().strip("|").split("|")]
            self.rows.append(dict(zip(self.columns, cells, strict=True)))


def write_json(path: Path, tables: dict[str, Table]) -> None:
    """Write tables by name, with the machine that they were measured on."""
    content = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "system": platform.system(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
        "tables": {name: table.rows for name, table in tables.items()},
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
