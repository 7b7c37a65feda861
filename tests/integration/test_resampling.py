"""``profile``, ``bootstrap`` and ``starts`` as a user types them, on the shipped example at low resolution."""

import csv
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from torchref_kinetic_plugin import bootstrap, profile, refine, starts
from torchref_kinetic_plugin.cli.main import main
from torchref_kinetic_plugin.errors import InputError

EXAMPLE = Path(__file__).parents[2] / "example_data" / "photocycle"
LOW = {"refinement.d_min": 3.5}


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """A copy of the example with the true structures."""
    directory = tmp_path_factory.mktemp("photocycle")
    for file in EXAMPLE.glob("*.mtz"):
        shutil.copy(file, directory)
    for file in ("dark.pdb", "i1.pdb", "i2.pdb"):
        shutil.copy(EXAMPLE / "truth" / file, directory)
    shutil.copy(EXAMPLE / "refinement.toml", directory)
    return directory


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_profile_writes_and_prints_intervals_about_the_refinement(campaign, capsys):
    file = campaign / "refinement.toml"
    assert main(["profile", str(file), "--d-min", "3.5", "--parameter", "B->C", "efficiency A->B"]) == 0
    printed = capsys.readouterr().out
    assert "profile of the rate constant of B->C" in printed
    assert "95 % by covariance" in printed
    content = json.loads((campaign / "refined" / "profiles.json").read_text())
    assert content["schema"] == 1
    rate, yield_ = content["profiles"]
    assert (rate["name"], yield_["kind"]) == ("B->C", "efficiency")
    assert rate["lower"] < 2e6 < rate["upper"]
    assert yield_["lower"] < 0.3 < yield_["upper"]
    # The covariance's interval is close to it, and told beside.
    (first, _) = content["by_curvature"]
    assert rate["lower"] == pytest.approx(first["lower"], rel=0.05)
    rows = table(campaign / "refined" / "profiles.csv")
    assert list(rows[0]) == ["experiment", "kind", "name", "unit", "best", "lower", "upper", "value", "drop"]
    assert len(rows) == len(rate["points"]) + len(yield_["points"])
    for suffix in ("png", "svg"):
        assert (campaign / "refined" / "plots" / f"profiles.{suffix}").stat().st_size > 5000


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("B->D", "unknown parameter 'B->D' (did you mean 'B->C'?); allowed: B->C, C->A, A->B"),
        ("efficiency B->C", "'efficiency B->C' is not refined; refined: 298K: rate_constant B->C"),
    ],
)
def test_wrong_names_are_told_with_what_there_is(campaign, capsys, name, message):
    assert main(["profile", str(campaign / "refinement.toml"), "--d-min", "3.5", "--parameter", name]) == 2
    assert message in capsys.readouterr().err


def test_a_file_that_refines_no_kinetics_is_refused(campaign):
    with pytest.raises(InputError, match='has no "kinetics"'):
        profile(campaign / "refinement.toml", overrides={"refinement.refine": ["scale"]})


def test_structures_that_are_not_refined_yet_are_asked_for(campaign, tmp_path):
    keys = LOW | {"refinement.refine": ["kinetics", "structures", "scale"]}
    with pytest.raises(InputError, match=r"refine it first: torchref.kinetic refine"):
        profile(campaign / "refinement.toml", output=tmp_path / "none", overrides=keys)


def test_profiles_are_at_refined_structures_where_the_file_refines_them(campaign, tmp_path):
    keys = LOW | {"refinement.refine": ["kinetics", "structures", "scale"], "refinement.cycles": 1}
    keys |= {"output.maps": False, "output.plots": False}
    file, output = campaign / "refinement.toml", tmp_path / "joint"
    done = refine(file, output=output, overrides=keys)
    report = profile(file, ["B->C"], output=output, overrides=keys)
    (remark,) = report.remarks
    assert "structures are those refined in" in remark
    # The same structures to the digits of their files: the same rate.
    (found,) = report.profiles
    estimate = done.parameter("rate_constant", "B->C")
    assert found.value == pytest.approx(estimate.value, rel=0.2 * estimate.std_error_ln)
    shutil.copy(campaign / "t01.mtz", campaign / "kept.mtz")
    try:
        shutil.copy(campaign / "t02.mtz", campaign / "t01.mtz")
        with pytest.raises(InputError, match=r"t01\.mtz changed since the structures"):
            profile(file, output=output, overrides=keys)
    finally:
        (campaign / "kept.mtz").replace(campaign / "t01.mtz")


def test_bootstrap_gives_the_same_bits_whoever_computes(campaign, tmp_path):
    file = campaign / "refinement.toml"
    reports = [
        bootstrap(file, 2, output=tmp_path / str(workers), builtin_only=True, overrides=LOW, workers=workers)
        for workers in (1, 2)
    ]
    with ThreadPoolExecutor(2) as pool:
        options = {"output": tmp_path / "threads", "builtin_only": True, "overrides": LOW}
        reports.append(bootstrap(file, 2, executor=pool, **options))
    assert reports[0] == reports[1] == reports[2]
    assert reports[0].numbers == (1, 2)
    assert len({value for each in reports[0].estimates for value in each.values}) == 6
    texts = [(tmp_path / name / "bootstrap.json").read_text() for name in ("1", "2", "threads")]
    assert texts[0] == texts[1] == texts[2]
    rows = table(tmp_path / "1" / "bootstrap.csv")
    assert [row["draw"] for row in rows] == ["1", "2"] * 3
    assert (tmp_path / "1" / "plots" / "bootstrap.png").stat().st_size > 5000


def test_starts_as_a_user_types_them(campaign, tmp_path, capsys):
    arguments = ["starts", str(campaign / "refinement.toml"), "-n", "3", "--workers", "1", "--no-plugins"]
    assert main([*arguments, "--d-min", "3.5", "-o", str(tmp_path)]) == 0
    assert "3 starts" in capsys.readouterr().out
    content = json.loads((tmp_path / "starts.json").read_text())
    assert [each["minimum"] for each in content["outcomes"]] == [1, 1, 1]
    assert {each["number"] for each in content["outcomes"]} == {0, 1, 2}
    assert (tmp_path / "plots" / "waterfall.png").stat().st_size > 5000
    rows = table(tmp_path / "starts.csv")
    assert len(rows) == 9
    # The first start is that of the file.
    (own,) = (row for row in rows if row["start"] == "0" and row["name"] == "B->C")
    assert float(own["started"]) == pytest.approx(4e5)


def test_too_few_draws_are_refused(campaign, capsys):
    assert main(["bootstrap", str(campaign / "refinement.toml"), "-n", "1"]) == 2
    assert "n = 1: at least 2 draws are wanted" in capsys.readouterr().err
    with pytest.raises(InputError, match="n = 0: at least 1 start"):
        starts(campaign / "refinement.toml", 0)
