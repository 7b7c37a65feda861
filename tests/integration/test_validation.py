"""What a refinement says of its own worth, in files and on the screen, on the shipped example at low resolution."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from torchref_kinetic_plugin import refine
from torchref_kinetic_plugin.cli.main import main

EXAMPLE = Path(__file__).parents[2] / "example_data" / "photocycle"


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """The example with its true structures to 3 A, four delays, without maps."""
    directory = tmp_path_factory.mktemp("photocycle")
    for file in ("dark.mtz", "t01.mtz", "t04.mtz", "t05.mtz", "t06.mtz"):
        shutil.copy(EXAMPLE / file, directory)
    for file in ("dark.pdb", "i1.pdb", "i2.pdb"):
        shutil.copy(EXAMPLE / "truth" / file, directory)
    text = (EXAMPLE / "refinement.toml").read_text().replace("d_min = 1.7", "d_min = 3.0")
    text = text.replace("[output]", "[output]\nmaps = false")
    lines = [line for line in text.splitlines() if not any(f"t0{number}.mtz" in line for number in (2, 3, 7, 8))]
    (directory / "refinement.toml").write_text("\n".join(lines))
    return directory


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_files_and_screen(campaign, capsys):
    assert main(["refine", str(campaign / "refinement.toml")]) == 0
    printed = capsys.readouterr().out
    assert "Validation, 298K" in printed
    assert "no null test, which needs a second reference" in printed
    directory = campaign / "refined"
    left = table(directory / "left_out.csv")
    assert [row["timepoint"] for row in left] == ["10_ns", "800_ns", "4_us", "20_us"]
    for row in left:
        assert float(row["cc_left_out"]) == pytest.approx(float(row["cc_included"]), abs=0.1)
        assert float(row["cc_left_out"]) > 0.3
    truth = json.loads((EXAMPLE / "truth" / "truth.json").read_text())
    true = {each["time_s"]: each["occupancies"] for each in truth["datasets"]}
    kinetic = {
        (row["timepoint"], row["structure"]): float(row["time_s"]) for row in table(directory / "occupancies.csv")
    }
    free = table(directory / "free_occupancies.csv")
    assert len(free) == 12
    deviations = []
    for row in free:
        time = kinetic[row["timepoint"], row["structure"]]
        expected = next(values for at, values in true.items() if at is not None and np.isclose(at, time))
        deviations.append((float(row["occupancy"]) - expected[row["structure"]]) / float(row["std_error"]))
    assert np.abs(deviations).max() < 4.0
    assert [row["freedom"] for row in table(directory / "scheme_tests.csv")] == ["2"] * 4
    assert (directory / "null_tests.csv").read_text() == "experiment,dataset,excited,std_error\n"
    result = json.loads((directory / "result.json").read_text())
    assert len(result["validation"]["left_out"]) == 4
    assert (directory / "plots" / "298K_occupancies.png").stat().st_size > 5000


def test_what_is_not_asked_for_or_has_no_meaning_is_not_done(campaign, tmp_path):
    quick = {"refinement.d_min": 4.0, "output.plots": False, "refinement.starts": 1}
    off = {"validation.leave_out": False, "validation.free_occupancies": False, "validation.null_test": False}
    found = refine(campaign / "refinement.toml", output=tmp_path / "off", overrides=quick | off).validation
    assert (found.left_out, found.free_occupancies, found.scheme_tests, found.null_tests) == ((), (), (), ())
    still = {"refinement.refine": ["scale"]}
    found = refine(campaign / "refinement.toml", output=tmp_path / "still", overrides=quick | still)
    assert not found.validation.left_out
    assert not any("null test" in remark for remark in found.remarks)
    free = {"refinement.occupancy": "unrestrained", "validation.free_occupancies": True}
    stages = []
    found = refine(
        campaign / "refinement.toml",
        output=tmp_path / "free",
        overrides=quick | free,
        on_progress=lambda progress: stages.append(progress.stage),
    )
    assert "leaving out each timepoint" not in stages
    assert "null tests" in stages
    assert not found.validation.scheme_tests
