"""The fit finds what a series was made with, its errors are honest, and priors are in the one objective."""

import math

import numpy as np
import pytest
import torch

from tests.unit.refinement.small_series import TIMES, TRUE, five_times_off, provider, series
from torchref_kinetic_plugin.refinement.agreement import agreements
from torchref_kinetic_plugin.refinement.estimates import ProviderParameters, occupancy_estimates
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.refinement.uncertainty import _Curvature, estimate_uncertainty


def estimates(models, occupancies, **options):
    parameters = ProviderParameters(occupancies)
    start = parameters.values()
    fit = fit_kinetics(models, occupancies, **options)
    found = parameters.estimates(estimate_uncertainty(models, occupancies), start)
    return fit, {each.name: each for each in found if each.refined}


@pytest.fixture(scope="module")
def fitted():
    model, occupancies = series(), five_times_off()
    fit, found = estimates([model], occupancies)
    return model, occupancies, fit, found


def test_it_finds_the_truth_from_a_factor_of_five_away(fitted):
    _, _, fit, found = fitted
    assert fit.converged
    assert set(found) == set(TRUE)
    for name, true in TRUE.items():
        each = found[name]
        assert abs(math.log(each.value / true)) < 3.0 * each.std_error_ln, name
        assert each.std_error_ln < 0.12, name
        assert each.lower < each.value < each.upper
    assert found["B->C"].start == pytest.approx(4e5)
    assert found["B->C"].unit == "1/s"


def test_the_objective_falls(fitted):
    *_, fit, _ = fitted
    values = [each.objective for each in fit.iterations]
    # The error model, fitted to other reflections, may move it by a little.
    assert values[-1] < values[0]
    assert np.diff(values).max() < 2.0


def test_the_error_model_and_scales_are_found(fitted):
    model, *_ = fitted
    assert float(model.error_variance().mean() / model.likelihood.centric.numel()) > 0.0
    variance = (model.error_variance() / torch.as_tensor(model.data.grid.epsilon)).mean()
    assert float(variance) == pytest.approx(400.0, rel=0.25)
    assert abs(float(model.log_inflation().mean())) < 0.1
    np.testing.assert_allclose(model.nuisances.scale[:, 0], -0.01, atol=0.02)


def test_errors_by_curvature_and_by_scores_agree(fitted):
    model, occupancies, *_ = fitted
    uncertainty = estimate_uncertainty([model], occupancies)
    assert uncertainty.from_curvature
    scores = np.linalg.inv(_Curvature([model], occupancies).from_scores())
    np.testing.assert_allclose(np.sqrt(np.diag(uncertainty.covariance)), np.sqrt(np.diag(scores)), rtol=0.35)


def test_errors_of_occupancies_are_propagated(fitted):
    model, occupancies, *_ = fitted
    uncertainty = estimate_uncertainty([model], occupancies)
    random = np.random.default_rng(5)
    parameters = [p for p in occupancies.parameters() if p.requires_grad]
    before = [p.detach().clone() for p in parameters]
    draws = random.multivariate_normal([p.item() for p in parameters], 0.01 * uncertainty.covariance, 4000)
    values = []
    with torch.no_grad():
        for draw in draws:
            for p, value in zip(parameters, draw, strict=True):
                p.fill_(value)
            values.append(occupancies()[0].numpy())
        for p, old in zip(parameters, before, strict=True):
            p.copy_(old)
    np.testing.assert_allclose(uncertainty.occupancies[0], 10.0 * np.std(values, axis=0), rtol=0.1, atol=2e-5)


def test_intervals_cover(fitted):
    """Twelve draws of everything: pulls of all parameters have mean 0 and r.m.s. 1."""
    del fitted
    pulls = []
    for seed in range(20, 32):
        _, found = estimates([series(seed)], five_times_off())
        pulls += [math.log(found[name].value / true) / found[name].std_error_ln for name, true in TRUE.items()]
    assert abs(np.mean(pulls)) < 3.0 / math.sqrt(len(pulls))
    assert 0.7 < np.sqrt(np.mean(np.square(pulls))) < 1.35


def test_same_seed_same_numbers():
    first, second = (estimates([series(3)], five_times_off())[1] for _ in range(2))
    assert {name: each.value for name, each in first.items()} == {name: each.value for name, each in second.items()}


