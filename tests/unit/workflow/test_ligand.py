"""Pseudo-first order wants more ligand than the crystal holds molecules."""

from types import SimpleNamespace

import gemmi
import pytest

from tests.unit.refinement.small_joint import EXAMPLE
from torchref_kinetic_plugin.structures import load_files
from torchref_kinetic_plugin.workflow.ligand import ligand_remark


def experiment(concentration):
    dark = load_files({"dark": EXAMPLE / "dark.pdb"})
    group = gemmi.SpaceGroup("P 21 21 21")
    return SimpleNamespace(
        settings=SimpleNamespace(name="mix", concentration_molar=concentration),
        structures=dark,
        grid=SimpleNamespace(cell=gemmi.UnitCell(40, 50, 60, 90, 90, 90), spacegroup=group),
    )


def test_a_ligand_is_held_against_the_molecules_of_the_crystal():
    # Four molecules in 120,000 cubic angstrom: 55.35 mM.
    text = ligand_remark(experiment(0.2))
    assert (
        "the ligand, 200 mM, is not in excess of the molecules in the crystal, 55.4 mM (1 in the asymmetric unit)"
        in text
    )
    assert ligand_remark(experiment(0.6)) is None
    assert ligand_remark(experiment(None)) is None


@pytest.mark.parametrize(("molar", "warned"), [(0.55, True), (0.56, False)])
def test_excess_means_ten_times(molar, warned):
    assert (ligand_remark(experiment(molar)) is not None) is warned
