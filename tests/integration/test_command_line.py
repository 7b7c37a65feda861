"""The command line as a user types it, on the shipped example."""

import csv
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import gemmi
import numpy as np
import pytest

from tests.unit.output.html_page import Page
from torchref_kinetic_plugin.cli.main import VERBS, main
from torchref_kinetic_plugin.results import read_result

EXAMPLE = Path(__file__).parents[2] / "example_data" / "photocycle"


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """A copy of the example with the true structures, where rates and yield must be right."""
    directory = tmp_path_factory.mktemp("photocycle")
    for file in EXAMPLE.glob("*.mtz"):
        shutil.copy(file, directory)
    for file in ("dark.pdb", "i1.pdb", "i2.pdb"):
        shutil.copy(EXAMPLE / "truth" / file, directory)
    shutil.copy(EXAMPLE / "refinement.toml", directory)
    return directory


@pytest.fixture(scope="module")
def refined(campaign):
    """Output directory of a refinement from starts a factor of 5 away."""
    assert main(["refine", str(campaign / "refinement.toml"), "--quiet"]) == 0
    return campaign / "refined"


def instant(seconds):
    """A delay as a key: files have ten digits."""
    return f"{float(seconds):.8g}"


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_rates_and_yield_are_found(refined):
    rows = {(row["kind"], row["name"]): row for row in table(refined / "rates.csv")}
    for key, true, allowed in (
        (("rate_constant", "B->C"), 2e6, 0.15),
        (("rate_constant", "C->A"), 2e4, 0.15),
        (("efficiency", "A->B"), 0.3, 0.20),
    ):
        row = rows[key]
        assert float(row["value"]) == pytest.approx(true, rel=allowed)
        assert float(row["lower"]) < true < float(row["upper"])
    assert float(rows["rate_constant", "B->C"]["start"]) == pytest.approx(4e5)
    assert rows["rate_constant", "B->C"]["unit"] == "1/s"
    assert rows["efficiency", "B->C"]["std_error_ln"] == ""


def test_occupancies_and_statistics(refined):
    truth = json.loads((EXAMPLE / "truth" / "truth.json").read_text())
    rows = table(refined / "occupancies.csv")
    assert list(rows[0]) == ["experiment", "timepoint", "time_s", "structure", "occupancy", "lower", "upper"]
    found = {(instant(row["time_s"]), row["structure"]): float(row["occupancy"]) for row in rows}
    for dataset in truth["datasets"]:
        if dataset["time_s"] is not None:
            for name, value in dataset["occupancies"].items():
                assert found[instant(dataset["time_s"]), name] == pytest.approx(value, abs=0.03)
    rows = table(refined / "statistics.csv")
    last = {row["dataset"]: row for row in rows if row["cycle"] == "1"}
    assert len(last) == 9
    assert 0.15 < float(last["dark"]["r_work"]) < 0.17
    assert last["dark"]["cc_diff_free"] == ""
    assert float(last["800_ns"]["cc_diff_free"]) > 0.5
    before = {row["dataset"]: row for row in rows if row["cycle"] == "0"}
    assert float(last["4_us"]["cc_diff_free"]) > float(before["4_us"]["cc_diff_free"])


def test_result_json(refined):
    result = json.loads((refined / "result.json").read_text())
    assert result["schema"] == 1
    assert result["converged"] is True
    assert result["provider"] == "kinetics"
    assert result["n_observations_work"] == 58772
    assert result["steps"][-1]["objective"] < result["steps"][0]["objective"]
    assert len(result["inputs"]) == 12
    assert all(len(digest) == 64 for digest in result["inputs"].values())


