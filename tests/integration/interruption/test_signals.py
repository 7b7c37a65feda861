"""Ctrl-C, and a queue that ends a job: exit code 130, one line that says how to go on, nothing half written."""

import os
import shutil
import signal

import pytest

from tests.integration.interruption.commands import begin, end, small_series
from tests.integration.interruption.files_whole import require_whole, unfinished

ANEW = "no result was written: the same command begins anew"
RESUME = "what is finished is kept: the same command with --resume goes on from there"
OTHERS = "finished runs are kept: the same command goes on with the others"

#: What is typed, what it prints when the signal comes, and what it says then.
LONG = [
    ("check refinement.toml", "structure factors and scales", ANEW),
    ("refine refinement.toml -o out", "fit, amplitudes", ANEW),
    ("refine joint.toml -o out", "refining dark", ANEW),
    ("refine joint.toml -o out", "choosing what moves", RESUME),
    ("refine joint.toml -o out --resume", "reading structures", "what was finished is kept: the same command goes on from there"),
    ("compare refinement.toml --scheme A->B -o out", "fitting", ANEW),
    ("profile refinement.toml -o out", "fit", ANEW),
    ("bootstrap refinement.toml -n 3 --workers 2 -o out", "fit to the data", ANEW),
    ("starts refinement.toml -n 3 --workers 2 -o out", "preparing", ANEW),
    ("simulate simulation.toml -o out", "simulating", ANEW),
    ("campaign campaign.toml --workers 1 -o out", "1 of 3", OTHERS),
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A refinement of kinetics, one of structures too, a campaign, and a simulation."""
    return small_series(tmp_path_factory.mktemp("made"))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=lambda sent: sent.name)
@pytest.mark.parametrize(("command", "line", "hint"), LONG, ids=[f"{each[0].split()[0]}: {each[1]}" for each in LONG])
def test_a_signal_ends_it_with_what_is_to_be_done(made, tmp_path, monkeypatch, sent, command, line, hint):
    monkeypatch.chdir(shutil.copytree(made, tmp_path / "series"))
    process = begin(*command.split())
    while not (printed := process.stdout.readline()).startswith(line):
        assert printed, process.communicate()
    # As from a terminal, where it reaches all processes.
    os.killpg(process.pid, sent)
    code, _, said = end(process)
    assert (code, said) == (130, f"\ntorchref.kinetic {command.split()[0]}: interrupted; {hint}\n")
    out = tmp_path / "series" / "out"
    names = require_whole(out)
    assert ("checkpoint.pt" in names) == (hint == RESUME)
    assert ("campaign.html" in names) == (hint == OTHERS)
    assert "result.json" not in names
    # A campaign ends its processes at once, whatever they are writing; the next start removes that.
    assert unfinished(out) == [] or hint == OTHERS
