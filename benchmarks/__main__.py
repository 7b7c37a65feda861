"""``python -m benchmarks``: one table, every row a ratio measured in the same run."""

from __future__ import annotations

import platform
import warnings

import torch

from benchmarks.occupancies import rows


def main() -> None:
    """Print the table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, forward + backward")
        print("| states | timepoints | response | ours / ms | torchref.experimental.kinetic / ms | ratio | limit |")
        print("|---|---|---|---|---|---|---|")
        for row in rows():
            print(row, flush=True)


if __name__ == "__main__":
    main()
