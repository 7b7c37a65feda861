"""One objective over two crystals of different cells: blocks of atoms, siblings, order of the experiments."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from tests.unit.refinement import two_cells
from torchref_kinetic_plugin.bridge.shared_atoms import AtomValues
from torchref_kinetic_plugin.refinement import joint_fit
from torchref_kinetic_plugin.refinement.joint_fit import refine_jointly
from torchref_kinetic_plugin.refinement.joint_objective import JointObjective
from torchref_kinetic_plugin.refinement.joint_uncertainty import atom_freedom
from torchref_kinetic_plugin.refinement.sibling_terms import SiblingRestraint
from torchref_kinetic_plugin.threads import one_thread
from torchref_kinetic_plugin.workflow.joint_setup import restraints_of

_WIDTHS = (0.2, 0.3, 0.15)


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    directory = tmp_path_factory.mktemp("warm")
    two_cells.write_warm(directory)
    return directory


#: The same in both crystals, whatever the differences of each point at.
_MOVING = {"I1": "//A/66-70", "I2": "//A/5-15"}


def made(directory, blocks, widths=_WIDTHS, *, moving=_MOVING):
    directory.mkdir(exist_ok=True)
    path = two_cells.write_campaign(directory, blocks)
    refinement, setup = two_cells.setup_of(path, **({"structures.moving": moving} if moving else {}))
    restraints = restraints_of(refinement, setup)
    restraints.set_widths(widths)
    return setup, restraints


@pytest.fixture(scope="module")
def cold_first(warm, tmp_path_factory):
    return made(tmp_path_factory.mktemp("ab"), two_cells.cold_and_warm(warm))


@pytest.fixture(scope="module")
def warm_first(warm, tmp_path_factory):
    return made(tmp_path_factory.mktemp("ba"), two_cells.cold_and_warm(warm)[::-1])


@pytest.fixture(scope="module")
def alone(warm, tmp_path_factory):
    """Each experiment by itself."""
    blocks = two_cells.cold_and_warm(warm)
    return [made(tmp_path_factory.mktemp("one"), [block], _WIDTHS[n : n + 1]) for n, block in enumerate(blocks)]


@contextmanager
def kept(setup, restraints):
    """Everything that a refinement changes is afterwards as it was."""
    models, start = [each.model for each in setup.experiments], setup.variables.get()
    before = [(m.nuisances.copy(), m.strength.clone(), m.components) for m in models]
    widths = restraints.widths
    try:
        yield
    finally:
        setup.variables.set(start)
        for model, (nuisances, design, components) in zip(models, before, strict=True):
            model.nuisances, model.strength, model.components = nuisances, design, components
        for each in setup.experiments:
            each.bank.mask_structure_factors(each.in_cell(setup.variables.values))
        restraints.update_contacts(setup.variables.values)
        restraints.set_widths(widths)


def moved(setup, size=0.05, seed=4):
    """A vector away from the start."""
    vector = setup.variables.get()
    atoms = setup.variables.xyz
    vector[atoms] += size * np.random.default_rng(seed).normal(size=atoms.stop - atoms.start)
    return vector


def test_each_form_has_a_block_of_its_own(cold_first, alone):
    setup, _ = cold_first
    assert [form.name for form in setup.forms] == ["cold", "warm"]
    n, m = (each.forms[0].n_rows for each, _ in alone)
    assert setup.blocks == (slice(0, n), slice(n, n + m))


def test_what_moves_is_what_either_crystal_asks_for(warm, tmp_path):
    blocks = two_cells.cold_and_warm(warm)
    both, _ = made(tmp_path / "both", blocks, moving=None)
    cold, warm_alone = (
        made(tmp_path / f"{n}", [block], _WIDTHS[n : n + 1], moving=None)[0] for n, block in enumerate(blocks)
    )
    for together, first, second in zip(both.moving, cold.moving, warm_alone.moving, strict=True):
        assert together.residues == first.residues | second.residues


def test_the_objective_is_that_of_the_experiments_and_what_ties_them(cold_first, alone):
    setup, restraints = cold_first
    with one_thread():
        whole = JointObjective(setup.experiments, setup.variables, restraints)(setup.variables.get()).by_name
        parts = [JointObjective(s.experiments, s.variables, r)(s.variables.get()).by_name for s, r in alone]
    assert set(whole) - set(parts[0]) == {"siblings"}
    assert whole["siblings"] == pytest.approx(0.0, abs=1e-12)
    for name in ("data", "bond", "angle", "contact", "plane"):
        assert whole[name] == pytest.approx(parts[0][name] + parts[1][name], rel=1e-9), name


def test_the_order_of_experiments_does_not_matter(cold_first, warm_first, monkeypatch):
    """Value, gradient, and the end of a short refinement."""
    (one, _), (other, _) = cold_first, warm_first
    assert [form.experiments for form in other.forms] == [(1,), (0,)]
    a, b = (JointObjective(s.experiments, s.variables, r) for s, r in (cold_first, warm_first))
    n = one.variables.atoms.stop
    vector = moved(one)
    turned = other.variables.get()
    turned[:n] = vector[:n]
    with one_thread():
        here, there = a(vector), b(turned)
        assert here.total == pytest.approx(there.total, rel=1e-11)
        np.testing.assert_allclose(here.gradient[:n], there.gradient[:n], atol=1e-8 * np.abs(here.gradient[:n]).max())
        k = one.variables.kinetics
        size = (k.stop - k.start) // 2
        swapped = np.roll(there.gradient[k], size)
        np.testing.assert_allclose(here.gradient[k], swapped, rtol=1e-8)

        monkeypatch.setattr(joint_fit, "_STEPS", 5)
        ends = []
        for setup, restraints in (cold_first, warm_first):
            with kept(setup, restraints):
                fit = refine_jointly(setup.experiments, setup.variables, restraints, cycles=1, n_starts=2, stop=False)
                ends.append((fit, setup.variables.values, restraints.widths))
    (fit, values, widths), (again, others, also) = ends
    assert float((values.xyz - others.xyz).abs().max()) < 1e-4
    assert float((values.xyz - one.variables.values.xyz).abs().max()) > 0.05
    assert widths != _WIDTHS
    assert widths == pytest.approx(also, rel=1e-5)
    for x, y in zip(fit.progress.cycles, again.progress.cycles, strict=True):
        assert sum(x.terms.values()) == pytest.approx(sum(y.terms.values()), rel=1e-8)
        for name, value in x.parameters.items():
            assert y.parameters[name] == pytest.approx(value, rel=1e-5), name


def test_siblings_follow_each_other(cold_first):
    """Turned into one frame, displacements are compared with their mean; the gradient reaches both forms."""
    setup, restraints = cold_first
    x = moved(setup, 0.1)
    objective = JointObjective(setup.experiments, setup.variables, restraints)
    point = torch.from_numpy(x).requires_grad_()
    term = restraints(setup.variables.atom_values(point))["siblings"]
    (gradient,) = torch.autograd.grad(term, point)
    direction = np.random.default_rng(1).normal(size=len(x))
    ends = [
        float(restraints(setup.variables.atom_values(torch.from_numpy(x + step * direction)))["siblings"])
        for step in (-1e-6, 1e-6)
    ]
    assert float(gradient.numpy() @ direction) == pytest.approx((ends[1] - ends[0]) / 2e-6, rel=1e-6)
    for block in setup.blocks:
        assert np.abs(gradient.numpy()[setup.variables.columns_of(block)]).max() > 0.1
    assert objective.variables.kinetics.start == setup.variables.atoms.stop


def random_rotation(seed):
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return turn * np.sign(np.linalg.det(turn))


def small(weight=1.0, n_forms=3):
    """Three forms of four atoms in any orientation; the last form lacks the last atom, another is in one form only."""
    rows = np.arange(5 * n_forms).reshape(n_forms, 5)
    rows[-1, 3] = -1
    rows[1:, 4] = -1
    anchor = torch.from_numpy(np.random.default_rng(2).normal(size=(5 * n_forms, 3)))
    rotations = [random_rotation(seed) for seed in range(n_forms)]
    made = SiblingRestraint(rows, anchor, rotations, weight=weight)
    made.width = 0.2
    return made, rows, anchor, rotations


def at(xyz):
    return AtomValues(xyz, torch.zeros(len(xyz)), torch.zeros(len(xyz), 6))


def test_a_common_motion_costs_nothing_and_another_what_the_distribution_says():
    restraint, rows, anchor, rotations = small(weight=2.0)
    assert restraint.n_atoms == 4
    xyz = anchor.clone()
    for form, turn in enumerate(rotations):
        for row in rows[form][rows[form] >= 0]:
            xyz[row] += torch.from_numpy(turn.T @ [1.0, -2.0, 0.5])
    assert float(restraint(at(xyz))) == pytest.approx(0.0, abs=1e-20)
    # Atom 3 is in two forms: 0.3 A in one of them is 0.15 A from the mean in both.
    xyz[rows[0, 3]] += torch.from_numpy(rotations[0].T @ [0.0, 0.3, 0.0])
    expected = 2.0 * 0.5 * 2 * 2.0 * np.log1p((0.15 / 0.2) ** 2)
    assert float(restraint(at(xyz))) == pytest.approx(expected)
    assert restraint.typical_width(at(xyz)) == 0.1
    restraint.width = None
    assert float(restraint(at(xyz))) == 0.0


def test_the_width_follows_the_median_within_limits():
    restraint, _, anchor, _ = small()
    random = torch.from_numpy(np.random.default_rng(5).normal(size=anchor.shape))
    lengths = [restraint.typical_width(at(anchor + size * random)) for size in (0.01, 0.05, 1.0)]
    assert lengths[0] == 0.1
    assert 0.1 < lengths[1] < 0.3
    assert lengths[2] == 0.3


def test_curvature_of_siblings_against_the_second_derivative():
    """Where all is within the width it is the second derivative; beyond, what is left of it is not negative."""
    restraint, rows, anchor, _ = small()
    xyz = anchor + 0.03 * torch.from_numpy(np.random.default_rng(6).normal(size=anchor.shape))
    hessian = torch.autograd.functional.hessian(lambda x: restraint(at(x)), xyz).reshape(3 * len(xyz), -1).numpy()
    found = np.zeros_like(hessian)
    of, curvature = restraint.curvature(at(xyz))
    for atom, own in zip(of.T.tolist(), curvature.numpy(), strict=True):
        chosen = [3 * form + axis for form, row in enumerate(atom) if row >= 0 for axis in range(3)]
        columns = [3 * row + axis for row in atom if row >= 0 for axis in range(3)]
        found[np.ix_(columns, columns)] += own[np.ix_(chosen, chosen)]
    np.testing.assert_allclose(found, hessian, atol=1e-9 * np.abs(hessian).max())
    _, far = restraint.curvature(at(anchor + 10.0 * (xyz - anchor)))
    assert np.linalg.eigvalsh(far.numpy()).min() > -1e-9
    assert (rows[:, 4] >= 0).sum() == 1


def test_what_atoms_cost_is_known_form_by_form(cold_first, alone):
    """Without siblings it is that of each experiment; with them atoms are known better."""
    setup, restraints = cold_first
    with one_thread():
        restraints.set_widths((*_WIDTHS[:2], None))
        apart = atom_freedom(setup.experiments, setup.variables, restraints)
        restraints.set_widths(_WIDTHS)
        tied = atom_freedom(setup.experiments, setup.variables, restraints)
        own = [atom_freedom(s.experiments, s.variables, r) for s, r in alone]
    for each, _ in alone:
        assert [m.residues for m in each.moving] == [m.residues for m in setup.moving]
    np.testing.assert_allclose(apart.errors, np.concatenate([each.errors for each in own]), rtol=1e-6)
    n = len(own[0].lost)
    np.testing.assert_allclose(apart.lost[:n, :n], own[0].lost, rtol=1e-5, atol=1e-5 * own[0].lost.max())
    np.testing.assert_allclose(apart.lost[:n, n:], 0.0, atol=1e-8 * own[0].lost.max())
    assert (tied.errors <= apart.errors * (1.0 + 1e-9)).all()
    assert np.median(tied.errors / apart.errors) < 0.98
