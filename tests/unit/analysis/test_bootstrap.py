"""The bootstrap against the covariance, and what is made of its draws."""

import math

import numpy as np
import pytest

from tests.unit.refinement.small_series import TRUE, provider, series
from torchref_kinetic_plugin.analysis import bootstrap
from torchref_kinetic_plugin.analysis.bootstrap import bootstrap_estimates, refit_draw
from torchref_kinetic_plugin.errors import KineticsError
from torchref_kinetic_plugin.refinement.estimates import ProviderParameters
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.refinement.uncertainty import estimate_uncertainty
from torchref_kinetic_plugin.results import Estimate

N_DRAWS = 10


@pytest.fixture(scope="module")
def fitted():
    model, occupancies = series(noise=0.06, d_min=3.7), provider()
    parameters = ProviderParameters(occupancies)
    fit_kinetics([model], occupancies, n_starts=1)
    best = parameters.estimates(estimate_uncertainty([model], occupancies), parameters.values())
    return model, occupancies, best


def draws(fitted, *, parametric):
    model, occupancies, _ = fitted
    return [refit_draw([model], occupancies, number, seed=1, parametric=parametric) for number in range(1, N_DRAWS + 1)]


@pytest.mark.parametrize("parametric", [False, True])
def test_standard_errors_are_those_of_the_covariance(fitted, parametric):
    """Of three parameters and ten draws: a standard deviation is known to 1/sqrt(2 * 9), 24 %."""
    found = bootstrap_estimates(fitted[2], draws(fitted, parametric=parametric))
    by_name = {each.name: each for each in fitted[2] if each.refined}
    assert [each.name for each in found] == list(by_name) == list(TRUE)
    ratios = np.log([each.std_error_ln / by_name[each.name].std_error_ln for each in found])
    assert np.abs(ratios).max() < 3.0 / math.sqrt(2.0 * (N_DRAWS - 1))
    for each in found:
        shift = (np.mean(each.values) - each.value) / by_name[each.name].std_error
        # Mean of the draws: the value itself, within four of its own standard errors.
        assert abs(shift) < 4.0 / math.sqrt(N_DRAWS)


def test_a_draw_is_what_its_number_says_and_changes_nothing(fitted):
    model, occupancies, _ = fitted
    before = [each.detach().clone() for each in occupancies.parameters()]
    nuisances = model.nuisances
    second = refit_draw([model], occupancies, 2, seed=1)
    refit_draw([model], occupancies, 7, seed=1)
    assert refit_draw([model], occupancies, 2, seed=1) == second
    assert refit_draw([model], occupancies, 2, seed=2) != second
    assert model.nuisances is nuisances
    assert all((a == b).all() for a, b in zip(before, occupancies.parameters(), strict=True))


def test_with_the_error_model_held_it_is_that_of_the_data(fitted, monkeypatch):
    model, occupancies, _ = fitted
    seen = []
    fit = bootstrap.fit_kinetics

    def watched(models, *arguments, **options):
        done = fit(models, *arguments, **options)
        seen.extend(models)
        return done

    monkeypatch.setattr(bootstrap, "fit_kinetics", watched)
    refit_draw([model], occupancies, 1, seed=1, error_model=False)
    refit_draw([model], occupancies, 1, seed=1)
    held, fitted_too = seen
    np.testing.assert_array_equal(held.nuisances.error, model.nuisances.error)
    assert (fitted_too.nuisances.error != model.nuisances.error).any()


def test_a_fit_that_does_not_converge_is_an_error(fitted, monkeypatch):
    model, occupancies, _ = fitted
    monkeypatch.setattr("torchref_kinetic_plugin.refinement.kinetic_fit._MAX_ITERATIONS", 1)
    with pytest.raises(KineticsError, match="not converged"):
        refit_draw([model], occupancies, 1, seed=1)


def test_percentiles_and_spread():
    def estimate(kind, *, refined=True):
        return Estimate("all", kind, "A->B", 2.0, "", 0.1 if refined else None, 1.0, 3.0, 1.0, 0.2 if refined else None)

    best = [estimate("rate_constant"), estimate("activation_enthalpy"), estimate("efficiency", refined=False)]
    values = np.exp(np.linspace(-1.0, 1.0, 41))
    draws = [{("all", kind, "A->B"): value for kind in ("rate_constant", "activation_enthalpy")} for value in values]
    rate, enthalpy = bootstrap_estimates(best, draws)
    assert rate.values == tuple(values)
    # 95 % of 41 equally spaced values: the second from either end.
    assert rate.lower == pytest.approx(values[1])
    assert rate.upper == pytest.approx(values[-2])
    assert rate.std_error_ln == pytest.approx(np.linspace(-1.0, 1.0, 41).std(ddof=1))
    assert enthalpy.std_error_ln is None
