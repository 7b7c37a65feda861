"""``torchref.kinetic compare`` as a user types it, on the shipped example at low resolution."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from torchref_kinetic_plugin import compare
from torchref_kinetic_plugin.cli.main import main
from torchref_kinetic_plugin.errors import InputError

EXAMPLE = Path(__file__).parents[2] / "example_data" / "photocycle"
SHORT = "A->B,B->A"


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """The example with its true structures to 3.5 A, four delays."""
    directory = tmp_path_factory.mktemp("photocycle")
    for file in ("dark.mtz", "t01.mtz", "t04.mtz", "t05.mtz", "t06.mtz"):
        shutil.copy(EXAMPLE / file, directory)
    for file in ("dark.pdb", "i1.pdb", "i2.pdb"):
        shutil.copy(EXAMPLE / "truth" / file, directory)
    text = (EXAMPLE / "refinement.toml").read_text().replace("d_min = 1.7", "d_min = 3.5\nstarts = 1")
    lines = [line for line in text.splitlines() if not any(f"t0{number}.mtz" in line for number in (2, 3, 7, 8))]
    (directory / "refinement.toml").write_text("\n".join(lines))
    return directory


def changed(campaign, name, *changes):
    text = (campaign / "refinement.toml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (campaign / name).write_text(text)
    return str(campaign / name)


def test_two_schemes_of_one_file(campaign, tmp_path, capsys):
    file = str(campaign / "refinement.toml")
    assert main(["compare", file, "--scheme", SHORT, "-o", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "4 timepoints left out" in printed
    assert "worse by more than two standard errors: A->B,B->A (lower by" in printed
    with (tmp_path / "out" / "comparison.csv").open() as opened:
        rows = list(csv.DictReader(opened))
    assert [row["scheme"] for row in rows] == ["A->B,B->C,C->A", SHORT]
    assert [row["rank"] for row in rows] == ["1", "2"]
    assert rows[1]["tied"] == "False"
    assert float(rows[1]["difference"]) < -2.0 * float(rows[1]["std_error"])
    assert int(rows[0]["n_parameters"]) == int(rows[1]["n_parameters"]) + 1
    found = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert found["schema"] == 1
    assert found["n_held_out"] == 4
    assert found["schemes"][0]["held_out"] == pytest.approx(float(rows[0]["held_out"]))
    assert found["ratios"] == []
    assert len(found["inputs"]) == 9


def test_a_scheme_in_the_file_and_two_files_of_the_same_data(campaign):
    """The alternative that the first names is its own scheme, spelt otherwise, which is no other."""
    one = changed(campaign, "one.toml", ("[refinement]", 'schemes = ["A->B, B->C, C->A"]\n[refinement]'))
    other = changed(
        campaign, "other.toml", ('scheme = "A->B,B->C,C->A"', 'scheme = "A->B,B->C"'), (', "C->A" = "1/(10 us)"', "")
    )
    found = compare(one, other, overrides={"refinement.d_min": 4.0})
    assert [each.name for each in found.schemes] == ["one.toml", "other.toml"]
    (ratio,) = found.ratios
    assert (ratio.smaller, ratio.larger, ratio.freedom) == ("other.toml", "one.toml", 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([('time = "800 ns"', 'time = "900 ns"')], "900_ns has a delay of 900 ns and 800 ns"),
        ([("t04.mtz", "copy.mtz")], "what 800_ns measured differs"),
        ([("d_min = 3.5", "d_min = 3.6")], "reflections, not the same ones; the same d_min?"),
        ([('free = "R-free-flags"', 'free = ""')], "the free set differs"),
        ([('    {time = "20 us", file = "t06.mtz"},', "")], "3 and 4 timepoints"),
    ],
)
def test_other_data_are_refused_and_named(campaign, capsys, changes, message):
    shutil.copy(EXAMPLE / "t02.mtz", campaign / "copy.mtz")
    other = changed(campaign, "wrong.toml", *changes)
    assert main(["compare", str(campaign / "refinement.toml"), other, "-q"]) == 2
    said = capsys.readouterr().err
    assert "wrong.toml' and " in said
    assert "not of the same data: 298K: " in said
    assert message in said


def test_what_else_is_refused(campaign, capsys):
    file = str(campaign / "refinement.toml")
    for arguments, message in (
        ([file], "one scheme alone"),
        ([file, "--scheme", "A->B, B->C, C->A"], "one scheme alone"),
        ([file, "--scheme", "A->B,B->D"], "no structure is known of D"),
        ([file, "--scheme", "A=>B"], "cannot read 'A=>B'"),
        ([file, file, "--scheme", SHORT], "for one file"),
    ):
        assert main(["compare", *arguments, "-q"]) == 2
        assert message in capsys.readouterr().err
    still = changed(campaign, "still.toml", ('refine = ["kinetics", "scale"]', 'refine = ["scale"]'))
    with pytest.raises(InputError, match="no scheme is fitted"):
        compare(still, schemes=[SHORT])
    free = changed(campaign, "free.toml", ('occupancy = "kinetics"', 'occupancy = "unrestrained"'))
    with pytest.raises(InputError, match="occupancy is 'unrestrained'"):
        compare(free, schemes=[SHORT])
