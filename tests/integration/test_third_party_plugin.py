"""The plugin that docs/plugins.md is written about: installed and run as its users would."""

import csv
import json
import math
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from torchref_kinetic_plugin.cli.main import main

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "docs" / "example_plugin"
EXAMPLE = ROOT / "example_data" / "photocycle"
#: Of the example: I2 just after I1 has gone, by the closed formula of A->B->C->A.
TAU, YIELD = 50e-6, 0.3 / (1.0 - 0.5 / 50.0)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A directory with the plugin and nothing else, in which its entry point is found."""
    directory = tmp_path_factory.mktemp("third_party")
    # Building leaves its traces in the source.
    shutil.copytree(SOURCE, directory / "source", ignore=shutil.ignore_patterns("__pycache__", "refined", "build"))
    options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]
    target = directory / "installed"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", target, directory / "source"], check=True
    )
    return target


def command(installed, *arguments):
    """Output of a command in which the plugin is installed beside the package."""
    program = Path(sys.executable).with_name("torchref.kinetic")
    path = os.pathsep.join([str(installed), str(ROOT)])
    done = subprocess.run(
        [program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def refined(installed, tmp_path_factory):
    """Output directory of the plugin's own refinement file."""
    output = tmp_path_factory.mktemp("refined")
    printed = command(installed, "refine", SOURCE / "refinement.toml", "-o", output)
    assert "converged" in printed
    return output


@pytest.fixture
def importable(installed, monkeypatch):
    """The plugin in this process, and gone from it afterwards."""
    monkeypatch.syspath_prepend(installed)
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "torchref_stretched"]:
        del sys.modules[name]


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def section(path):
    """Rows of the plugin's section: quantity to value and interval."""
    rows = [line.strip("| ").split(" | ") for line in path.read_text().splitlines() if line.startswith("| 298K")]
    return {quantity: (value, interval) for _, quantity, value, interval in rows}


def microseconds(text):
    (number,) = re.fullmatch(r"([\d.]+) us", text).groups()
    return float(number) * 1e-6


def test_it_is_listed_with_version_and_hooks(installed):
    printed = command(installed, "plugins")
    (row,) = [line for line in printed.splitlines() if line.strip().startswith("stretched ")]
    assert row.split()[:4] == ["stretched", "torchref-stretched", "1.0.0", "stretched"]
    for hook in ("occupancy_providers", "refinement_started", "cycle_finished", "refinement_finished"):
        assert hook in printed
    assert "report_sections" in printed
    assert 'occupancy = "stretched": one structure relaxes as a stretched exponential' in printed
    assert "failed" not in printed


def test_it_finds_what_the_example_holds(refined):
    result = json.loads((refined / "result.json").read_text())
    assert result["provider"] == "stretched"
    assert result["converged"] is True
    # One reference, so there is no null test; nothing else is odd.
    assert [remark.split(";")[0] for remark in result["remarks"]] == [
        "298K: no null test, which needs a second reference"
    ]
    found = {each["name"]: each for each in result["parameters"]}
    for name, true, allowed in (
        ("ln_tau", math.log(TAU), 0.1),
        ("ln_beta", 0.0, 0.15),
        ("logit_yield", math.log(YIELD / (1.0 - YIELD)), 0.1),
    ):
        assert found[name]["value"] == pytest.approx(true, abs=allowed)
        assert found[name]["lower"] < true < found[name]["upper"]


def test_its_section_is_written(refined):
    text = (refined / "sections.md").read_text()
    assert text.startswith("## Stretched exponential relaxation\n")
    rows = section(refined / "sections.md")
    assert set(rows) == {"tau", "beta", "yield", "mean relaxation time"}
    for quantity in ("tau", "mean relaxation time"):
        value, interval = rows[quantity]
        lower, upper = map(microseconds, interval.split(" to "))
        assert microseconds(value) == pytest.approx(TAU, rel=0.1)
        assert lower < TAU < upper < 1.3 * TAU
    assert float(rows["yield"][0]) == pytest.approx(YIELD, abs=0.02)


def test_its_events_happened_where_the_user_asked_for_output(refined):
    start, end = table(refined / "stretched.csv")
    assert start == {"stage": "start", "experiment": "298K", "tau_s": "1e-05", "beta": "1", "yield": "0.5"}
    assert end["stage"] == "end"
    assert float(end["tau_s"]) == pytest.approx(TAU, rel=0.1)


