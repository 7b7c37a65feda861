"""Structure factors against gemmi's direct summation."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch

from tests.unit.bridge import crystals
from torchref_kinetic_plugin.bridge import Crystal, StructureFactorBank
from torchref_kinetic_plugin.bridge.solvent import SPACING, SolventMasks
from torchref_kinetic_plugin.errors import CrystalError, UnknownNameError

D_MIN = 2.0
PHOTOCYCLE = Path(__file__).resolve().parents[3] / "example_data" / "photocycle"


def relative_difference(ours: torch.Tensor, theirs: np.ndarray) -> float:
    return float(np.abs(ours.detach().numpy() - theirs).sum() / np.abs(theirs).sum())


@pytest.mark.parametrize("group", crystals.GROUPS)
def test_direct_sum_with_altlocs_metal_and_anisotropic_atoms(group: str) -> None:
    where = crystals.crystal(group)
    hkl = crystals.reflections(where, D_MIN)
    made = [crystals.structure(where, seed=seed) for seed in (1, 2)]
    bank = StructureFactorBank(made, hkl, where)
    found = bank.structure_factors()
    assert found.shape == (2, len(hkl))
    assert found.dtype == torch.complex128
    assert not found.requires_grad
    for row, one in zip(found, made, strict=True):
        assert relative_difference(row, crystals.direct_sum(one, hkl)) < 1e-3


def test_finer_grid_and_wider_atoms_approach_the_direct_sum() -> None:
    where = crystals.crystal("P 43 21 2")
    hkl = crystals.reflections(where, D_MIN)
    made = crystals.structure(where)
    fine = StructureFactorBank([made], hkl, where, cutoff=5.0, sampling=4.5).structure_factors()[0]
    assert relative_difference(fine, crystals.direct_sum(made, hkl)) < 3e-5
    usual = StructureFactorBank([made], hkl, where)
    assert usual.blur > 10.0
    framework = StructureFactorBank([made], hkl, where, blur=0.0, cutoff=3.0)
    errors = [
        relative_difference(bank.structure_factors()[0], crystals.direct_sum(made, hkl)) for bank in (usual, framework)
    ]
    assert errors[0] < 1e-3
    assert errors[1] > 5e-3


def test_fractional_coordinates_are_kept_in_another_cell() -> None:
    where = crystals.crystal("P 21 21 21")
    made = crystals.structure(where, anisotropic=False)
    larger = Crystal(gemmi.UnitCell(*(1.002 * x for x in (21.0, 25.0, 29.0)), 90.0, 90.0, 90.0), where.space_group)
    hkl = crystals.reflections(larger, D_MIN)
    moved = made.clone()
    moved.cell = larger.cell
    for site in moved[0].all():
        site.atom.pos = larger.cell.orthogonalize(made.cell.fractionalize(site.atom.pos))
    found = StructureFactorBank([made], hkl, larger).structure_factors()[0]
    assert relative_difference(found, crystals.direct_sum(moved, hkl)) < 1e-3


def test_occupancies_are_those_given_and_do_not_refine() -> None:
    where = crystals.crystal("P 1")
    bank = StructureFactorBank(
        [crystals.structure(where)], crystals.reflections(where, D_MIN), where, free=("xyz", "adp", "u")
    )
    occupancies = bank.models[0].occupancy()
    given = [site.atom.occ for site in crystals.structure(where)[0].all()]
    np.testing.assert_allclose(occupancies.numpy(), given, rtol=1e-15)
    assert not occupancies.requires_grad


def test_gradients_against_finite_differences() -> None:
    where = crystals.crystal("P 1 21 1")
    hkl = crystals.reflections(where, 2.5)
    made = crystals.structure(where, anisotropic=False, n_residues=2)
    bank = StructureFactorBank([made], hkl, where, free=("xyz", "adp"), cutoff=6.0, sampling=4.0)
    random = torch.Generator().manual_seed(1)
    force = torch.randn(len(hkl), dtype=torch.float64, generator=random)
    parameters = bank.parameters()
    assert [tuple(p.shape) for p in parameters] == [(19, 3), (19,)]

    def loss() -> torch.Tensor:
        return (force * bank.structure_factors()[0].abs()).sum()

    gradients = torch.autograd.grad(loss(), parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        direction = torch.randn(parameter.shape, dtype=torch.float64, generator=random)
        values = []
        for sign in (1.0, -1.0):
            # Through .data, which the framework's own cache does not see.
            parameter.data.add_(sign * 1e-5 * direction)
            values.append(float(loss().detach()))
            parameter.data.sub_(sign * 1e-5 * direction)
        numeric = (values[0] - values[1]) / 2e-5
        assert numeric == pytest.approx(float((gradient * direction).sum()), rel=2e-3)


def test_mask_fills_what_atoms_leave() -> None:
    where = crystals.crystal("P 21 21 21")
    made = crystals.structure(where, anisotropic=False)
    hkl = crystals.reflections(where, D_MIN)
    bank = StructureFactorBank([made, made], hkl, where, free=("xyz",))
    masks = bank.mask_structure_factors()
    assert masks.shape == (2, len(hkl))
    assert not masks.requires_grad
    assert bank.mask_structure_factors() is masks
    low = where.resolution(hkl) > 6.0
    atoms = bank.structure_factors()[0].detach()
    # Solvent is where atoms are not: at low resolution its phases oppose theirs.
    assert float((atoms.conj() * masks[0]).real[torch.as_tensor(low)].sum()) < 0.0
    with torch.no_grad():
        bank.models[0].xyz.refinable_params.add_(3.0)
    bank.update_masks()
    assert not torch.equal(bank.mask_structure_factors()[0], masks[0])
    assert torch.equal(bank.mask_structure_factors()[1], masks[1])


def test_a_mask_is_drawn_again_only_where_atoms_have_moved(monkeypatch) -> None:
    where = crystals.crystal("P 21 21 21")
    made = [crystals.structure(where, seed=seed) for seed in (1, 2)]
    bank = StructureFactorBank(made, crystals.reflections(where, 3.0), where)
    before = bank.mask_structure_factors().clone()
    drawn = []
    draw = SolventMasks._draw

    def noted(self, structure, xyz):
        drawn.append(structure)
        return draw(self, structure, xyz)

    monkeypatch.setattr(SolventMasks, "_draw", noted)
    places = bank.models[1].xyz().detach()
    bank.place(1, places + 0.3)
    bank.update_masks()
    assert drawn == [1]
    assert not torch.equal(bank.mask_structure_factors()[1], before[1])
    bank.place(1, places)
    bank.update_masks()
    assert drawn == [1, 1]
    assert torch.equal(bank.mask_structure_factors(), before)


def test_masks_are_torchrefs_and_settle_as_the_grid_gets_finer() -> None:
    made = gemmi.read_structure(str(PHOTOCYCLE / "dark.pdb"))
    where = Crystal(made.cell, gemmi.SpaceGroup(made.spacegroup_hm))
    hkl = crystals.reflections(where, D_MIN)
    xyz = np.array([site.atom.pos.tolist() for site in made[0].all()])

    def ours(spacing: float) -> np.ndarray:
        return SolventMasks([made], hkl, where, spacing=spacing).structure_factors(0, xyz)

    sampling = 4.0
    theirs = crystals.framework_masks(StructureFactorBank([made], hkl, where, sampling=sampling))[0]
    assert relative_difference(theirs, ours(D_MIN / sampling)) < 1e-5
    finest = ours(0.15)
    errors = [np.linalg.norm(ours(spacing) - finest) / np.linalg.norm(finest) for spacing in (0.7, SPACING)]
    # Edges are ragged: at TorchRef's own spacing, d_min / 3, by a third of all that a mask scatters.
    assert errors[0] > 0.25
    assert errors[1] < 0.35 * errors[0]


def test_what_does_not_fit_the_crystal_is_refused() -> None:
    where = crystals.crystal("P 43 21 2")
    hkl = crystals.reflections(where, 4.0)
    good = crystals.structure(where)

    def refused(change: str, message: str) -> None:
        bad = good.clone()
        match change:
            case "group":
                bad.spacegroup_hm = "P 41 21 2"
            case "models":
                bad.add_model(bad[0], 2)
            case "cell":
                bad.cell = gemmi.UnitCell()
            case "element":
                bad[0][0][0][0].element = gemmi.Element("X")
            case "atoms":
                bad[0].remove_chain("A")
        with pytest.raises(CrystalError, match=message):
            StructureFactorBank([bad], hkl, where)

    refused("group", "space group 'P 41 21 2', the data in 'P 43 21 2'")
    refused("models", "has 2 models")
    refused("cell", "no unit cell")
    refused("element", "atom N of ALA 1 in chain A has no known element")
    refused("atoms", "no atoms")
    with pytest.raises(UnknownNameError, match="did you mean 'xyz'"):
        StructureFactorBank([good], hkl, where, free=("xyzz",))


def test_hydrogens_ride_when_coordinates_are_free(lysozyme) -> None:
    made = gemmi.read_structure(str(lysozyme / "laser_off.pdb"))
    where = Crystal(made.cell, gemmi.SpaceGroup("P 43 21 2"))
    hkl = crystals.reflections(where, 4.0)
    fixed = StructureFactorBank([made], hkl, where)
    riding = StructureFactorBank([made], hkl, where, free=("xyz",))
    heavy = sum(not site.atom.is_hydrogen() for site in made[0].all())
    shapes = [tuple(parameter.shape) for parameter in riding.parameters()]
    # Six hydrogens that the monomer library does not name at their residue stay atoms of their own.
    assert heavy <= shapes[0][0] <= heavy + 10
    assert len(shapes) == 2  # and torsions of methyl and hydroxyl groups
    difference = riding.structure_factors().detach() - fixed.structure_factors()
    assert float(difference.abs().max()) < 1e-3


def test_dispersion_is_added_to_the_elements_that_have_it() -> None:
    where = crystals.crystal("P 43 21 2")
    hkl = crystals.reflections(where, D_MIN)
    made = crystals.structure(where)
    plain, with_dispersion = (
        StructureFactorBank([made], hkl, where, wavelength=wavelength).structure_factors()[0].numpy()
        for wavelength in (None, 1.3)
    )
    copy = made.clone()
    copy.setup_cell_images()
    calculator = gemmi.StructureFactorCalculatorX(copy.cell)
    # Sulfur's own 0.3 electrons lie below the 0.5 from which TorchRef counts them.
    f_prime, _ = gemmi.cromer_liberman(z=30, energy=gemmi.hc / 1.3)
    calculator.addends.set(gemmi.Element("Zn"), f_prime)
    expected = np.array([calculator.calculate_sf_from_model(copy[0], [int(i) for i in h]) for h in hkl])
    change = expected - crystals.direct_sum(made, hkl)
    assert np.abs(with_dispersion - plain - change).sum() / np.abs(change).sum() < 1e-3