def test_priors_are_in_the_objective_and_reach_every_rate():
    prior = {"rate_prior_weight": 1e5, "rate_prior_mean": "1/(1 us)", "rate_prior_std": 0.01}
    occupancies = provider(regularization=prior)
    fit, found = estimates([series()], occupancies)
    assert found["B->C"].value == pytest.approx(1e6, rel=1e-2)
    assert found["C->A"].value == pytest.approx(1e6, rel=1e-2)
    last = fit.iterations[-1]
    assert last.regularization == pytest.approx(occupancies.get_regularization_loss().item(), abs=1e-9)
    assert last.objective == pytest.approx(last.regularization - last.work, rel=1e-12)


def test_unrestrained_finds_the_occupancies():
    model, free = series(), provider("unrestrained")
    fit_kinetics([model], free)
    true = provider()()[0].detach().numpy()
    found = free()[0].detach().numpy()
    assert np.sqrt(((found - true) ** 2).mean()) < 0.03
    uncertainty = estimate_uncertainty([model], free)
    inner = (true > 0.05) & (true < 0.95)
    assert np.isfinite(uncertainty.occupancies[0][inner]).all()
    pulls = (found - true)[inner] / uncertainty.occupancies[0][inner]
    assert 0.4 < np.sqrt((pulls**2).mean()) < 1.8
    rows = occupancy_estimates([model], [[str(t) for t in TIMES]], ["dark", "I1", "I2"], free, uncertainty)
    assert len(rows) == 3 * len(TIMES)
    assert sum(row.occupancy for row in rows if row.timepoint == str(TIMES[0])) == pytest.approx(1.0)


def test_fixed_occupancies_stay():
    table = {"298K": {"I1": [0.1] * 6, "I2": [0.2] * 6}}
    occupancies = provider("fixed", occupancies=table)
    model = series()
    fit = fit_kinetics([model], occupancies)
    torch.testing.assert_close(occupancies()[0][0], torch.full((6,), 0.7, dtype=torch.float64))
    assert fit.converged
    assert np.abs(model.nuisances.scale).max() > 0.0
    assert estimate_uncertainty([model], occupancies).names == ()


def test_a_rate_that_no_delay_sees_is_not_determined():
    early = (1e-8, 3e-8, 1e-7)
    occupancies = provider(times=early, rate_constants={"A->B": "inf", "B->C": "1/(500 ns)", "C->A": "1/(1 d)"})
    _, found = estimates([series(times=early)], occupancies, n_starts=1)
    assert math.isinf(found["C->A"].std_error_ln) or found["C->A"].std_error_ln > 3.0
    assert found["A->B"].std_error_ln < 0.2


def test_two_experiments_share_a_rate():
    models = [series(41, name="cold"), series(42, name="warm")]
    joint = provider(names=("cold", "warm"), shared_rates=["B->C"])
    parameters = ProviderParameters(joint)
    start = parameters.values()
    fit = fit_kinetics(models, joint)
    uncertainty = estimate_uncertainty(models, joint)
    found = {(e.experiment, e.name): e for e in parameters.estimates(uncertainty, start) if e.refined}
    assert parameters.n_refined == 5
    assert found["cold", "B->C"].value == found["warm", "B->C"].value
    assert found["cold", "C->A"].value != found["warm", "C->A"].value
    _, alone = estimates([models[0]], five_times_off())
    assert found["cold", "B->C"].std_error_ln < alone["B->C"].std_error_ln
    assert fit.work == pytest.approx(sum(each.work for each in fit.evaluations))


def test_agreement_against_plain_arithmetic(fitted):
    model, occupancies, *_ = fitted
    found = agreements(model, occupancies()[0].detach())
    grid = model.data.grid
    calculated, _ = model.calculated_amplitudes(occupancies()[0].detach())
    row = 4
    seen = grid.mask[row] & ~grid.free
    # The scale that makes the least squares of one dataset is close to the plain ratio of sums.
    ratio = grid.amplitude[row][seen].sum() / calculated[row][seen].sum()
    plain = np.abs(grid.amplitude[row] - ratio * calculated[row])[seen].sum() / grid.amplitude[row][seen].sum()
    assert found[row].r_work == pytest.approx(plain, abs=0.02)
    assert found[row].n_work == seen.sum()
    assert math.isnan(found[0].cc_diff_work)
    assert found[row].cc_diff_work > 0.5
    assert found[row].cc_diff_free > 0.4
