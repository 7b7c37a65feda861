from __future__ import annotations

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.structures import models
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.structures import load_files, polar_shift, superpose_along_polar_axis
from torchref_kinetic_plugin.structures.polar import polar_directions

MONOCLINIC = (30.0, 40.0, 50.0, 90.0, 105.0, 90.0)


@pytest.mark.parametrize(
    ("group", "cell", "expected"),
    [
        ("P 21 21 21", models.CELL, []),
        ("P 43 21 2", (30, 30, 50, 90, 90, 90), []),
        ("P -1", (30, 31, 50, 80, 95, 105), []),
        ("P 1 21 1", MONOCLINIC, [[0, 1, 0]]),
        ("P 1 1 21", (30, 40, 50, 90, 90, 105), [[0, 0, 1]]),
        ("P 61", (30, 30, 50, 90, 90, 120), [[0, 0, 1]]),
        ("P m m 2", models.CELL, [[0, 0, 1]]),
    ],
)
def test_directions_in_which_the_origin_is_free(group, cell, expected) -> None:
    found = polar_directions(gemmi.SpaceGroup(group), gemmi.UnitCell(*cell))
    assert len(found) == len(expected)
    if expected:
        np.testing.assert_allclose(np.abs(found), expected, atol=1e-9)


def test_the_rhombohedral_axis_is_the_body_diagonal() -> None:
    cell = gemmi.UnitCell(30, 30, 30, 80, 80, 80)
    (found,) = polar_directions(gemmi.SpaceGroup("R 3:R"), cell)
    diagonal = np.array(cell.orthogonalize(gemmi.Fractional(1, 1, 1)).tolist())
    assert abs(found @ diagonal) == pytest.approx(np.linalg.norm(diagonal))


def test_all_directions_of_p1_and_a_plane_of_a_mirror_are_free() -> None:
    cell = gemmi.UnitCell(30, 31, 50, 80, 95, 105)
    found = polar_directions(gemmi.SpaceGroup("P 1"), cell)
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-12)
    plane = polar_directions(gemmi.SpaceGroup("P 1 m 1"), gemmi.UnitCell(*MONOCLINIC))
    assert plane.shape == (2, 3)
    np.testing.assert_allclose(plane[:, 1], 0.0, atol=1e-12)


def _pair(group: str, cell, step):
    reference = models.peptide(group=group, cell=cell, n_residues=12)

    def change(site: gemmi.CRA) -> np.ndarray:
        # A fifth of the residues moves by itself, and waters are renumbered: neither is a shift.
        own = [0.0, 4.0, 0.0] if str(site.residue.seqid) in ("1", "2") else [0.0, 0.0, 0.0]
        return np.array(own) + step

    return models.named(models.moved(reference, change), "I1"), models.named(reference, "dark")


def test_a_shift_is_found_past_atoms_that_moved_and_taken_away() -> None:
    structure, reference = _pair("P 1 21 1", MONOCLINIC, [0.1, 0.4, 0.2])
    shift = polar_shift(structure, reference)
    # Along a and c the origin is fixed, so what moved there is real.
    assert shift.vector == pytest.approx([0.0, 0.4, 0.0], abs=1e-9)
    assert shift.fractional == pytest.approx([0.0, 0.01, 0.0], abs=1e-9)
    assert (shift.size, shift.direction, shift.n_atoms) == (pytest.approx(0.4), "b", 60)
    corrected = superpose_along_polar_axis(structure, reference)
    assert corrected.atoms.xyz == pytest.approx(structure.atoms.xyz - [0.0, 0.4, 0.0], abs=1e-9)
    assert polar_shift(corrected, reference).size == pytest.approx(0.0, abs=1e-9)
    assert structure.atoms.xyz[20] == pytest.approx(reference.atoms.xyz[20] + [0.1, 0.4, 0.2])


def test_superposing_changes_phases_only() -> None:
    structure, reference = _pair("P 1 21 1", MONOCLINIC, [0.0, 0.37, 0.0])
    corrected = superpose_along_polar_axis(structure, reference)
    amplitudes = []
    for each in (structure, corrected):
        calculator = gemmi.StructureFactorCalculatorX(each.cell)
        model = each.to_gemmi()
        model.setup_cell_images()
        calculator = gemmi.StructureFactorCalculatorX(model.cell)
        hkl = [[1, 2, 3], [0, 4, 1], [-3, 1, 2]]
        amplitudes.append([abs(calculator.calculate_sf_from_model(model[0], each)) for each in hkl])
    assert amplitudes[0] == pytest.approx(amplitudes[1], rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(step=st.lists(st.floats(-2.0, 2.0), min_size=3, max_size=3))
def test_any_shift_in_p1_is_found_in_an_oblique_cell(step) -> None:
    structure, reference = _pair("P 1", (30, 31, 50, 80, 95, 105), step)
    assert polar_shift(structure, reference).vector == pytest.approx(step, abs=1e-6)


def test_a_group_that_fixes_the_origin_has_no_shift() -> None:
    structure, reference = _pair("P 21 21 21", models.CELL, [0.0, 0.4, 0.0])
    assert polar_shift(structure, reference) is None
    with pytest.raises(InputError, match="'P 21 21 21' fixes the origin, or fewer than 3 atoms are common"):
        superpose_along_polar_axis(structure, reference)


def test_structures_of_two_groups_cannot_be_superposed() -> None:
    structure, _ = _pair("P 1 21 1", MONOCLINIC, [0.0, 0.4, 0.0])
    _, reference = _pair("P 1 2 1", MONOCLINIC, [0.0, 0.0, 0.0])
    with pytest.raises(InputError, match="I1 is in 'P 1 21 1', dark in 'P 1 2 1'; only structures of one space group"):
        superpose_along_polar_axis(structure, reference)


def test_loading_reports_a_shift_and_a_set_is_superposed_at_once(tmp_path) -> None:
    structure, reference = _pair("P 1 21 1", MONOCLINIC, [0.0, 0.4, 0.0])
    files = {
        "dark": models.pdb(tmp_path / "dark.pdb", reference.to_gemmi()),
        "I1": models.pdb(tmp_path / "i1.pdb", structure.to_gemmi()),
    }
    loaded = load_files(files)
    text = str(loaded.report.about("I1")[0])
    assert text.startswith("I1: shifted from dark by 0.40 +- ")
    assert "along b (median of 60 atoms), where the space group 'P 1 21 1' leaves the origin free" in text
    corrected = loaded.superposed()
    assert corrected.parameters.n_rows < loaded.parameters.n_rows
    # Ten residues of five atoms are the same again; two residues and two waters moved by themselves.
    assert int(corrected.parameters.shared.sum()) == 50
    assert corrected["dark"] is loaded["dark"]


def test_a_large_shift_makes_no_far_atoms(tmp_path) -> None:
    reference = models.peptide(group="P 1 21 1", cell=MONOCLINIC)
    files = {
        "dark": models.pdb(tmp_path / "dark.pdb", reference),
        "I1": models.pdb(tmp_path / "i1.pdb", models.moved(reference, lambda _: [0.0, 7.0, 0.0])),
    }
    (warning,) = load_files(files).report.warnings
    assert warning.text.startswith("shifted from dark by 7.00 +- 0.00 A")


def test_superposing_where_nothing_is_free_changes_nothing(tmp_path) -> None:
    path = models.pdb(tmp_path / "a.pdb", models.peptide())
    loaded = load_files({"dark": path, "I1": path})
    assert loaded.superposed()["I1"] is loaded["I1"]
