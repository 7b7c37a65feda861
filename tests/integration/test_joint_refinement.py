"""Structures and kinetics refined together, as a user would: the shipped example, an interruption, a resumption."""

import csv
import json
import shutil
from pathlib import Path

import gemmi
import numpy as np
import pytest

from tests.unit.plugins import fakes
from torchref_kinetic_plugin import refine
from torchref_kinetic_plugin.cli.main import main
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.plugins import PluginManager, hookimpl
from torchref_kinetic_plugin.refinement import joint_fit
from torchref_kinetic_plugin.structures import load_files

EXAMPLE = Path(__file__).parents[2] / "example_data" / "photocycle"

#: Below the example's [output]: what the numbers do not need.
ONLY_NUMBERS = """maps = false
plots = false
report = false
deposition = false
[validation]
leave_out = false
free_occupancies = false
null_test = false
"""


def campaign(directory, **changes):
    """A copy of the example that asks for structures."""
    for file in (*EXAMPLE.glob("*.mtz"), *EXAMPLE.glob("*.pdb")):
        shutil.copy(file, directory)
    text = (EXAMPLE / "refinement.toml").read_text()
    text = text.replace('["kinetics", "scale"]', '["kinetics", "structures", "scale"]')
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (directory / "refinement.toml").write_text(text)
    return directory / "refinement.toml"


@pytest.fixture(scope="module")
def refined(tmp_path_factory):
    """Output directory of the whole refinement, from structures 0.2 A and rates a factor of 5 off."""
    path = campaign(tmp_path_factory.mktemp("joint"))
    assert main(["refine", str(path), "--quiet"]) == 0
    return path.parent / "refined"


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_rates_and_yield(refined):
    rows = {(row["kind"], row["name"]): row for row in table(refined / "rates.csv")}
    for key, true, allowed in (
        (("rate_constant", "B->C"), 2e6, 0.08),
        (("rate_constant", "C->A"), 2e4, 0.08),
        (("efficiency", "A->B"), 0.3, 0.12),
    ):
        assert float(rows[key]["value"]) == pytest.approx(true, rel=allowed)
        assert float(rows[key]["lower"]) < true < float(rows[key]["upper"])
    # The structures' freedom is in the interval: at fixed structures it is less than 0.009.
    assert float(rows["efficiency", "A->B"]["std_error_ln"]) > 0.011


def test_the_intermediates_are_found(refined):
    """R.m.s. error of the atoms that truly moved, against that of the structures given."""
    dark = load_files({"dark": EXAMPLE / "truth" / "dark.pdb"}).structures[0].atoms
    for name in ("I1", "I2"):
        true = load_files({name: EXAMPLE / "truth" / f"{name.lower()}.pdb"}).structures[0].atoms
        given = load_files({name: EXAMPLE / f"{name.lower()}.pdb"}).structures[0].atoms
        found = load_files({name: refined / "structures" / f"{name}.cif"}).structures[0].atoms
        moved = [
            key
            for key, place in true.index.items()
            if np.linalg.norm(true.xyz[place] - dark.xyz[dark.index[key]]) > 0.2
        ]
        errors = [
            np.sqrt(np.mean([np.sum((each.xyz[each.index[key]] - true.xyz[true.index[key]]) ** 2) for key in moved]))
            for each in (found, given)
        ]
        assert errors[1] == pytest.approx(0.2, abs=0.005)
        assert errors[0] < 0.4 * errors[1]


def test_the_reference_is_not_described_worse(refined):
    rows = [row for row in table(refined / "statistics.csv") if row["dataset"] == "dark"]
    last = max(int(row["cycle"]) for row in rows)
    first, end = (next(float(r["r_free"]) for r in rows if int(r["cycle"]) == cycle) for cycle in (0, last))
    assert end <= first + 0.001
    assert last >= 3


def test_difference_correlations_are_those_of_the_truth(refined):
    """On free reflections, as measured with the true structures."""
    at_truth = {"10_ns": 0.408, "50_ns": 0.422, "200_ns": 0.505, "800_ns": 0.593, "4_us": 0.641, "20_us": 0.562}
    at_truth |= {"100_us": 0.104, "1_ms": 0.024}
    rows = table(refined / "statistics.csv")
    last = max(int(row["cycle"]) for row in rows)
    found = {r["dataset"]: float(r["cc_diff_free"]) for r in rows if int(r["cycle"]) == last and r["cc_diff_free"]}
    assert found.keys() == at_truth.keys()
    for name, value in at_truth.items():
        assert found[name] == pytest.approx(value, abs=0.02), name


