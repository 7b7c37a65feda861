"""One objective over atoms, kinetics and scales: gradients, steps, states, information."""

import numpy as np
import pytest
import torch

from tests.unit.refinement.small_joint import setup, truth
from torchref_kinetic_plugin.refinement import joint_fit
from torchref_kinetic_plugin.refinement.atom_terms import AtomRestraints
from torchref_kinetic_plugin.refinement.joint_fit import refine_jointly, validation_set
from torchref_kinetic_plugin.refinement.joint_objective import JointObjective
from torchref_kinetic_plugin.refinement.joint_step import joint_step
from torchref_kinetic_plugin.refinement.joint_uncertainty import atom_freedom
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.refinement.uncertainty import estimate_uncertainty
from torchref_kinetic_plugin.threads import one_thread
from torchref_kinetic_plugin.workflow.joint_setup import restraints_of


@pytest.fixture(scope="module")
def joint():
    refinement, made = setup()
    restraints = restraints_of(refinement, made)
    restraints.set_widths((0.2,))
    with one_thread():
        fit_kinetics([each.model for each in made.experiments], made.variables.provider)
    return refinement, made, restraints


@pytest.fixture
def objective(joint):
    _, made, restraints = joint
    before = made.variables.get()
    yield JointObjective(made.experiments, made.variables, restraints)
    made.variables.set(before)


def test_the_gradient_reaches_atoms_rates_and_scales(objective):
    variables = objective.variables
    x = variables.get()
    gradient = objective(x).gradient
    random = np.random.default_rng(1)
    for part, step, allowed in (
        (variables.xyz, 3e-3, 2e-2),
        (variables.b, 1e-3, 2e-2),
        (variables.kinetics, 1e-3, 1e-3),
        (variables.scales, 1e-5, 1e-3),
    ):
        direction = np.zeros(variables.size)
        direction[part] = random.normal(size=part.stop - part.start)
        slope = (objective(x + step * direction).total - objective(x - step * direction).total) / (2.0 * step)
        # TorchRef's density is cut off at a radius, which its derivative does not see: the longer the step, the less of
        # the slope are the jumps of voxels that come and go. So it is with reflections whose integral takes more nodes,
        # which moves ln L by a few millionths.
        assert gradient @ direction == pytest.approx(slope, abs=allowed * np.linalg.norm(gradient[part])), part
        assert np.abs(gradient[part]).max() > 0.0


def test_terms_are_of_one_sum_and_know_all_restraints(objective):
    terms = objective(objective.variables.get())
    assert set(terms.by_name) == {
        *("data", "kinetics", "bond", "angle", "torsion", "chiral", "plane", "contact", "adp", "similarity"),
    }
    assert terms.total == pytest.approx(sum(terms.by_name.values()))
    rows = np.flatnonzero(objective.experiments[0].train)
    model = objective.experiments[0].model
    expected = model.evaluate(objective.variables.provider()[0].detach()).scores.log_likelihood[rows].sum()
    # The model's structure factors were blurred for sharper atoms.
    assert terms.by_name["data"] == pytest.approx(-float(expected), rel=2e-6)


def test_a_step_is_never_worse_and_leaves_everything_at_its_end(objective):
    step = joint_step(objective, iterations=4, seed=3)
    assert step.after.total < step.before.total - 100.0
    assert objective(objective.variables.get()).total == pytest.approx(step.after.total, abs=1e-4)


def test_weights_are_factors_of_their_terms(joint):
    _, made, restraints = joint
    bank = made.experiments[0].bank
    free = made.variables.rows.free
    known = np.ones(bank.n_rows, dtype=bool)
    plain, weighted = (
        AtomRestraints(
            restraints.forms[0].geometry, free, bank.start, known, bank.anisotropic, width=0.2, weights=weights
        )
        for weights in (None, {"geometry": 3.0, "similarity": 0.5})
    )
    moved = made.variables.atom_values(torch.from_numpy(made.variables.get() + 0.05))
    first, second = plain(moved), weighted(moved)
    assert float(second["bond"]) == pytest.approx(3.0 * float(first["bond"]))
    assert float(second["similarity"]) == pytest.approx(0.5 * float(first["similarity"]))
    assert float(second["adp"]) == pytest.approx(float(first["adp"]))
    # All atoms moved by the same vector: nothing but their distance to what stands still has changed.
    assert plain.typical_width(moved) == pytest.approx(0.05, abs=0.2)


def test_the_atoms_take_information_from_the_yield(joint):
    _, made, restraints = joint
    models, provider = [each.model for each in made.experiments], made.variables.provider
    freedom = atom_freedom(made.experiments, made.variables, restraints)
    fixed = estimate_uncertainty(models, provider)
    free = estimate_uncertainty(models, provider, lost=freedom.lost)
    ratio = np.sqrt(np.diag(free.covariance) / np.diag(fixed.covariance))
    assert (ratio >= 1.0).all()
    assert ratio.max() > 1.1
    assert 0.0 < freedom.kept < 1.0
    assert len(freedom.errors) == len(made.variables.rows.free)
    assert 0.005 < np.median(freedom.errors) < 0.3


def test_validation_reflections_are_work_reflections_and_the_same_each_time():
    work = np.random.default_rng(1).random(4000) < 0.9
    chosen = validation_set(work, 5)
    assert not (chosen & ~work).any()
    assert chosen.sum() == pytest.approx(0.05 * work.sum(), rel=0.3)
    np.testing.assert_array_equal(chosen, validation_set(work, 5))
    assert (chosen != validation_set(work, 6)).any()


def test_resuming_between_cycles_changes_no_bit(monkeypatch):
    """Two cycles at once, and one, then one from its state in a new setup."""
    monkeypatch.setattr(joint_fit, "_STEPS", 6)

    def run(cycles, resume=None):
        refinement, made = setup(3.0)
        fit = refine_jointly(
            made.experiments,
            made.variables,
            restraints_of(refinement, made),
            cycles=cycles,
            stop=False,
            n_starts=1,
            resume=resume,
        )
        return fit, made.variables.get()

    whole, at_once = run(2)
    first, _ = run(1)
    rest, resumed = run(2, first.progress)
    np.testing.assert_array_equal(resumed, at_once)
    assert rest.progress.cycles[-1] == whole.progress.cycles[-1]
    assert whole.progress.cycles[0].gain > 50.0


def test_two_cycles_bring_the_intermediates_closer_to_the_truth(joint):
    refinement, made, restraints = joint
    before = {s.name: s for s in made.present_structures()[0]}
    refine_jointly(made.experiments, made.variables, restraints, cycles=2, n_starts=1)
    for structure in made.present_structures()[0][1:]:
        true, dark = truth(structure.name).atoms, truth("dark").atoms
        moved = [key for key, place in true.index.items() if key in dark.index and _far(true, dark, key)]
        error, start = (
            np.sqrt(np.mean([np.sum((s.atoms.xyz[s.atoms.index[k]] - true.xyz[true.index[k]]) ** 2) for k in moved]))
            for s in (structure, before[structure.name])
        )
        assert error < 0.8 * start
    assert refinement.file.refinement.d_min == 3.0


def _far(true, dark, key):
    return np.linalg.norm(true.xyz[true.index[key]] - dark.xyz[dark.index[key]]) > 0.2
