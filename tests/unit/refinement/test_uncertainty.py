"""Standard errors: by curvature and by scores, over draws, propagated, and infinite where nothing is seen."""

import copy
import math

import numpy as np
import pytest
import torch

from tests.unit.refinement.small_series import TRUE, provider, series
from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.refinement.error_model import error_model_covariance
from torchref_kinetic_plugin.refinement.estimates import ProviderParameters
from torchref_kinetic_plugin.refinement.fit_state import FitState
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics, iterate
from torchref_kinetic_plugin.refinement.uncertainty import _Curvature, estimate_uncertainty

NOISE = 0.2


def estimates(models, occupancies, **options):
    """Refined parameters by name after a fit."""
    parameters = ProviderParameters(occupancies)
    start = parameters.values()
    fit_kinetics(models, occupancies, **options)
    found = parameters.estimates(estimate_uncertainty(models, occupancies), start)
    return {each.name: each for each in found if each.refined}


@pytest.fixture(scope="module")
def fitted():
    """A fit that started at the truth, and what is not known after it."""
    model, occupancies = series(noise=NOISE), provider()
    fit_kinetics([model], occupancies, n_starts=1)
    return model, occupancies, estimate_uncertainty([model], occupancies)


def raw(occupancies):
    return SecondOrderFit(list(occupancies.modules_by_experiment), [])


def test_there_is_one_row_for_each_refined_number(fitted):
    _, occupancies, uncertainty = fitted
    assert uncertainty.from_curvature
    assert uncertainty.covariance.shape == (3, 3)
    assert len(uncertainty.names) == len(set(uncertainty.names)) == raw(occupancies).size == 3
    for name, transition in zip(uncertainty.names, ("B->C", "C->A", "A->B"), strict=True):
        assert transition in name
    assert (np.linalg.eigvalsh(uncertainty.covariance) > 0.0).all()


def test_errors_by_curvature_and_by_scores_agree(fitted):
    model, occupancies, uncertainty = fitted
    by_scores = np.sqrt(np.diag(np.linalg.inv(_Curvature([model], occupancies).from_scores())))
    np.testing.assert_allclose(np.sqrt(np.diag(uncertainty.covariance)), by_scores, rtol=0.25)


def test_the_curvature_is_that_of_the_profile_likelihood(fitted, monkeypatch):
    """A rate is held one standard error off: the best objective over the scales and all else rises by a half."""
    model, occupancies, uncertainty = fitted
    search = raw(occupancies)
    here = search.get()
    best = model.evaluate(occupancies()[0].detach()).work
    # The other parameters follow along the ridge; the scales by their own second-order steps.
    direction = uncertainty.covariance[:, 1] / math.sqrt(uncertainty.covariance[1, 1])
    falls = []
    monkeypatch.setattr("torchref_kinetic_plugin.refinement.fit_state.settle_error_model", lambda *_: 0.0)
    monkeypatch.setattr(type(model), "refresh_strength", lambda *_: None)
    try:
        for sign in (1.0, -1.0):
            search.set(here + sign * direction)
            profile = copy.copy(model)
            profile.nuisances = model.nuisances.copy()
            fit_kinetics([profile], occupancies, refine_provider=False)
            falls.append(best - profile.evaluate(occupancies()[0].detach()).work)
    finally:
        search.set(here)
    assert np.mean(falls) == pytest.approx(0.5, abs=0.1)


def test_errors_of_occupancies_follow_from_those_of_parameters(fitted):
    """To first order, against differences of the occupancies along each principal axis of the covariance."""
    _, occupancies, uncertainty = fitted
    search = raw(occupancies)
    here = search.get()
    values, axes = np.linalg.eigh(uncertainty.covariance)
    total = np.zeros((3, len(occupancies()[0].T)))
    for value, axis in zip(values, axes.T, strict=True):
        pair = []
        for sign in (1e-3, -1e-3):
            search.set(here + sign * math.sqrt(value) * axis)
            pair.append(occupancies()[0].detach().numpy())
        total += ((pair[0] - pair[1]) / 2e-3) ** 2
    search.set(here)
    np.testing.assert_allclose(uncertainty.occupancies[0], np.sqrt(total), rtol=1e-5, atol=1e-12)
    assert 1e-3 < uncertainty.occupancies[0][1, 0] < 0.05


def test_estimating_changes_nothing(fitted):
    model, occupancies, uncertainty = fitted
    before = raw(occupancies).get()
    again = estimate_uncertainty([model], occupancies)
    np.testing.assert_array_equal(raw(occupancies).get(), before)
    np.testing.assert_array_equal(again.covariance, uncertainty.covariance)


