"""``python -m benchmarks``: tables whose every row is a ratio measured in the same run.

With ``--long`` also the rows that take minutes, because the framework does; with ``--json`` in a file too.
"""

from __future__ import annotations

import argparse
import platform
import warnings
from pathlib import Path

import torch

from benchmarks import data_terms, framework_terms, grid, joint_cells, joint_step, kinetic_fit, occupancies
from benchmarks.table import Table, write_json


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("--long", action="store_true", help="also what takes minutes: the kinetic fit, 64 datasets")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    options = parser.parse_args()
    framework = "torchref.experimental.kinetic / ms"
    populations = Table(("states", "timepoints", "response", "ours / ms", framework, "ratio", "limit"))
    steps = Table()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, forward + backward")
        populations.heading()
        populations.show(occupancies.rows())
        print()
        steps.heading()
        steps.show(data_terms.rows(long=options.long))
        steps.show(framework_terms.rows(long=options.long))
        steps.show(joint_step.rows())
        steps.show(joint_cells.rows())
        if options.long:
            steps.show(kinetic_fit.rows())
            steps.show(grid.rows())
    if options.json is not None:
        write_json(options.json, {"occupancies": populations, "steps": steps})


if __name__ == "__main__":
    main()
