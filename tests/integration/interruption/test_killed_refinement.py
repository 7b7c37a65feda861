"""A joint refinement killed again and again: nothing is half written, and it ends as if nothing had been."""

import time
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.interruption.commands import KILLS, completed, killed, moments, small_series
from tests.integration.interruption.files_whole import numbers_of, require_whole, unfinished
from torchref_kinetic_plugin.cli.main import main


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The refinement file, what a run that nothing stops leaves, and the seconds that it takes."""
    path = small_series(tmp_path_factory.mktemp("series")) / "joint.toml"
    begun = time.perf_counter()
    completed("refine", path, "-o", path.parent / "whole")
    return path, path.parent / "whole", time.perf_counter() - begun


def resumed(path, directory):
    """The command, with --resume wherever there is something to resume."""
    command = ["refine", path, "-o", directory]
    return [*command, "--resume"] if (directory / "checkpoint.pt").is_file() else command


def test_killed_at_any_moment_it_ends_with_the_same_numbers(unbroken):
    path, whole, length = unbroken
    everything, expected = require_whole(whole), numbers_of(whole)
    assert {"result.json", "deposition.cif", "report.html", "structures/I1.cif", "checkpoint.pt"} <= everything
    directory, at, left = path.parent / "parts0", Counter(), 0
    chance = moments(length, seed=1)
    while at.total() < KILLS - KILLS // 2:
        stage = killed(next(chance), *resumed(path, directory))
        names = require_whole(directory)
        assert names <= everything
        # Who finds a result finds everything.
        assert "result.json" not in names or names == everything
        if stage is None:
            assert unfinished(directory) == []
            assert numbers_of(directory) == expected
            directory = path.parent / f"parts{at.total()}"
        else:
            at[stage] += 1
            left += len(unfinished(directory))
    completed(*resumed(path, directory))
    assert require_whole(directory) == everything
    assert unfinished(directory) == []
    assert numbers_of(directory) == expected
    print(f"\nrefinement of {length:.0f} s, killed at: {dict(at)}; {left} files were being written")


def changed(name, old, new):
    """What spoils a file: text in it replaced."""
    return name, lambda path: path.write_bytes(path.read_bytes().replace(old, new, 1))


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (("t01.mtz", Path.unlink), "'t01.mtz': there is no such file"),
        (changed("t01.mtz", b"simulated", b"Simulated"), "cannot resume: t01.mtz changed since the checkpoint was"),
        (changed("i1.pdb", b"ATOM", b"REMARK\nATOM"), "cannot resume: i1.pdb changed since the checkpoint was written"),
        (changed("joint.toml", b"cycles = 2", b"cycles = 3"), "cannot resume: the refinement file changed since"),
    ],
    ids=["vanished", "other data", "another model", "other settings"],
)
def test_what_is_not_as_it_was_is_not_gone_on_with(unbroken, capsys, spoilt, message):
    path, whole, _ = unbroken
    before = {each: each.read_bytes() for each in whole.rglob("*") if each.is_file() and each.name != ".lock"}
    name, spoil = spoilt
    content = (path.parent / name).read_bytes()
    spoil(path.parent / name)
    code = main(["refine", str(path), "-o", str(whole), "--resume", "-q"])
    (path.parent / name).write_bytes(content)
    assert code == 2
    said = capsys.readouterr().err
    assert message in said.replace(f"{path.parent}/", "")
    assert "Traceback" not in said
    assert {each: each.read_bytes() for each in before} == before
