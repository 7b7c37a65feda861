"""``python -m benchmarks``: tables whose every row is a ratio measured in the same run.

With ``--long`` also the rows that take minutes, because the framework does.
"""

from __future__ import annotations

import argparse
import platform
import warnings
from collections.abc import Iterator
from itertools import chain

import torch

from benchmarks import data_terms, grid, joint_cells, joint_step, kinetic_fit, occupancies


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("--long", action="store_true", help="also what takes minutes: the kinetic fit, 64 datasets")
    long = parser.parse_args().long
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, forward + backward")
        print("| states | timepoints | response | ours / ms | torchref.experimental.kinetic / ms | ratio | limit |")
        print("|---|---|---|---|---|---|---|")
        _show(occupancies.rows())
        print("\n| what | ours | beside | ratio | limit |")
        print("|---|---|---|---|---|")
        _show(data_terms.rows(long=long))
        _show(joint_step.rows())
        _show(joint_cells.rows())
        if long:
            _show(chain(kinetic_fit.rows(), grid.rows()))


def _show(rows: Iterator[str]) -> None:
    for row in rows:
        print(row, flush=True)


if __name__ == "__main__":
    main()
