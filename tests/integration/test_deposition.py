"""The deposition file of the shipped example, against the other files of the same run."""

import csv
import math
import re
from pathlib import Path

import gemmi
import ihm.reader
import numpy as np
import pytest

from torchref_kinetic_plugin import refine
from torchref_kinetic_plugin.output.deposition import read_details

EXAMPLE = Path(__file__).parents[2] / "example_data" / "photocycle"
FAST = {"refinement.d_min": 3.0, "refinement.starts": 1, "output.maps": False, "output.plots": False}


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def read(path):
    with path.open(encoding="utf-8") as file:
        (system,) = ihm.reader.read(file)
    return system


@pytest.fixture(scope="module")
def refined(tmp_path_factory):
    output = tmp_path_factory.mktemp("refined")
    refine(EXAMPLE / "refinement.toml", output=output, overrides=FAST)
    return output


def test_scheme_and_rates_are_those_of_the_tables(refined):
    (scheme,) = read(refined / "deposition.cif").multi_state_schemes
    steps = {read_details(each.details)["transition"]: each for each in scheme.get_connectivities()}
    assert {name: (each.begin_state.name, each.end_state.name) for name, each in steps.items()} == {
        "A->B": ("A", "B"),
        "B->C": ("B", "C"),
        "C->A": ("C", "A*"),
    }
    rows = {(row["kind"], row["name"]): row for row in table(refined / "rates.csv")}
    for name in ("B->C", "C->A"):
        row, rate = rows["rate_constant", name], steps[name].kinetic_rate
        details = read_details(rate.details)
        assert float(rate.transition_rate_constant) == pytest.approx(float(row["value"]), rel=1e-9)
        for key in ("std_error_ln", "lower", "upper", "std_error"):
            assert float(details[key]) == pytest.approx(float(row[key]), rel=1e-9)
        assert float(steps[name].relaxation_time.value) == pytest.approx(1.0 / float(row["value"]), rel=1e-9)
    assert steps["A->B"].kinetic_rate is None
    details = read_details(steps["A->B"].details)
    row = rows["efficiency", "A->B"]
    assert float(details["efficiency"]) == pytest.approx(float(row["value"]), rel=1e-9)
    assert float(details["efficiency_std_error"]) == pytest.approx(float(row["std_error"]), rel=1e-9)
    assert read_details(scheme.details)["temperature_K"] == "298"


def test_occupancies_are_those_of_the_table(refined):
    system = read(refined / "deposition.cif")
    found = {}
    for states in system.state_groups:
        for state in states:
            if state.population_fraction is not None:
                details = read_details(state.details)
                found[details["timepoint"], state.name] = state.population_fraction, details
    rows = table(refined / "occupancies.csv")
    assert len(found) == len(rows) == 24
    for row in rows:
        occupancy, details = found[row["timepoint"], row["structure"]]
        assert occupancy == pytest.approx(float(row["occupancy"]), rel=1e-9, abs=0.0)
        assert float(details["delay_s"]) == float(row["time_s"])
        assert float(details["upper"]) == pytest.approx(float(row["upper"]), rel=1e-9)
        if row["structure"] == "dark":
            shares = dict(part.split(" ") for part in details["populations"].split(", "))
            assert set(shares) == {"A", "A*"}
            assert math.fsum(map(float, shares.values())) == pytest.approx(occupancy, rel=1e-9)


def test_structures_are_those_given(refined):
    block = gemmi.cif.read(str(refined / "deposition.cif")).sole_block()
    written = gemmi.make_structure_from_block(block)
    assert written.spacegroup_hm == "P 21 21 21"
    for model, name in zip(written, ("dark", "i1", "i2"), strict=True):
        given = gemmi.read_structure(str(EXAMPLE / f"{name}.pdb"))
        assert written.cell.approx(given.cell, 1e-6)
        found = {(str(s.residue.seqid), s.residue.name, s.atom.name, s.atom.altloc): s.atom for s in model.all()}
        assert len(found) == given[0].count_atom_sites()
        for site in given[0].all():
            there = found[str(site.residue.seqid), site.residue.name, site.atom.name, site.atom.altloc]
            np.testing.assert_allclose(there.pos.tolist(), site.atom.pos.tolist(), atol=1e-3)
            assert there.b_iso == pytest.approx(site.atom.b_iso, abs=1e-2)
            assert there.occ == pytest.approx(site.atom.occ, abs=1e-6)


def test_python_of_the_page_runs(refined, monkeypatch, capsys):
    monkeypatch.chdir(refined.parent)
    page = (Path(__file__).parents[2] / "docs" / "deposition.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    code = code.replace("refined/", f"{refined.name}/")
    exec(compile(code, "deposition.md", "exec"), {})
    rate, *_ = (row for row in table(refined / "rates.csv") if row["kind"] == "rate_constant")
    printed = capsys.readouterr().out
    assert repr(float(rate["value"])) in printed
    assert rate["std_error_ln"] in printed


def test_datasets_are_those_of_the_series(refined):
    system = read(refined / "deposition.cif")
    (group,) = system.orphan_dataset_groups
    statistics = {row["dataset"]: row for row in table(refined / "statistics.csv") if row["cycle"] == "1"}
    assert len(group) == len(statistics) == 9
    for dataset in group:
        details, row = read_details(dataset.details), statistics[read_details(dataset.details)["dataset"]]
        assert float(details["r_free"]) == pytest.approx(float(row["r_free"]), rel=1e-9)
        assert 3.0 <= float(details["d_min_A"]) < 3.01
        assert int(details["reflections"]) > 1000
    block = gemmi.cif.read(str(refined / "deposition.cif")).sole_block()
    paths = [gemmi.cif.as_string(text) for text in block.find_values("_ihm_external_files.file_path")]
    assert [Path(path).name for path in paths] == ["dark.mtz", *(f"t{number:02d}.mtz" for number in range(1, 9))]
    assert all((refined / path).resolve().is_file() for path in paths)


def test_free_occupancies_have_no_scheme_and_the_file_can_be_left_out(tmp_path):
    free = FAST | {"refinement.occupancy": "unrestrained"}
    refine(EXAMPLE / "refinement.toml", output=tmp_path / "free", overrides=free)
    system = read(tmp_path / "free" / "deposition.cif")
    assert system.multi_state_schemes == []
    assert [len(states) for states in system.state_groups] == [3] * 8
    fixed = FAST | {"refinement.refine": ["scale"], "output.deposition": False}
    refine(EXAMPLE / "refinement.toml", output=tmp_path / "none", overrides=fixed)
    assert not (tmp_path / "none" / "deposition.cif").exists()
