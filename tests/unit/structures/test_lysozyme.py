"""The models of the real series, where they are."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.structures import models
from torchref_kinetic_plugin.structures import (
    LoadingOptions,
    StructureSet,
    load_altlocs,
    load_files,
    load_models,
    residue_differences,
    write_models,
)

NAMES = ("laser_off", "light_20ns", "light_200us")
pytestmark = pytest.mark.skipif(not models.DATA.is_dir(), reason=f"no {models.DATA}")


@pytest.fixture(scope="module")
def lysozyme() -> StructureSet:
    return load_files({name: models.DATA / f"{name}.pdb" for name in NAMES}, LoadingOptions(known_residues={"ACT"}))


def test_models_load_with_what_is_odd_about_them(lysozyme) -> None:
    assert len(lysozyme["laser_off"].atoms) == 2285
    texts = [str(finding) for finding in lysozyme.report.findings]
    assert "laser_off: 1083 hydrogens, which ride" in texts
    assert any(text.startswith("light_20ns: cell differs from that of laser_off by 0.084 %") for text in texts)
    assert any("named the other way round" in text and "A/ARG 61 (NH1/NH2)" in text for text in texts)
    assert not any("restraints" in text for text in texts)


def test_identity_of_rows(lysozyme) -> None:
    keys = {key for each in lysozyme for key in each.atoms.keys}
    assert len(lysozyme.parameters.keys) == len(keys)
    together = lysozyme.with_parameters(lysozyme.parameters.by_choice(lysozyme.structures, lambda _: True))
    assert together.parameters.n_rows == len(keys)


def test_residues_hardly_moved_but_for_names(lysozyme) -> None:
    rows = residue_differences(lysozyme["light_20ns"], lysozyme["laser_off"])
    assert {row.residue.number for row in rows if row.rms > 0.3} == {21, 61, 73, 128}
    assert all(row.n_only_structure == row.n_only_reference == 0 for row in rows)


def test_all_models_in_one_file(lysozyme, tmp_path) -> None:
    write_models(lysozyme.structures, path := tmp_path / "all.cif.gz")
    back = load_models(path, NAMES)
    for name in NAMES:
        assert back[name].atoms.keys == lysozyme[name].atoms.keys
        np.testing.assert_allclose(back[name].atoms.fractional, lysozyme[name].atoms.fractional, atol=1e-7)


def test_its_conformers_as_structures() -> None:
    loaded = load_altlocs(models.DATA / "laser_off.pdb", {"dark": "A", "I1": "B"})
    assert not any("alternative" in str(finding) for finding in loaded.report.findings)
    assert all((each.atoms.altloc == "").all() for each in loaded)
    # Waters with conformer A only are in one structure only.
    shared = int(loaded.parameters.shared.sum())
    assert 0 < loaded.parameters.n_rows - shared < 600
