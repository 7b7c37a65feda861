"""The same file, seed and machine give the same numbers, whatever the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.campaign.tiny_series import make_series

ROOT = Path(__file__).parents[2]
#: What a process or a clock has a part in.
TIMED = {".lock", "checkpoint.pt", "result.json"}


def outputs(directory: Path, seed: int) -> dict[str, bytes]:
    """All that a refinement writes in a process that hashes in its own way, by name."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(seed), "OMP_NUM_THREADS": "1"}
    code = "from torchref_kinetic_plugin.cli.main import entry; entry()"
    command = [sys.executable, "-c", code, "refine", str(directory / "refinement.toml"), "--quiet", "--no-plugins"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written = (directory / "refined").rename(directory / f"by_{seed}")
    return {path.relative_to(written).as_posix(): path.read_bytes() for path in written.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Structures and kinetics together, by two processes."""
    directory = tmp_path_factory.mktemp("same")
    file = make_series(directory)
    text = file.read_text()
    for old, new in (
        ("starts = 1", 'starts = 1\ncycles = 1\nd_min = 3.5\nrefine = ["kinetics", "structures", "scale"]'),
        ("maps = false\nplots = false", ""),
        ("deposition = false", ""),
    ):
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    return outputs(directory, 1), outputs(directory, 2)


def test_results_are_equal_but_for_timings(twice: tuple[dict[str, bytes], dict[str, bytes]]) -> None:
    first, second = (json.loads(each["result.json"]) for each in twice)
    assert first.pop("seconds") > 0.0
    second.pop("seconds")
    assert first == second
    assert len(first["cycles"]) == 1
    assert first["map_views"] == []


def test_every_other_file_is_equal_byte_by_byte(twice: tuple[dict[str, bytes], dict[str, bytes]]) -> None:
    first, second = twice
    assert first.keys() == second.keys()
    assert {
        "rates.csv",
        "occupancies.csv",
        "deposition.cif",
        "structures/I1.pdb",
        "structures/all.cif",
        "maps/experiment_1_1_us.mtz",
        "plots/experiment_1_occupancies.svg",
        "plots/experiment_1_scheme.png",
        *TIMED,
    } <= first.keys()
    assert [name for name in first.keys() - TIMED if first[name] != second[name]] == []
