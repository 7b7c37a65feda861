"""Structures that share atoms: the same structure factors, each atom once; restraints as TorchRef has them."""

from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch

from torchref_kinetic_plugin.bridge import Crystal, StructureFactorBank
from torchref_kinetic_plugin.bridge.environment import framework, quiet, settings
from torchref_kinetic_plugin.bridge.row_restraints import RowRestraints
from torchref_kinetic_plugin.bridge.shared_atoms import AtomValues, SharedAtomBank
from torchref_kinetic_plugin.errors import ShapeError
from torchref_kinetic_plugin.structures import load_files

EXAMPLE = Path(__file__).parents[3] / "example_data" / "photocycle"


@pytest.fixture(scope="module")
def series():
    """Structures, their rows, which of them move, reflections and crystal."""
    found = load_files({"dark": EXAMPLE / "dark.pdb", "I1": EXAMPLE / "i1.pdb", "I2": EXAMPLE / "i2.pdb"})
    cell, group = found.cell, found.space_group
    hkl = np.asarray(gemmi.make_miller_array(cell, group, 3.0), dtype=np.int32)
    rows = found.parameters.rows
    moving = ~np.isin(np.arange(found.parameters.n_rows), rows[0])
    return [structure.to_gemmi() for structure in found], rows, moving, hkl, Crystal(cell, group)


@pytest.fixture(scope="module")
def bank(series):
    structures, rows, moving, hkl, crystal = series
    return SharedAtomBank(structures, rows, hkl, crystal, moving=moving)


def moved(bank, size=0.03):
    noise = torch.randn(bank.start.xyz.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return AtomValues(bank.start.xyz + size * noise, bank.start.b * 1.1, bank.start.u)


def test_structure_factors_are_those_of_each_structure_alone(bank, series):
    structures, rows, _, hkl, crystal = series
    alone = StructureFactorBank(structures, hkl, crystal).structure_factors().detach()
    together = bank.structure_factors(bank.start)
    assert float((together - alone).abs().max() / alone.abs().mean()) < 0.005
    # And of the atoms moved, where those that stand still have not followed.
    values = moved(bank)
    values = AtomValues(
        torch.where(bank.moving[:, None], values.xyz, bank.start.xyz),
        torch.where(bank.moving, values.b, bank.start.b),
        values.u,
    )
    for number, structure in enumerate(structures):
        copy = structure.clone()
        for place, site in enumerate(copy[0].all()):
            site.atom.pos = gemmi.Position(*values.xyz[rows[number][place]].tolist())
            site.atom.b_iso = float(values.b[rows[number][place]])
        expected = StructureFactorBank([copy], hkl, crystal).structure_factors().detach()[0]
        found = bank.structure_factors(moved(bank))[number]
        assert float((found - expected).abs().max() / expected.abs().mean()) < 0.005


def test_groups_are_rows_with_the_same_users(bank, series):
    _, rows, moving, _, _ = series
    groups = bank.moving_groups()
    assert sorted(users for users, _ in groups) == [(1,), (2,)]
    assert sorted(row for _, each in groups for row in each.tolist()) == np.flatnonzero(moving).tolist()
    assert bank.n_structures == 3
    assert bank.n_rows == len(moving) < sum(map(len, rows))


def test_derivatives_by_direct_summation(bank):
    """Of all atoms, against the gradients of the density's Fourier transform."""
    values = bank.start
    xyz, log_b = values.xyz.clone().requires_grad_(), torch.log(values.b).requires_grad_()
    factors = bank.structure_factors(AtomValues(xyz, torch.exp(log_b), values.u))
    chosen = torch.arange(0, bank.structures.n_reflections, 3)
    weights = torch.randn(len(chosen), generator=torch.Generator().manual_seed(3), dtype=torch.complex128)
    for group, (users, rows) in enumerate(bank.moving_groups()):
        value = (weights.conj() * factors[users[0], chosen]).real.sum()
        by_xyz, by_b = torch.autograd.grad(value, (xyz, log_b), retain_graph=True)
        found = (weights.conj()[:, None, None] * bank.derivatives(values, group, chosen)).real.sum(0)
        for exact, computed in ((found[:, :3], by_xyz[rows]), (found[:, 3], by_b[rows])):
            assert float((exact - computed).norm() / exact.norm()) < 0.02


def test_an_occupancy_of_its_own_makes_a_group_of_its_own(series):
    structures, rows, moving, hkl, crystal = series
    changed = [structure.clone() for structure in structures]
    next(iter(changed[1][0].all())).atom.occ = 0.5
    bank = SharedAtomBank(changed, rows, hkl, crystal, moving=moving)
    expected = StructureFactorBank(changed, hkl, crystal).structure_factors().detach()
    assert float((bank.structure_factors(bank.start) - expected).abs().max() / expected.abs().mean()) < 0.005


def test_rows_that_do_not_fit_are_refused(series):
    structures, rows, moving, hkl, crystal = series
    with pytest.raises(ShapeError, match="rows of"):
        SharedAtomBank(structures, [rows[0][:-1], *rows[1:]], hkl, crystal, moving=moving)


@pytest.fixture(scope="module")
def alone(series):
    structures, _, _, hkl, crystal = series
    n = structures[0][0].count_atom_sites()
    return SharedAtomBank(structures[:1], [np.arange(n)], hkl, crystal, moving=np.ones(n, dtype=bool))


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("BondTarget", "bond"),
        ("AngleTarget", "angle"),
        ("TorsionTarget", "torsion"),
        ("ChiralTarget", "chiral"),
        ("PlanarityTarget", "plane"),
        ("NonBondedTarget", "contact"),
    ],
)
def test_terms_are_the_framework_s(alone, target, kind):
    """Values and gradients of all restraints of one structure; theirs hold constants, which differences do not."""
    restraints = RowRestraints(alone)
    model = alone.structures.models[0]
    everything = torch.ones(alone.n_rows, dtype=torch.bool)
    values, theirs = [], []
    with settings(dtype=torch.float64, cutoff=3.5), quiet():
        term = getattr(framework("refinement.targets.geometry"), target)(model)
        for xyz in (alone.start.xyz, moved(alone, 0.05).xyz):
            with torch.no_grad():
                model.xyz.set(xyz, everything)
                theirs.append(float(term()))
                values.append(float(restraints(AtomValues(xyz, alone.start.b, alone.start.u))[kind]))
        with torch.no_grad():
            model.xyz.set(alone.start.xyz, everything)
    assert values[1] - values[0] == pytest.approx(theirs[1] - theirs[0], rel=1e-6)
    assert values[1] > values[0] >= 0.0


