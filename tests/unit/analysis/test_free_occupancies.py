"""Free occupancies and null tests: their errors, and what is found in references."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.unit.analysis.even_series import THREE, even_series
from tests.unit.refinement.small_series import NAMES, provider
from torchref_kinetic_plugin.analysis.free_occupancies import fit_free, free_directions, free_occupancies
from torchref_kinetic_plugin.analysis.null_tests import null_tests
from torchref_kinetic_plugin.analysis.variants import as_timepoint
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.refinement.uncertainty import estimate_uncertainty


@pytest.fixture(scope="module")
def fitted():
    """Two references and three timepoints."""
    data, occupancies = even_series(5, times=THREE, n_references=2), provider(times=THREE)
    fit_kinetics([data], occupancies, n_starts=1)
    return data, occupancies


def test_directions_keep_the_sum_and_are_orthonormal():
    basis = free_directions(3, 4)
    np.testing.assert_allclose(basis.T @ basis, np.eye(8), atol=1e-12)
    np.testing.assert_allclose(basis.reshape(3, 4, 8).sum(axis=0), 0.0, atol=1e-12)
    # Each belongs to one timepoint.
    assert (np.count_nonzero(np.abs(basis.reshape(3, 4, 8)).sum(axis=0) > 1e-12, axis=0) == 1).all()


def test_they_are_those_of_the_unrestrained_provider_and_leave_the_model_alone(fitted):
    model, _ = fitted
    before = model.nuisances.scale.copy(), model.nuisances.error.copy(), model.strength.clone()
    rows, remarks = free_occupancies([model], NAMES)
    assert not remarks
    np.testing.assert_array_equal(model.nuisances.scale, before[0])
    np.testing.assert_array_equal(model.nuisances.error, before[1])
    assert (model.strength == before[2]).all()
    free = provider("unrestrained", times=THREE)
    fit_kinetics([copy_of(model)], free)
    found = np.array([each.occupancy for each in rows]).reshape(3, 3).T
    np.testing.assert_allclose(found, free()[0].detach().numpy(), atol=1e-6)
    assert [(each.timepoint, each.structure) for each in rows[:4]] == [
        ("t0", "dark"),
        ("t0", "I1"),
        ("t0", "I2"),
        ("t1", "dark"),
    ]


def copy_of(model):
    other = ExperimentModel(model.data, model.components, model.base_log_scale.numpy(), model.reference_occupancies)
    other.nuisances, other.strength = model.nuisances.copy(), model.strength.clone()
    return other


def test_errors_within_the_bounds_are_those_of_the_fit_and_at_a_bound_are_not_none(fitted):
    model, _ = fitted
    (fit,) = fit_free([model], NAMES)
    twin, free = copy_of(model), provider("unrestrained", times=THREE)
    fit_kinetics([twin], free)
    expected, errors = estimate_uncertainty([twin], free).occupancies[0], fit.std_errors()
    inside = (fit.occupancies > 0.02).all(axis=0)
    assert inside.any()
    # At a bound the fit has no freedom, which lowers a little what others have.
    np.testing.assert_allclose(errors[:, inside], expected[:, inside], rtol=0.15)
    at_bound = fit.occupancies < 1e-4
    assert at_bound.any()
    assert (errors[at_bound] > 0.5 * errors[1:, inside].min()).all()
    truth = provider(times=THREE)()[0].detach().numpy()
    assert (np.abs(fit.occupancies - truth) < 4.0 * errors).all()


def test_a_second_reference_is_nothing_within_three_errors(fitted):
    model, _ = fitted
    (found,), remarks = null_tests([model], NAMES)
    assert (found.experiment, found.dataset) == ("298K", "dark1")
    assert 0.0 <= found.excited < 3.0 * found.std_error
    assert 0.001 < found.std_error < 0.05
    assert not remarks


def test_a_reference_given_as_a_timepoint_has_the_same_likelihood(fitted):
    model, occupancies = fitted
    values = occupancies()[0].detach().numpy()
    dark = np.array([[1.0], [0.0], [0.0]])
    moved = as_timepoint(model, "dark1")
    assert moved.data.datasets == ("dark0", "dark1", *(f"t{number}" for number in range(3)))
    assert moved.data.n_references == 1
    before = model.evaluate(torch.from_numpy(values))
    after = moved.evaluate(torch.from_numpy(np.concatenate([dark, values], axis=1)))
    assert after.work == pytest.approx(before.work, abs=1e-6)
    # The first of three moved: rows follow their datasets.
    first = as_timepoint(model, "dark0")
    assert first.data.datasets[:2] == ("dark1", "dark0")
    again = first.evaluate(torch.from_numpy(np.concatenate([dark, values], axis=1)))
    assert again.work == pytest.approx(before.work, abs=1e-6)
    np.testing.assert_array_equal(first.nuisances.scale[1], model.nuisances.scale[0])


def test_what_is_excited_in_a_reference_is_found_and_said(fitted):
    """The first timepoint, which is excited by 0.3, is taken for a reference."""
    model, _ = fitted
    data = replace(model.data, datasets=("dark0", "dark1", "wrong", "t1", "t2"), times=THREE[1:])
    mistaken = ExperimentModel(data, model.components, model.base_log_scale.numpy(), model.reference_occupancies)
    mistaken.nuisances, mistaken.strength = model.nuisances.copy(), model.strength.clone()
    tests, remarks = null_tests([mistaken], NAMES)
    assert tests[1].dataset == "wrong"
    assert tests[1].excited == pytest.approx(0.3, abs=0.08)
    assert any("the reference wrong is excited by 0." in remark for remark in remarks)


def test_a_single_reference_has_no_null_test():
    tests, remarks = null_tests([even_series(times=THREE, d_min=4.5)], NAMES)
    assert not tests
    assert remarks == [
        "298K: no null test, which needs a second reference; how small an occupancy could still be nothing is not known"
    ]
    assert null_tests([even_series(times=THREE, n_references=0, d_min=4.5)], NAMES) == ([], [])