def test_maps_open_by_themselves(refined):
    maps = sorted(path.name for path in (refined / "maps").iterdir())
    assert len(maps) == 16
    mtz = gemmi.read_mtz_file(str(refined / "maps" / "298K_800_ns.mtz"))
    assert {"FWT", "PHWT", "DELFWT", "PHDELWT"} <= {column.label for column in mtz.columns}
    difference = gemmi.read_mtz_file(str(refined / "maps" / "298K_800_ns_difference.mtz"))
    grid = difference.transform_f_phi_to_map("DELFWT", "PHDELWT", sample_rate=3)
    structures = [gemmi.read_structure(str(EXAMPLE / "truth" / file))[0] for file in ("dark.pdb", "i2.pdb")]
    dark, excited = ([site.atom for site in each.all()] for each in structures)
    moved = [pair for pair in zip(dark, excited, strict=True) if pair[0].pos.dist(pair[1].pos) > 1.5]
    left, taken = (np.mean([grid.interpolate_value(pair[i].pos) for pair in moved]) for i in (0, 1))
    sigma = float(np.std(np.array(grid, copy=False)))
    assert left < -2.0 * sigma
    assert taken > 1.5 * sigma


def test_plots_and_resolved_file(refined, tmp_path):
    names = {path.name for path in (refined / "plots").iterdir()}
    assert {"298K_occupancies.png", "298K_scheme.svg", "298K_agreement.png"} <= names
    assert all(path.stat().st_size > 5000 for path in (refined / "plots").iterdir())
    copy = tmp_path / "again.toml"
    text = (refined / "refinement.toml").read_text()
    copy.write_text(
        text.replace('file = "..', f'file = "{refined.as_posix()}/..').replace('["..', f'["{refined.as_posix()}/..')
    )
    assert main(["check", str(copy), "-q"]) == 0


def test_the_flag_is_all_it_takes(campaign, tmp_path):
    text = (campaign / "refinement.toml").read_text().replace('occupancy = "kinetics"', 'occupancy = "unrestrained"')
    (campaign / "free.toml").write_text(
        text.replace("[output]", "[output]\nmaps = false\nplots = false\nreport = false")
    )
    assert main(["refine", str(campaign / "free.toml"), "-q", "-o", str(tmp_path / "free")]) == 0
    truth = json.loads((EXAMPLE / "truth" / "truth.json").read_text())
    true = {
        (instant(dataset["time_s"]), name): value
        for dataset in truth["datasets"]
        if dataset["time_s"] is not None
        for name, value in dataset["occupancies"].items()
    }
    rows = table(tmp_path / "free" / "occupancies.csv")
    errors = [float(row["occupancy"]) - true[instant(row["time_s"]), row["structure"]] for row in rows]
    assert len(errors) == 24
    assert math.sqrt(np.mean(np.square(errors))) < 0.03
    assert sum(row["upper"] != "" for row in rows) == 24


def test_the_report_shows_what_was_found(refined):
    page = Page((refined / "report.html").read_text())
    rows = {(row["kind"], row["name"]): row for row in table(refined / "rates.csv")}
    shown = {row[1][0]: row[2][1] for row in page.body("parameters")}
    for kind, name, label in (
        ("rate_constant", "B->C", "B → C"),
        ("rate_constant", "C->A", "C → A"),
        ("efficiency", "A->B", "A → B"),
    ):
        assert shown[label] == pytest.approx(float(rows[kind, name]["value"]), rel=1e-9)
    occupancies = [float(row["occupancy"]) for row in table(refined / "occupancies.csv")]
    assert [cell[1] for row in page.body("occupancies-298K") for cell in row[2:]] == pytest.approx(occupancies)
    data = page.body("data-table")
    assert [row[0][0] for row in data] == ["dark", *(row[0][0] for row in page.body("occupancies-298K"))]
    assert data[0][3][0] == "7 202"
    assert data[0][5][0] == "98.1"
    assert all(row[7][1] > 0.9 for row in data[1:])
    assert len(page.body("inputs")) == 12
    assert page.text.count("Correlation of the two maps") >= 3
    assert "script" not in page.tags
    assert all(each.startswith(("#", "data:image/")) for each in page.addresses)


def test_views_show_that_what_moved_is_in_the_data(refined):
    views = read_result(refined / "result.json").map_views
    assert {each.structure for each in views} == {"I1", "I2"}
    assert all((refined / each.file).stat().st_size > 10_000 for each in views)
    histidines = [each for each in views if each.residue == "A/HIS 68"]
    assert len(histidines) == 2
    assert all(each.rms_shift > 2.0 and each.correlation > 0.8 for each in histidines)
    assert {each.timepoint for each in histidines} == {"10_ns", "4_us"}