def test_only_what_moves_is_restrained_and_each_restraint_once(bank, series):
    _, rows, moving, _, _ = series
    some, everything = RowRestraints(bank), RowRestraints(bank, np.ones(bank.n_rows, dtype=bool))
    xyz = moved(bank).xyz.requires_grad_()
    gradients = []
    for restraints in (some, everything):
        total = torch.stack(list(restraints(AtomValues(xyz, bank.start.b, bank.start.u)).values())).sum()
        gradients.append(torch.autograd.grad(total, xyz)[0][torch.from_numpy(moving)])
    torch.testing.assert_close(gradients[0], gradients[1])
    assert some.counts["bond"] < 0.5 * everything.counts["bond"]
    # Three structures, but what they share counts once.
    assert everything.counts["bond"] < 1.6 * 608
    assert len(torch.unique(everything.bonded.sort(1).values, dim=0)) == everything.counts["bond"]
    assert max(map(len, rows)) == 642


def test_gradients_of_all_terms(bank):
    restraints = RowRestraints(bank)
    xyz = moved(bank, 0.05).xyz.requires_grad_()
    direction = torch.randn(xyz.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def terms(at):
        return restraints(AtomValues(at, bank.start.b, bank.start.u))

    for kind, value in terms(xyz).items():
        (gradient,) = torch.autograd.grad(value, xyz, retain_graph=True)
        ahead, behind = (float(terms((xyz + sign * 1e-6 * direction).detach())[kind]) for sign in (1.0, -1.0))
        assert float((gradient * direction).sum()) == pytest.approx((ahead - behind) / 2e-6, rel=2e-4, abs=1e-3), kind


def test_true_structures_are_ideal():
    found = load_files({"dark": EXAMPLE / "truth" / "dark.pdb"})
    structure = found.structures[0].to_gemmi()
    n = structure[0].count_atom_sites()
    crystal = Crystal(found.cell, found.space_group)
    hkl = np.array([[1, 0, 0], [0, 2, 0]], dtype=np.int32)
    bank = SharedAtomBank([structure], [np.arange(n)], hkl, crystal, moving=np.ones(n, dtype=bool))
    restraints = RowRestraints(bank)
    assert float(restraints.bond_deviations(bank.start.xyz).square().mean().sqrt()) < 0.001
    assert float(restraints.angle_deviations(bank.start.xyz).square().mean().sqrt()) == pytest.approx(0.57, abs=0.01)
    length = (bank.start.xyz[restraints.bonded[:, 0]] - bank.start.xyz[restraints.bonded[:, 1]]).norm(dim=1)
    assert 1.1 < float(length.min()) < float(length.max()) < 2.1