@pytest.mark.usefixtures("importable")
def test_a_relaxation_that_is_stretched(tmp_path):
    """The truth is the plugin's too: a simulation file names its provider as a refinement file does."""
    states = "states = [" + ", ".join(
        f'{{name = "{name}", file = "{(EXAMPLE / "truth" / file).as_posix()}"}}'
        for name, file in (("dark", "dark.pdb"), ("I2", "i2.pdb"))
    )
    delays = ["300 ns", "2 us", "10 us", "40 us", "200 us"]
    (tmp_path / "simulation.toml").write_text(
        f'[simulation]\noccupancy = "stretched"\nd_min = 2.2\ndelays = {delays}\nfree_fraction = 0.1\n'
        f'[structures]\n{states}]\n[stretched]\ntau = "20 us"\nbeta = 0.6\nyield = 0.35\n'
    )
    assert main(["simulate", str(tmp_path / "simulation.toml"), "-o", str(tmp_path / "series"), "-q"]) == 0
    points = [f'{{time = "{delay}", file = "series/t{n:02d}.mtz"}}' for n, delay in enumerate(delays, start=1)]
    (tmp_path / "refinement.toml").write_text(
        f'[refinement]\noccupancy = "stretched"\n[structures]\n{states}]\n'
        f'[[experiment]]\nname = "298K"\nreferences = ["series/dark.mtz"]\ntimepoints = [{", ".join(points)}]\n'
        '[stretched]\ntau = "100 us"\n[output]\nmaps = false\nplots = false\n'
    )
    assert main(["refine", str(tmp_path / "refinement.toml"), "-q"]) == 0
    end = table(tmp_path / "refined" / "stretched.csv")[-1]
    for name, true, allowed in (("tau_s", 20e-6, 0.15), ("beta", 0.6, 0.15), ("yield", 0.35, 0.1)):
        assert float(end[name]) == pytest.approx(true, rel=allowed)
    value, interval = section(tmp_path / "refined" / "sections.md")["mean relaxation time"]
    mean = 20e-6 * math.gamma(1.0 + 1.0 / 0.6)
    assert microseconds(value) == pytest.approx(mean, rel=0.25)
    lower, upper = map(microseconds, interval.split(" to "))
    assert lower < mean < upper


@pytest.mark.usefixtures("importable")
def test_its_own_tests_pass():
    checks = runpy.run_path(str(SOURCE / "test_contract.py"))
    names = [name for name in checks if name.startswith("test_")]
    assert len(names) == 4
    for name in names:
        checks[name]()


@pytest.mark.usefixtures("importable")
def test_it_leaves_refinements_with_other_providers_alone():
    from torchref_stretched import plugin

    class Provider:
        provider = "kinetics"

    class Run:
        provider = Provider()

    plugin.torchref_kinetic_refinement_started(Run())
    plugin.torchref_kinetic_cycle_finished(Run())
    plugin.torchref_kinetic_refinement_finished(Run())
    assert plugin.torchref_kinetic_report_sections(Provider()) == []


@pytest.mark.usefixtures("importable")
def test_a_cycle_is_a_line_of_the_history(tmp_path):
    from torchref_kinetic_plugin.plugins import ExperimentSchedule
    from torchref_stretched.plugin import build_stretched, torchref_kinetic_cycle_finished
    from torchref_stretched.settings import StretchedSettings

    schedule = ExperimentSchedule("298K", (1e-6,))

    class Run:
        class provider:  # noqa: N801
            provider = "stretched"
            names = ("298K",)
            modules_by_experiment = build_stretched(StretchedSettings(tau="5 us"), [schedule], ("dark", "I2"), 1)

        class loaded:  # noqa: N801
            class file:  # noqa: N801
                class output:  # noqa: N801
                    directory = tmp_path

    torchref_kinetic_cycle_finished(Run)
    assert (tmp_path / "stretched.csv").read_text().split() == ["cycle,298K,5e-06,1,0.5"]


@pytest.mark.usefixtures("importable")
def test_three_structures_are_refused(tmp_path, capsys):
    text = (EXAMPLE / "refinement.toml").read_text().replace('occupancy = "kinetics"', 'occupancy = "stretched"')
    text = re.sub(r'"([\w.]+\.(?:mtz|pdb))"', lambda match: f'"{(EXAMPLE / match[1]).as_posix()}"', text)
    (tmp_path / "refinement.toml").write_text(text + '\n[stretched]\ntau = "10 us"\n')
    assert main(["check", str(tmp_path / "refinement.toml")]) == 2
    assert "needs two structures, the one before the trigger first, not 3: dark, I1, I2" in capsys.readouterr().err


def test_the_page_shows_the_package_as_it_is():
    page = (ROOT / "docs" / "plugins.md").read_text()
    blocks = re.findall(r"```(?:python|toml)\n(.*?)```", page, re.DOTALL)
    files = [path for pattern in ("*.toml", "*.py", "torchref_stretched/[!_]*.py") for path in SOURCE.glob(pattern)]
    texts = {path: path.read_text() for path in files}
    assert len(blocks) > len(files) == 7
    for block in blocks:
        assert any(block in text for text in texts.values()), f"stands in no file of the package:\n{block}"
    for path, text in texts.items():
        assert any(block in text for block in blocks), f"the page shows nothing of {path.name}"


def test_the_commands_that_its_readme_shows_are_those_of_these_tests():
    """Installed as `installed` does it, into this environment instead, and run as `refined` does."""
    shown = re.findall(r"^    (\S.*)$", (SOURCE / "README.md").read_text(), re.M)
    assert [shlex.split(line) for line in shown] == [
        ["pip", "install", SOURCE.relative_to(ROOT).as_posix()],
        ["torchref.kinetic", "refine", (SOURCE / "refinement.toml").relative_to(ROOT).as_posix()],
    ]


def test_every_setting_is_documented():
    page = (SOURCE / "README.md").read_text()
    settings = (SOURCE / "torchref_stretched" / "settings.py").read_text()
    names = set(re.findall(r"^    (\w+): ", settings, re.M)) - {"excited"} | {"yield"}
    assert len(names) == 6
    for name in names:
        assert f"`{name}`" in page, name
