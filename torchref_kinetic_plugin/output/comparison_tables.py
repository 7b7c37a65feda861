"""A comparison of schemes as files: ``comparison.csv`` and ``comparison.json``."""

from __future__ import annotations

import json
from pathlib import Path

from torchref_kinetic_plugin.files import write_text
from torchref_kinetic_plugin.output.tables import as_csv
from torchref_kinetic_plugin.results import SchemeComparison

#: Columns; new ones are added at the end, none is renamed.
COMPARISON = (
    "rank",
    "name",
    "scheme",
    "n_parameters",
    "n_observations",
    "converged",
    "log_likelihood_work",
    "log_likelihood_free",
    "held_out",
    "difference",
    "std_error",
    "tied",
    "aicc",
    "bic",
)


def write_comparison(directory: Path, found: SchemeComparison) -> list[Path]:
    """Write both files into a directory, each whole or not at all.

    Raises
    ------
    FileError
        When one cannot be written.
    """
    rows = ((rank, *(getattr(each, name) for name in COMPARISON[1:])) for rank, each in enumerate(found.schemes, 1))
    contents = {
        "comparison.csv": as_csv(COMPARISON, rows),
        "comparison.json": json.dumps(found.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    }
    for name, text in contents.items():
        write_text(directory / name, text)
    return [directory / name for name in contents]
