"""The command line in a process of its own, to be killed; small series that it works on."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.unit.campaign.tiny_series import make_series

#: Kills of refinements and campaigns together; `make crash` asks for more.
KILLS = int(os.environ.get("CRASH_KILLS", "5"))
PROGRAM = Path(sys.executable).parent / "torchref.kinetic"
#: Seconds after which something hangs.
PATIENCE = 300.0

CAMPAIGN = """
refinement = "refinement.toml"
schemes = {cycle = "A->B,B->A"}
bootstraps = 2
set = {refinement.refine = ["kinetics"], output.report = true}
"""


def small_series(directory: Path) -> Path:
    """The small series in a directory, with files for a joint refinement that writes all there is, and a campaign."""
    directory.mkdir(exist_ok=True)
    text = make_series(directory).read_text().split("[output]")[0]
    asked = 'starts = 1\ncycles = 2\nstop = false\nrefine = ["kinetics", "structures", "scale"]'
    assert "starts = 1" in text
    (directory / "joint.toml").write_text(text.replace("starts = 1", asked))
    (directory / "campaign.toml").write_text(CAMPAIGN)
    return directory


def begin(*arguments: str | Path) -> subprocess.Popen[str]:
    """Begin a command as a user types it, in a process group of its own, as a terminal does."""
    return subprocess.Popen(
        [PROGRAM, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code and what was said, when the process and all that it began have ended."""
    printed, said = process.communicate(timeout=PATIENCE)
    return process.returncode, printed, said


def completed(*arguments: str | Path) -> str:
    """What a command prints that ends well."""
    code, printed, said = end(begin(*arguments))
    assert (code, said) == (0, ""), said
    return printed


def killed(seconds: float, *arguments: str | Path) -> str | None:
    """What a command was at when it was killed after so many seconds; None where it had ended, well, before."""
    process = begin(*arguments)
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    code, printed, said = end(process)
    timer.cancel()
    if code == 0:
        return None
    assert code == -9, said
    stages = [line for line in printed.splitlines() if line[:1].islower() or line[:1].isdigit()]
    return ["importing", *stages][-1].split("  ")[0]


def moments(length: float, seed: int) -> Iterator[float]:
    """Random moments of a run of this length, s."""
    chance = random.Random(seed)
    while True:
        yield chance.uniform(0.0, length)
