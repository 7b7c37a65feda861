"""The fit finds what a series was made with; data and priors are in the one objective, free reflections are not."""

import math

import numpy as np
import pytest
import torch

from tests.unit.refinement.small_series import TIMES, TRUE, five_times_off, provider, series
from torchref_kinetic_plugin.errors import ScalingError
from torchref_kinetic_plugin.refinement.estimates import ProviderParameters, occupancy_estimates
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.refinement.quadratic import score_rows
from torchref_kinetic_plugin.refinement.uncertainty import estimate_uncertainty


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


def test_the_error_model_and_scales_are_found(fitted):
    model, *_ = fitted
    assert float(model.error_variance().mean() / model.likelihood.centric.numel()) > 0.0
    variance = (model.error_variance() / torch.as_tensor(model.data.grid.epsilon)).mean()
    assert float(variance) == pytest.approx(400.0, rel=0.25)
    assert abs(float(model.log_inflation().mean())) < 0.1
    np.testing.assert_allclose(model.nuisances.scale[:, 0], -0.01, atol=0.02)


def test_priors_are_in_the_objective_and_reach_every_rate():
    prior = {"rate_prior_weight": 1e5, "rate_prior_mean": "1/(1 us)", "rate_prior_std": 0.01}
    occupancies = provider(regularization=prior)
    fit, found = estimates([series()], occupancies)
    assert found["B->C"].value == pytest.approx(1e6, rel=1e-2)
    assert found["C->A"].value == pytest.approx(1e6, rel=1e-2)
    last = fit.iterations[-1]
    assert last.regularization == pytest.approx(occupancies.get_regularization_loss().item(), abs=1e-9)
    assert last.objective == pytest.approx(last.regularization - last.work, rel=1e-12)


def test_the_weight_of_the_regularization_is_that_of_its_terms():
    found = []
    for own, common in ((600.0, 1.0), (200.0, 3.0)):
        prior = {"rate_prior_weight": own, "rate_prior_mean": "1/(1 us)", "rate_prior_std": 0.5}
        occupancies = provider(regularization=prior)
        occupancies.regularization_weight = common
        fit, estimated = estimates([small()], occupancies, n_starts=1)
        found.append([fit.iterations[-1].regularization, *(each.value for each in estimated.values())])
        found[-1] += [each.std_error_ln for each in estimated.values()]
    assert found[0][0] > 0.1
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


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


def test_two_experiments_share_a_rate():
    models = [series(41, name="cold"), series(42, name="warm")]
    joint = provider(names=("cold", "warm"), shared=["B->C"])
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


@pytest.fixture
def frozen(monkeypatch):
    """The error model stays as it is, and with it the objective."""
    monkeypatch.setattr("torchref_kinetic_plugin.refinement.fit_state.settle_error_model", lambda *_: 0.0)


def small(seed=1, **changes):
    return series(seed, noise=0.2, d_min=4.5, **changes)


def work_of(models, occupancies):
    values = [each.detach() for each in occupancies()]
    return sum(model.evaluate(each).work for model, each in zip(models, values, strict=True))


@pytest.mark.usefixtures("frozen")
def test_no_step_makes_the_objective_worse():
    model, occupancies = small(), five_times_off()
    seen = []
    fit = fit_kinetics([model], occupancies, on_iteration=seen.append)
    assert tuple(seen) == fit.iterations
    assert [each.number for each in seen] == list(range(len(seen)))
    values = [each.objective for each in seen]
    assert np.diff(values).max() <= 1e-6
    assert values[0] - values[-1] > 1.0
    assert values[-1] == pytest.approx(-work_of([model], occupancies), rel=1e-12)


def test_the_objective_rises_with_the_error_model_alone():
    """It is fitted to other reflections, which may cost the work reflections a little."""
    fit = fit_kinetics([small()], five_times_off())
    values = [each.objective for each in fit.iterations]
    assert values[-1] < values[0]
    assert np.diff(values).max() < 2.0


