from __future__ import annotations

import math

import gemmi
import pytest

from tests.unit.structures import models
from torchref_kinetic_plugin.structures import residue_differences


def _by_residue(structure, reference, **options):
    found = residue_differences(models.named(structure), models.named(reference), **options)
    return {str(row.residue): row for row in found}


def test_displacements_by_residue() -> None:
    def step(site: gemmi.CRA) -> list[float]:
        return {("2", "CB"): [3.0, 4.0, 0.0], ("2", "O"): [0.0, 0.0, 1.0]}.get(
            (str(site.residue.seqid), site.atom.name) if site.chain.name == "A" else ("", ""), [0.0, 0.0, 0.0]
        )

    rows = _by_residue(models.moved(models.peptide(), step), models.peptide())
    assert list(rows) == ["A/ALA 1", "A/ALA 2", "A/ALA 3", "A/ALA 4"]
    moved = rows["A/ALA 2"]
    assert (moved.rms, moved.maximum, moved.furthest) == (
        pytest.approx(math.sqrt(26.0 / 5.0)),
        pytest.approx(5.0),
        "CB",
    )
    assert (moved.n_common, moved.n_only_structure, moved.n_only_reference) == (5, 0, 0)
    assert rows["A/ALA 1"].rms == 0.0


def test_waters_and_hydrogens_count_when_asked() -> None:
    structure = models.peptide()
    structure[0]["A"]["1"][0].add_atom(models.atom("HA", "H", [1, 1, 1]))
    rows = _by_residue(structure, structure, waters=True, hydrogens=True)
    assert rows["W/HOH 1"].n_common == 1
    assert rows["A/ALA 1"].n_common == 6
    assert _by_residue(structure, structure)["A/ALA 1"].n_common == 5


def test_the_most_occupied_conformer_stands_for_an_ordered_atom() -> None:
    row = _by_residue(models.disordered({"A": 0.4, "B": 0.6}), models.peptide())["A/ALA 2"]
    # B lies 1 A from where the ordered atom is.
    assert (row.maximum, row.furthest) == (pytest.approx(1.0), "CB")
    assert (row.n_common, row.n_only_structure, row.n_only_reference) == (5, 1, 0)


def test_conformers_of_one_name_are_compared() -> None:
    disordered = models.disordered({"A": 0.4, "B": 0.6})
    row = _by_residue(disordered, disordered)["A/ALA 2"]
    assert (row.n_common, row.rms) == (6, 0.0)


def test_residues_of_one_structure_only_are_listed() -> None:
    shorter = models.peptide()
    del shorter[0]["A"][3]
    for structure, reference, side in (
        (shorter, models.peptide(), "n_only_reference"),
        (models.peptide(), shorter, "n_only_structure"),
    ):
        row = _by_residue(structure, reference)["A/ALA 4"]
        assert (row.n_common, getattr(row, side), row.furthest) == (0, 5, "")
        assert math.isnan(row.rms)
        assert math.isnan(row.maximum)


def test_a_larger_cell_is_no_displacement() -> None:
    larger = models.peptide(cell=(30.3, 40.4, 50.5, 90, 90, 90))
    scaled = models.moved(larger, lambda site: [0.01 * value for value in site.atom.pos.tolist()])
    rows = _by_residue(scaled, models.peptide())
    assert max(row.maximum for row in rows.values()) < 1e-9