def test_intervals_cover_the_truth():
    """Twelve draws of data: the pulls of both rates and the yield have mean 0 and r.m.s. 1."""
    pulls, inside = [], []
    for seed in range(20, 32):
        found = estimates([series(seed, noise=NOISE, d_min=4.0)], provider(), n_starts=1)
        for name, true in TRUE.items():
            each = found[name]
            pulls.append(math.log(each.value / true) / each.std_error_ln)
            inside.append(each.lower < true < each.upper)
    assert abs(np.mean(pulls)) < 3.0 / math.sqrt(len(pulls))
    # Of 36 numbers: r.m.s. within three standard deviations of 1, at least 30 intervals of 95 %.
    assert 0.65 < math.sqrt(np.mean(np.square(pulls))) < 1.35
    assert sum(inside) >= 30


def test_a_rate_that_no_delay_sees_has_an_infinite_error():
    early = (1e-8, 3e-8, 1e-7)
    rates = {"A->B": "inf", "B->C": "1/(500 ns)", "C->A": "1/(30000 d)"}
    occupancies = provider(times=early, rate_constants=rates)
    model = series(times=early, noise=NOISE, d_min=4.0, occupancies=occupancies()[0].detach().numpy())
    uncertainty = estimate_uncertainty([model], occupancies)
    errors = dict(zip(uncertainty.names, np.sqrt(np.diag(uncertainty.covariance)), strict=True))
    (blind,) = (name for name in errors if "C->A" in name)
    assert math.isinf(errors.pop(blind))
    assert all(0.0 < each < 1.0 for each in errors.values())
    assert not uncertainty.from_curvature
    # It moves no occupancy at these delays either.
    assert np.isfinite(uncertainty.occupancies[0]).all()
    parameters = ProviderParameters(occupancies)
    found = {e.name: e for e in parameters.estimates(uncertainty, parameters.values()) if e.kind == "rate_constant"}
    assert math.isinf(found["C->A"].std_error_ln)
    assert found["C->A"].lower < 1e-200
    assert found["C->A"].upper > 1e200


def test_a_prior_adds_its_precision():
    """Data that see nothing of a rate leave the prior's own width."""
    early = (1e-8, 3e-8, 1e-7)
    rates = {"A->B": "inf", "B->C": "1/(500 ns)", "C->A": "1/(30000 d)"}
    prior = {"rate_prior_weight": {"C->A": 1.0}, "rate_prior_mean": "1/(30000 d)", "rate_prior_std": 0.7}
    occupancies = provider(times=early, rate_constants=rates, regularization=prior)
    model = series(times=early, noise=NOISE, d_min=4.0, occupancies=occupancies()[0].detach().numpy())
    uncertainty = estimate_uncertainty([model], occupancies)
    parameters = ProviderParameters(occupancies)
    found = {e.name: e for e in parameters.estimates(uncertainty, parameters.values()) if e.kind == "rate_constant"}
    assert found["C->A"].std_error_ln == pytest.approx(0.7, rel=1e-3)


def test_without_parameters_there_is_nothing_to_estimate():
    occupancies = provider("fixed", occupancies={"298K": {"I1": 0.1, "I2": 0.2}})
    uncertainty = estimate_uncertainty([series(noise=NOISE, d_min=5.0)], occupancies)
    assert uncertainty.names == ()
    assert uncertainty.covariance.shape == (0, 0)
    torch.testing.assert_close(torch.from_numpy(uncertainty.occupancies[0]), torch.zeros(3, 6, dtype=torch.float64))


def test_what_the_error_model_leaves_open_is_what_other_error_models_change(fitted, monkeypatch):
    """Refits with one coefficient of the error model moved, against J S J'."""
    model, occupancies, _ = fitted
    whole = error_model_covariance(model, occupancies()[0].detach())
    n_error = len(model.nuisances.error)
    assert whole.shape == (n_error + 3 * len(model.data.datasets),) * 2
    # The variance of the common error, and the inflation of one dataset.
    chosen = [0, n_error + 9]
    variances = np.zeros_like(whole)
    variances[chosen, chosen] = np.diag(whole)[chosen]
    monkeypatch.setattr("torchref_kinetic_plugin.refinement.uncertainty.error_model_covariance", lambda *_: variances)
    uncertainty = estimate_uncertainty([model], occupancies)
    search = raw(occupancies)
    here, expected = search.get(), np.zeros(3)
    for number in chosen:
        step, ends = math.sqrt(whole[number, number]), []
        for sign in (1.0, -1.0):
            moved = copy.copy(model)
            moved.nuisances = model.nuisances.copy()
            if number < n_error:
                moved.nuisances.error[number] += sign * step
            else:
                moved.nuisances.inflation.ravel()[number - n_error] += sign * step
            fit = FitState([moved], occupancies, refine_provider=True, refine_scale=True, refine_errors=False)
            fit.begin()
            fit.take_curvature()
            assert iterate(fit)[0]
            ends.append(search.get())
            search.set(here)
        expected += (0.5 * (ends[0] - ends[1])) ** 2
    found = np.sqrt(np.diag(uncertainty.by_error_model))
    np.testing.assert_allclose(found, np.sqrt(expected), rtol=0.1, atol=2e-3)
    assert found.max() > 5e-3
    assert (np.diag(uncertainty.covariance) > found**2).all()
