"""Full disks, directories not to be written in, two runs in one: a message, exit code 2, and it goes on afterwards."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.interruption.commands import PROGRAM, small_series
from tests.integration.interruption.files_whole import require_whole, unfinished
from torchref_kinetic_plugin.cli.main import main
from torchref_kinetic_plugin.files import lock

REFINE = "refine {series}/refinement.toml -o {out} -q"
JOINT = "refine {series}/joint.toml -o {out} -q"
CAMPAIGN = "campaign {series}/campaign.toml --workers 1 --no-plugins -o {out} -q"
SIMULATE = "simulate {series}/simulation.toml -o {out} -q"
INIT = "init {out} {series}/dark.pdb {series}/i1.pdb {series}/dark.mtz {series}/t01.mtz -q"
WRITING = [
    REFINE,
    JOINT,
    "compare {series}/refinement.toml --scheme A->B -o {out} -q",
    "profile {series}/refinement.toml -o {out} -q",
    "bootstrap {series}/refinement.toml -n 2 -o {out} -q",
    "starts {series}/refinement.toml -n 2 -o {out} -q",
    SIMULATE,
    CAMPAIGN,
    "report {out} -q",
]
#: What is typed, bytes that are free, and what has no room then.
FULL = [
    (REFINE, 0, "out"),
    (REFINE, 20_000, ".csv"),
    (JOINT, 100_000, "checkpoint.pt"),
    (CAMPAIGN, 30_000, ""),
    (SIMULATE, 20_000, ".mtz"),
    (INIT, 0, ""),
]


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    return small_series(tmp_path_factory.mktemp("series"))


@pytest.fixture
def disk(tmp_path):
    """A disk of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", place], check=True)


def run(capsys, command, series, out):
    """Exit code and message of a command."""
    code = main(command.format(series=series, out=out).split())
    return code, capsys.readouterr().err


def refused(capsys, command, series, out, reason):
    """The one line with which a command says that it cannot write, and why."""
    code, said = run(capsys, command, series, out)
    assert code == 2
    assert said.startswith(f"torchref.kinetic {command.split()[0]}: cannot ")
    assert said.endswith(f": {reason}\n")
    assert said.count("\n") == 1
    return said


def fill(disk, *, leaving):
    """A file that leaves so many bytes of the disk."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        file.write(bytes(shutil.disk_usage(disk).free - leaving))
    return ballast


@pytest.mark.parametrize(("command", "room", "what"), FULL, ids=[f"{each[0].split()[0]} {each[1]}" for each in FULL])
def test_a_full_disk_is_told_and_the_same_command_ends_well_when_there_is_room(
    disk, series, capsys, command, room, what
):
    out = disk / "out"
    ballast = fill(disk, leaving=room)
    assert what in refused(capsys, command, series, out, "No space left on device")
    require_whole(out)
    assert unfinished(out) == []
    ballast.unlink()
    resume = " --resume" if (out / "checkpoint.pt").is_file() else ""
    assert run(capsys, command + resume, series, out) == (0, "")
    names = require_whole(out)
    assert {"result.json", "campaign.json", "truth.json", "refinement.toml"} & names
    assert all('"failed"' not in path.read_text() for path in out.rglob("run.json"))


@pytest.mark.parametrize("command", [*WRITING, INIT], ids=lambda command: command.split()[0])
def test_a_directory_that_must_not_be_written_in_is_told_before_anything_is_computed(
    disk, series, capsys, monkeypatch, command
):
    monkeypatch.setattr("torchref_kinetic_plugin.refinement.preparation.prepare_experiment", None)
    out = disk / "out"
    out.mkdir()
    (out / "result.json").write_text("{}")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    refused(capsys, command, series, out, "Read-only file system")
    assert [path.name for path in out.iterdir()] == ["result.json"]


@pytest.mark.parametrize("command", WRITING, ids=lambda command: command.split()[0])
def test_two_runs_in_one_directory_are_refused_before_anything_is_computed(
    series, tmp_path, capsys, monkeypatch, command
):
    monkeypatch.setattr("torchref_kinetic_plugin.refinement.preparation.prepare_experiment", None)
    out = tmp_path / "out"
    out.mkdir()
    (out / ".unfinished-rates-a.csv").write_text("what the other run is writing")
    with lock(tmp_path / "out"):
        (out / ".unfinished-rates-b.csv").write_text("what the other run is writing")
        code, said = run(capsys, command, series, out)
        assert code == 2
        assert f"{str(out)!r} is in use by another run (process " in said
        assert said.count("\n") == 1
        assert [path.name for path in unfinished(out)] == [".unfinished-rates-b.csv"]


def test_a_log_that_is_on_a_full_disk_is_told():
    with Path("/dev/full").open("w") as full:
        found = subprocess.run([PROGRAM, "plugins"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    message = "torchref.kinetic plugins: cannot print any more: No space left on device\n"
    assert (found.returncode, found.stderr) == (2, message)
