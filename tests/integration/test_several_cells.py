"""Two crystals of different cells refined together, as a user would: what is written, and going on after a stop."""

import csv
import json
import shutil

import gemmi
import numpy as np
import pytest

from tests.unit.plugins import fakes
from tests.unit.refinement import two_cells
from torchref_kinetic_plugin import refine
from torchref_kinetic_plugin.plugins import PluginManager, hookimpl
from torchref_kinetic_plugin.refinement import joint_fit

NAMES = [f"{form}_{name}.cif" for form in ("cold", "warm") for name in ("dark", "I1", "I2")]


class _Keeps:
    """A plugin that keeps the checkpoint of the first cycle, as if the run had been cut short there."""

    def __init__(self, directory):
        self.whole, self.parts = directory / "whole", directory / "parts"

    @hookimpl
    def torchref_kinetic_cycle_finished(self, cycle):
        if cycle.number == 1:
            self.parts.mkdir()
            shutil.copy(self.whole / "checkpoint.pt", self.parts)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    directory = tmp_path_factory.mktemp("cells")
    two_cells.write_warm(directory / "warm")
    path = two_cells.write_campaign(directory, two_cells.cold_and_warm(directory / "warm"), head="stop = false")
    plugins = PluginManager(entry_points=[fakes.Installed("keeps", _Keeps(directory))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joint_fit, "_STEPS", 6)
        yield path, refine(path, output=directory / "whole", plugins=plugins)


def test_each_form_has_its_files_in_its_own_cell(campaign):
    path, result = campaign
    written = path.parent / "whole" / "structures"
    names = {each.name for each in written.iterdir() if each.suffix == ".cif"}
    assert names == {*NAMES, "cold_all.cif", "warm_all.cif"}
    cells = [gemmi.read_structure(str(written / name)).cell.a for name in ("cold_I1.cif", "warm_I1.cif")]
    assert cells == pytest.approx([50.84, two_cells.WARM.a], rel=1e-5)
    with (written / "shifts.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[-1] == "experiment"
    found = {(row["experiment"], row["structure"], row["residue"]): float(row["rms"]) for row in rows}
    for form in ("cold", "warm"):
        assert found[form, "I1", "A/HIS 68"] == pytest.approx(2.5, abs=0.3)
    table = json.loads((path.parent / "whole" / "result.json").read_text())
    assert [each["experiment"] for each in table["geometry"]] == ["cold"] * 3 + ["warm"] * 3
    assert all(each["rms_bonds"] < 0.01 for each in table["geometry"])
    assert {"siblings", "similarity"} <= set(table["cycles"][-1]["terms"])
    assert result.cycles[1].terms["siblings"] > 0.0


def test_the_result_says_what_ties_the_forms(campaign):
    _, result = campaign
    remarks = "\n".join(result.remarks)
    assert "2 crystal forms, each with its own copy of the structures: cold; warm" in remarks
    assert "after superposition dark lies from the mean of the forms" in remarks
    assert "restrained to their mean with a width of" in remarks
    assert "A in cold, " in remarks


def test_resuming_ends_with_the_same_numbers(campaign, monkeypatch):
    path, whole = campaign
    monkeypatch.setattr(joint_fit, "_STEPS", 6)
    resumed = refine(path, output=path.parent / "parts", plugins=PluginManager(builtin_only=True), resume=True)
    assert resumed.cycles == whole.cycles
    assert resumed.parameters == whole.parameters
    assert resumed.shifts == whole.shifts
    for name in NAMES:
        here, there = (path.parent / each / "structures" / name for each in ("whole", "parts"))
        assert here.read_bytes() == there.read_bytes()


def test_the_references_of_the_forms_stay_apart(campaign):
    """They are refined against their own data; nothing makes them alike but that they were so at the start."""
    path, _ = campaign
    cold, warm = (
        np.array([site.atom.pos.tolist() for site in gemmi.read_structure(str(file))[0].all()])
        for file in (path.parent / "whole" / "structures" / f"{form}_dark.cif" for form in ("cold", "warm"))
    )
    shift = warm - cold
    assert np.linalg.norm(shift.mean(axis=0)) == pytest.approx(0.29, abs=0.15)
    assert np.linalg.norm(shift - shift.mean(axis=0), axis=1).max() < 1.0