def test_the_report_is_made_again_with_profiles_that_came_later(refined, tmp_path, capsys):
    directory = tmp_path / "refined"
    shutil.copytree(refined, directory)
    before = (directory / "report.html").read_text()
    assert main(["report", str(directory), "-q"]) == 0
    assert (directory / "report.html").read_text() == before
    rate = read_result(directory / "result.json").parameter("rate_constant", "B->C")
    points = [{"value": rate.value * factor, "drop": drop} for factor, drop in ((0.9, 4.0), (1.0, 0.0), (1.1, 4.1))]
    profile = {"experiment": "298K", "kind": "rate_constant", "name": "B->C", "unit": "1/s", "value": rate.value}
    profile |= {"points": points, "lower": 0.93 * rate.value, "upper": None, "remarks": []}
    (directory / "profiles.json").write_text(json.dumps({"profiles": [profile]}))
    assert main(["report", str(directory)]) == 0
    assert "report.html written" in capsys.readouterr().out
    (row,) = Page((directory / "report.html").read_text()).body("profiles")
    assert row[1][0] == "B → C"
    assert row[2][1] == rate.value


def test_a_report_needs_a_result(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "has no result.json" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    assert "no such directory" in capsys.readouterr().err


def test_from_python(campaign, tmp_path):
    from torchref_kinetic_plugin import refine

    stages = []
    result = refine(
        campaign / "refinement.toml",
        output=tmp_path / "out",
        overrides={"output.maps": False, "output.plots": False, "refinement.d_min": 2.2},
        on_progress=lambda progress: stages.append(progress.stage),
    )
    found = result.parameter("rate_constant", "B->C")
    assert found.value == pytest.approx(2e6, rel=0.25)
    assert found.refined
    assert stages[0] == "reading structures"
    assert stages[-2:] == ["writing", "report"]
    with pytest.raises(KeyError, match="rate_constant X->Y"):
        result.parameter("rate_constant", "X->Y")


def test_numbers_are_saved_though_a_writer_fails(campaign, tmp_path, monkeypatch):
    from torchref_kinetic_plugin import refine
    from torchref_kinetic_plugin.workflow import deposition_file

    def fail(*_):
        raise RuntimeError("no such item")

    monkeypatch.setattr(deposition_file, "write_deposition_of", fail)
    overrides = {"refinement.d_min": 3.0, "output.plots": False, "output.maps": False, "output.report": False}
    with pytest.raises(RuntimeError, match="no such item"):
        refine(campaign / "refinement.toml", output=tmp_path, overrides=overrides)
    row = next(each for each in table(tmp_path / "rates.csv") if each["name"] == "B->C")
    assert float(row["value"]) == pytest.approx(2e6, rel=0.3)
    saved = read_result(tmp_path / "result.json").parameter("rate_constant", "B->C")
    assert saved.value == pytest.approx(float(row["value"]), rel=1e-9)


def test_check_prints_the_data_table(campaign, capsys):
    assert main(["check", str(campaign / "refinement.toml")]) == 0
    printed = capsys.readouterr().out
    assert "dark      reference         7,202   32.7-1.70     98.1 %" in printed
    assert "58,772 observations to refine against, 4,273 free; 3 parameters of the occupancies." in printed
    assert "B->C   4e+05 1/s   2.50 us       yes" in printed


def test_all_errors_of_a_file_together(campaign, capsys):
    text = (campaign / "refinement.toml").read_text()
    text = text.replace("d_min = 1.7", 'd_min = "high"').replace("t03.mtz", "t33.mtz").replace("seed", "sed")
    text = text.replace('"C->A" = "1/(10 us)"', '"C->A" = "1/(10 parsec)"')
    (campaign / "wrong.toml").write_text(text)
    assert main(["refine", str(campaign / "wrong.toml")]) == 2
    message = capsys.readouterr().err
    assert "4 problems" in message
    assert "refinement.d_min" in message
    assert "did you mean 'seed'?" in message
    assert "experiment[1].timepoints[3].file" in message
    assert "parsec" in message
    assert "Traceback" not in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('refine = ["kinetics", "scale"]', 'refine = ["structure"]'), "did you mean 'structures'?"),
        (('occupancy = "kinetics"', 'occupancy = "kinetic"'), "did you mean 'kinetics'?"),
        (('C = "I2"', 'C = "I3"'), "I3"),
    ],
)
def test_refused(campaign, capsys, change, message):
    (campaign / "changed.toml").write_text((campaign / "refinement.toml").read_text().replace(*change))
    assert main(["refine", str(campaign / "changed.toml")]) == 2
    assert message in capsys.readouterr().err