def test_the_result_tells_what_happened(refined):
    result = json.loads((refined / "result.json").read_text())
    assert result["converged"]
    numbers = [cycle["number"] for cycle in result["cycles"]]
    assert numbers == list(range(1, len(numbers) + 1))
    assert result["cycles"][0]["gain"] > 500.0 > result["cycles"][-1]["gain"]
    assert {"data", "bond", "similarity"} <= set(result["cycles"][0]["terms"])
    assert result["cycles"][-1]["parameters"]["298K efficiency A->B"] == pytest.approx(0.3, rel=0.1)
    shifts = {(each["structure"], each["residue"]): each for each in result["shifts"]}
    his = shifts["I1", "A/HIS 68"]
    assert his["rms"] == pytest.approx(2.5, abs=0.2)
    assert his["furthest"] == "NE2"
    assert 0.01 < his["std_error"] < 0.1
    assert shifts["I2", "A/THR 9"]["rms"] == pytest.approx(1.0, abs=0.15)
    for geometry in result["geometry"]:
        assert geometry["rms_bonds"] < 0.01
        assert geometry["rms_angles"] < 1.5
    assert any("A/68" in remark and "I1 moves" in remark for remark in result["remarks"])


def test_files(refined):
    names = {path.name for path in (refined / "structures").iterdir()}
    assert names == {"all.cif", "shifts.csv", *(f"{n}.{s}" for n in ("dark", "I1", "I2") for s in ("cif", "pdb"))}
    combined = gemmi.read_structure(str(refined / "structures" / "all.cif"))
    assert len(combined) == 3
    assert {path.name for path in (refined / "plots").iterdir()} >= {"history.png", "shifts.svg"}
    assert (refined / "checkpoint.pt").is_file()
    # What did not move is the reference's.
    dark, first = (gemmi.read_structure(str(refined / "structures" / f"{name}.pdb")) for name in ("dark", "I1"))
    dark_atom, first_atom = (structure[0]["A"]["25"][0]["CA"][0] for structure in (dark, first))
    assert dark_atom.pos.tolist() == first_atom.pos.tolist()


class _Interrupts:
    """A plugin that presses Ctrl-C after the first cycle, and one that only counts."""

    def __init__(self, *, after=None):
        self.after, self.seen = after, []

    @hookimpl
    def torchref_kinetic_cycle_finished(self, cycle):
        self.seen.append(cycle.number)
        if cycle.number == self.after:
            raise KeyboardInterrupt


def managed(plugin):
    return PluginManager(entry_points=[fakes.Installed("interrupts", plugin)])


def test_resuming_after_an_interruption_ends_with_the_same_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(joint_fit, "_STEPS", 2)
    quick = {"d_min = 1.7": "d_min = 3.5", "cycles = 5": "cycles = 2\nstop = false\nstarts = 1"}
    path = campaign(tmp_path, **quick)
    path.write_text(path.read_text() + ONLY_NUMBERS)
    whole = refine(path, output=tmp_path / "whole", plugins=PluginManager(builtin_only=True))
    with pytest.raises(KeyboardInterrupt):
        refine(path, output=tmp_path / "parts", plugins=managed(_Interrupts(after=1)))
    assert not (tmp_path / "parts" / "result.json").exists()
    counts = _Interrupts()
    resumed = refine(path, output=tmp_path / "parts", plugins=managed(counts), resume=True)
    assert counts.seen == [2]
    left_out = {"seconds", "inputs"}
    a, b = ({k: v for k, v in each.to_json().items() if k not in left_out} for each in (whole, resumed))
    assert a == b
    for name in ("dark", "I1", "I2"):
        assert (tmp_path / "whole/structures" / f"{name}.cif").read_bytes() == (
            tmp_path / "parts/structures" / f"{name}.cif"
        ).read_bytes()

    with pytest.raises(InputError, match="nothing to resume"):
        refine(path, output=tmp_path / "other", resume=True)
    changed = campaign(tmp_path, **quick, **{"seed = 1": "seed = 2"})
    with pytest.raises(InputError, match="the refinement file changed"):
        refine(changed, output=tmp_path / "parts", resume=True)
    (tmp_path / "parts" / "checkpoint.pt").write_bytes(b"nothing of use")
    with pytest.raises(InputError, match="not a checkpoint"):
        refine(path, output=tmp_path / "parts", resume=True)


def test_resuming_what_has_no_cycles_is_refused(tmp_path, capsys):
    path = campaign(tmp_path, **{'["kinetics", "structures", "scale"]': '["kinetics", "scale"]'})
    assert main(["refine", str(path), "--resume", "--quiet"]) == 2
    assert "--resume is for refinements of structures" in capsys.readouterr().err
