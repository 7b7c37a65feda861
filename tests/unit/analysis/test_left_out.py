"""A timepoint left out: its prediction against an independent computation, and nothing left changed."""

import numpy as np
import pytest
import torch

from tests.unit.analysis.even_series import THREE, even_series
from tests.unit.refinement.small_series import provider
from torchref_kinetic_plugin.analysis.left_out import predict_left_out
from torchref_kinetic_plugin.analysis.preserved import preserved
from torchref_kinetic_plugin.analysis.variants import without
from torchref_kinetic_plugin.bridge import fit_scales_to_model
from torchref_kinetic_plugin.refinement.common_error import CommonErrorLikelihood
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics

ROW = 3  # t1, after two references


@pytest.fixture(scope="module")
def fitted():
    model, occupancies = even_series(times=THREE, n_references=2, missing=0.1), provider(times=THREE)
    fit_kinetics([model], occupancies, n_starts=1)
    before = trace(model, occupancies)
    found = predict_left_out([model], occupancies)
    return model, occupancies, before, found


@pytest.fixture(scope="module")
def refitted(fitted):
    """The same by hand: a provider of its own, the data of one timepoint taken away."""
    model, occupancies, *_ = fitted
    again = provider(times=THREE)
    again.load_state_dict(occupancies.state_dict())
    less = without(model, ["t1"])
    fit_kinetics([less], again, n_starts=1, refine_errors=False)
    return less, again()[0].detach()


def trace(model, occupancies):
    nuisances = model.nuisances
    arrays = [nuisances.scale, nuisances.error, nuisances.inflation, model.strength.numpy()]
    return [each.copy() for each in (*arrays, *(p.detach().numpy() for p in occupancies.parameters()))]


def test_models_and_provider_are_as_before_to_the_last_bit(fitted):
    model, occupancies, before, _ = fitted
    for now, then in zip(trace(model, occupancies), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_they_are_as_before_also_when_something_fails(fitted):
    model, occupancies, before, _ = fitted
    with pytest.raises(RuntimeError), preserved([model], occupancies):
        model.nuisances.scale += 1.0
        with torch.no_grad():
            next(occupancies.parameters()).add_(1.0)
        raise RuntimeError
    for now, then in zip(trace(model, occupancies), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_every_timepoint_once_and_no_reference(fitted):
    _, _, _, found = fitted
    assert [each.summary.timepoint for each in found.predictions] == [f"t{number}" for number in range(3)]
    assert all(each.converged for each in found.predictions)
    assert not found.remarks


def test_the_correlation_is_that_of_an_independent_computation(fitted, refitted):
    model, occupancies, _, found = fitted
    summary = found.predictions[1].summary
    np.testing.assert_allclose(found.predictions[1].occupancies, refitted[1][:, 1].numpy(), atol=1e-9)
    for values, reported in ((refitted[1], summary.cc_left_out), (occupancies()[0].detach(), summary.cc_included)):
        observed, calculated = by_hand(model, values)
        assert len(observed) == summary.n_reflections
        assert reported == pytest.approx(np.corrcoef(observed, calculated)[0, 1], rel=1e-9)
    assert summary.cc_left_out != summary.cc_included
    assert 0.2 < summary.cc_left_out < 0.9


def by_hand(model, occupancies):
    """Differences of t1 to the weighted mean of two references, reflection by reflection."""
    grid = model.data.grid
    weights = np.concatenate([np.tile([[1.0], [0.0], [0.0]], 2), occupancies.numpy()], axis=1)
    calculated = np.abs(weights.T @ model.components.numpy())
    scales = fit_scales_to_model(
        grid.amplitude, grid.sigma, calculated, grid.hkl, model.data.crystal, use=~grid.free, max_residual=9.0
    ).values(grid.hkl)
    pairs = []
    for h in np.flatnonzero(grid.mask[ROW]):
        darks = [row for row in (0, 1) if grid.mask[row, h]]
        if darks:
            inverse = [(scales[row, h] / grid.sigma[row, h]) ** 2 for row in darks]
            mean = np.average([grid.amplitude[row, h] / scales[row, h] for row in darks], weights=inverse)
            pairs.append((grid.amplitude[ROW, h] / scales[ROW, h] - mean, calculated[ROW, h] - calculated[0, h]))
    return np.array(pairs).T


def test_the_likelihood_given_all_others_is_a_ratio_of_two_of_whole_series(fitted, refitted):
    """Of arrays that have, and that have not, a row for the timepoint."""
    model, *_, found = fitted
    less, occupancies = refitted
    grid = model.data.grid
    mixture = model.mixture(model.with_references(occupancies))
    scale, inflation = less.log_scale(), model.log_inflation()
    scale[ROW] = model.log_scale()[ROW]
    values = []
    for rows in (list(range(5)), [row for row in range(5) if row != ROW]):
        likelihood = CommonErrorLikelihood(
            torch.from_numpy(grid.intensity[rows]),
            torch.from_numpy(grid.intensity_sigma[rows]),
            torch.from_numpy(grid.centric),
        )
        values.append(likelihood(mixture[rows], model.error_variance(), scale[rows], inflation[rows]).numpy())
    expected = np.where(grid.mask[ROW], values[0] - values[1], 0.0)
    found_here = found.predictions[1]
    np.testing.assert_allclose(found_here.log_likelihood, expected, atol=1e-6)
    assert found_here.summary.log_likelihood == pytest.approx(expected.sum(), rel=1e-9)
    assert not found_here.log_likelihood[~grid.mask[ROW]].any()


def test_what_the_others_leave_open_is_not_predicted():
    model, free = even_series(times=THREE, d_min=4.5), provider("unrestrained", times=THREE)
    fit_kinetics([model], free, n_starts=1)
    found = predict_left_out([model], free)
    assert not found.predictions
    (remark,) = found.remarks
    assert "298K t0, 298K t1" in remark
    assert "cannot be predicted" in remark
