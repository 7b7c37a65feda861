"""How much faster a campaign is with two workers than with one.

``python -m benchmarks.campaign_runs [N]`` computes N small runs (64 by default) of an octapeptide's series, first with
two worker processes, then with one, each with one thread and each from nothing: the start of the processes is in it.
Runs differ in a weight that changes nothing, so that all are of one length.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.unit.campaign.tiny_series import make_series
from torchref_kinetic_plugin import run_campaign

#: What the ratio should be at least, on two free cores.
WANTED = 1.7


def seconds(series: Path, n_runs: int, workers: int) -> float:
    """Wall-clock time of a campaign."""
    path = series / f"campaign_{workers}.toml"
    weights = [float(number) for number in range(1, n_runs + 1)]
    path.write_text(
        f'refinement = "refinement.toml"\ndirectory = "campaign_{workers}"\nvary.weights.geometry = {weights}\n'
    )
    begun = time.perf_counter()
    result = run_campaign(path, workers=workers, builtin_only=True)
    taken = time.perf_counter() - begun
    if result.count("done") != n_runs:
        raise RuntimeError(f"{result.count('done')} of {n_runs} runs are done: {result.failures[0].error}")
    if len({run.outcome.log_likelihood_free for run in result.runs if run.outcome is not None}) != 1:
        raise RuntimeError("runs that should be equal are not")
    return taken


def main(n_runs: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        series = make_series(Path(name)).parent
        two, one = seconds(series, n_runs, 2), seconds(series, n_runs, 1)
    print(f"{n_runs} runs: 1 worker {one:.1f} s, 2 workers {two:.1f} s, ratio {one / two:.2f} (wanted: {WANTED})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 64)