def test_the_refinement_file_is_not_replaced(campaign, capsys):
    before = (campaign / "refinement.toml").read_text()
    assert main(["refine", str(campaign / "refinement.toml"), "-o", str(campaign)]) == 2
    assert "is that of the refinement file" in capsys.readouterr().err
    assert (campaign / "refinement.toml").read_text() == before


def test_a_device_that_is_not_there(campaign, capsys):
    assert main(["refine", str(campaign / "refinement.toml"), "--device", "abacus"]) == 2
    assert "device 'abacus' cannot be used here" in capsys.readouterr().err


def test_plugins_are_listed(capsys):
    assert main(["plugins", "--no-plugins"]) == 0
    printed = capsys.readouterr().out
    for name in ("builtin-kinetics", "builtin-unrestrained", "builtin-fixed"):
        assert name in printed


def test_simulate_then_start_then_check(tmp_path, capsys):
    (tmp_path / "simulation.toml").write_text(
        f"""
[simulation]
d_min = 2.5
delays = ["1 us", "20 us"]
references = 2
[structures]
states = [
    {{name = "dark", file = "{(EXAMPLE / "truth" / "dark.pdb").as_posix()}"}},
    {{name = "I1", file = "{(EXAMPLE / "truth" / "i1.pdb").as_posix()}"}},
]
[kinetics]
scheme = "A->B,B->A"
light_activated = true
state_mapping = {{A = "dark", B = "I1"}}
rate_constants = {{"A->B" = "inf", "B->A" = "1/(10 us)"}}
efficiencies = {{"A->B" = 0.4}}
"""
    )
    made = tmp_path / "series"
    assert main(["simulate", str(tmp_path / "simulation.toml"), "-o", str(made)]) == 0
    assert sorted(path.name for path in made.glob("[!.]*")) == [
        "dark1.mtz",
        "dark2.mtz",
        "t01.mtz",
        "t02.mtz",
        "truth.json",
    ]
    truth = json.loads((made / "truth.json").read_text())
    assert truth["datasets"][2]["occupancies"]["I1"] == pytest.approx(0.4 * math.exp(-0.1))
    assert main(["simulate", str(tmp_path / "simulation.toml"), "-o", str(made)]) == 2
    (made / "t01.mtz").rename(made / "t_1us.mtz")
    (made / "t02.mtz").rename(made / "t_20us.mtz")
    models = [str(EXAMPLE / "truth" / name) for name in ("dark.pdb", "i1.pdb")]
    data = [str(made / name) for name in ("dark1.mtz", "dark2.mtz", "t_1us.mtz", "t_20us.mtz")]
    assert main(["init", str(tmp_path / "run"), *models, *data]) == 0
    capsys.readouterr()
    assert main(["check", str(tmp_path / "run" / "refinement.toml")]) == 0
    printed = capsys.readouterr().out
    assert "20_us" in printed
    assert "dark2" in printed
    assert main(["init", str(tmp_path / "run"), *models, *data]) == 2
    assert "exists already" in capsys.readouterr().err


def test_help_imports_nothing_slow():
    code = "import sys; from torchref_kinetic_plugin.cli.main import build_parser; build_parser().format_help(); "
    code += "print([m for m in ('torch', 'torchref', 'gemmi', 'numpy', 'pydantic', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert set(VERBS) == {
        "refine",
        "check",
        "campaign",
        "compare",
        "init",
        "simulate",
        "report",
        "profile",
        "bootstrap",
        "starts",
        "plugins",
    }