@pytest.mark.usefixtures("frozen")
def test_the_free_reflections_do_not_move_the_rates():
    """Not beyond rounding, once the error model does not follow them; with it, by less than their standard errors."""
    found = []
    for factor in (1.0, 1.3):
        model, occupancies = small(), five_times_off()
        # The first guess of the error variance is of the free reflections, too.
        model.nuisances.error[:] = math.log(400.0), 0.0, 0.0
        model.likelihood.intensities[:, model.free_rows] *= factor
        fit = fit_kinetics([model], occupancies)
        found.append(([p.item() for p in occupancies.parameters()], model.nuisances.scale, fit.work, fit.free))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-11)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-9, atol=1e-13)
    assert found[0][2] == pytest.approx(found[1][2], rel=1e-13)
    assert found[0][3] > found[1][3] + 10.0


def test_same_seed_same_numbers():
    """To the last bit, whatever ran before."""
    results = []
    for _ in range(2):
        model, occupancies = small(3), five_times_off()
        fit = fit_kinetics([model], occupancies, seed=7)
        uncertainty = estimate_uncertainty([model], occupancies)
        results.append((fit.iterations, fit.start_costs, occupancies()[0].tolist(), uncertainty.covariance.tolist()))
    assert results[0] == results[1]


def test_gradients_of_data_and_priors_reach_every_rate():
    """The provider's own backward pass of the objective, against differences of both of its terms."""
    prior = {"rate_prior_weight": 3.0, "rate_prior_mean": "1/(1 us)", "efficiency_prior_weight": 5.0}
    occupancies, model = provider(regularization=prior), small()
    parameters = [p for p in occupancies.parameters() if p.requires_grad]
    assert len(parameters) == 3
    value = occupancies()[0]
    force, _ = score_rows(model, model.evaluate(value.detach()))
    data = -(force.sum(0).reshape(value.shape) * value).sum()
    terms = (lambda: -work_of([model], occupancies), lambda: occupancies.get_regularization_loss().item())
    for term, plain, rel in ((data, terms[0], 2e-3), (occupancies.get_regularization_loss(), terms[1], 1e-6)):
        gradients = torch.autograd.grad(term, parameters)
        for p, gradient in zip(parameters, gradients, strict=True):
            here, pair = p.item(), []
            for step in (1e-4, -1e-4):
                with torch.no_grad():
                    p.fill_(here + step)
                pair.append(plain())
            with torch.no_grad():
                p.fill_(here)
            slope = (pair[0] - pair[1]) / 2e-4
            assert abs(slope) > 0.5
            assert gradient.item() == pytest.approx(slope, rel=rel, abs=0.05 if rel > 1e-3 else 1e-6)


def test_the_prior_of_a_shared_rate_counts_once():
    prior = {"rate_prior_weight": 2.0, "rate_prior_mean": "1/(1 us)", "rate_prior_std": 1.5}
    alone = provider(regularization=prior).get_regularization_loss().item()
    expected = sum(2.0 * (math.log(TRUE[name] / 1e6) / 1.5) ** 2 / 2.0 for name in ("B->C", "C->A"))
    assert alone == pytest.approx(expected, rel=1e-10)
    names = ("cold", "warm")
    apart = provider(names=names, regularization=prior).get_regularization_loss().item()
    shared = provider(names=names, shared="all", regularization=prior)
    assert apart == pytest.approx(2.0 * alone, rel=1e-12)
    assert shared.get_regularization_loss().item() == pytest.approx(alone, rel=1e-12)
    models = [small(41, name="cold"), small(42, name="warm")]
    last = fit_kinetics(models, shared, n_starts=1).iterations[-1]
    assert last.regularization == pytest.approx(shared.get_regularization_loss().item(), rel=1e-12)
    assert last.objective == pytest.approx(last.regularization - work_of(models, shared), rel=1e-12)


def test_what_is_not_refined_stays():
    model, occupancies = small(), five_times_off()
    before, scale = occupancies()[0].detach(), model.nuisances.scale.copy()
    fit_kinetics([model], occupancies, refine_provider=False)
    torch.testing.assert_close(occupancies()[0].detach(), before, rtol=0.0, atol=0.0)
    assert np.abs(model.nuisances.scale - scale).max() > 1e-3
    kept = small()
    fit_kinetics([kept], occupancies, refine_scale=False)
    np.testing.assert_array_equal(kept.nuisances.scale, scale)
    assert not torch.equal(occupancies()[0].detach(), before)


def test_a_likelihood_that_is_not_finite_is_refused():
    model = small()
    model.base_log_scale[0] = math.nan
    with pytest.raises(ScalingError, match="not finite"):
        fit_kinetics([model], provider())
