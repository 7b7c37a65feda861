"""Fits of occupancies: to the maximum likelihood, from far away."""

import math

import numpy as np
import pytest
import torch

from torchref_kinetic_plugin.errors import ParameterError, ShapeError
from torchref_kinetic_plugin.occupancies import occupancies_kinetics
from torchref_kinetic_plugin.occupancies.curve_fit import fit_occupancies

TRUE = {"A->B": 3.0, "B->C": 0.3, "C->D": 0.03, "D->E": 0.003}
SIGMA = 0.03


def model():
    # Five structures at six delays: thirty occupancies.
    return occupancies_kinetics(",".join(TRUE), np.logspace(-1, 3, 6), rate_constants=TRUE, verbose=0)


def set_rates(m, rates):
    for name, rate in rates.items():
        m.set_rate_constant(name, rate)


def log_rates(m):
    return np.log(list(m.get_rate_constants().values()))


def test_from_two_decades_away_to_the_maximum_likelihood():
    m = model()
    exact = m().detach()
    random = np.random.default_rng(2)
    converged, inside = 0, 0
    for _ in range(100):
        target = exact + SIGMA * torch.from_numpy(random.standard_normal(exact.shape))
        away = random.choice([0.01, 100.0], 4)
        set_rates(m, TRUE)
        best = fit_occupancies(m, target, SIGMA, n_starts=1)
        reference = log_rates(m)
        set_rates(m, {name: rate * factor for (name, rate), factor in zip(TRUE.items(), away, strict=True)})
        fit = fit_occupancies(m, target, SIGMA)
        # A better minimum than the one beside the truth is the maximum likelihood all the more.
        better = fit.cost < best.cost - 1e-3
        converged += better or bool(np.abs(log_rates(m) - reference).max() < 1e-3)
        errors = np.array(list(fit.standard_errors.values()))
        inside += int((np.abs(log_rates(m) - np.log(list(TRUE.values()))) < 1.96 * errors).sum())
    assert converged >= 95
    # 400 intervals of 95 %: three standard deviations of their binomial count.
    assert abs(inside - 380) < 3 * math.sqrt(400 * 0.95 * 0.05)


def test_priors_efficiencies_and_missing_values_take_part():
    options = {"light_activated": True, "refine_efficiencies": ["A->B"], "verbose": 0}
    times = np.logspace(-1, 3, 8)
    truth = occupancies_kinetics(
        "A->B,B->C,C->A", times, {"A->B": math.inf, "B->C": 0.5, "C->A": 0.01}, {"A->B": 0.3}, **options
    )
    target = truth().detach().clone()
    target[:, 2] = math.nan
    start = {"A->B": math.inf, "B->C": 20.0, "C->A": 0.2}
    m = occupancies_kinetics("A->B,B->C,C->A", times, start, {"A->B": 0.7}, **options)
    fit = fit_occupancies(m, target, 0.01)
    assert fit.cost < 1e-10
    assert m.get_rate_constants() == pytest.approx(truth.get_rate_constants(), rel=1e-5)
    assert m.get_efficiencies()["A->B"] == pytest.approx(0.3, rel=1e-5)
    prior = {
        "rate_prior_weight": 1e6,
        "rate_prior_mean": {"B->C": math.log(0.7), "default": math.log(0.01)},
        "rate_prior_std": 1.0,
    }
    m = occupancies_kinetics("A->B,B->C,C->A", times, start, {"A->B": 0.7}, regularization=prior, **options)
    fit_occupancies(m, target, 1.0)
    assert m.get_rate_constants()["B->C"] == pytest.approx(0.7, rel=1e-4)


def test_what_the_data_do_not_determine_has_no_finite_error():
    m = occupancies_kinetics("A->B,B->C", [1e-6, 2e-6], {"A->B": 1e9, "B->C": 1e-30}, verbose=0)
    fit = fit_occupancies(m, m().detach(), 0.01, n_starts=1)
    assert list(fit.standard_errors.values()) == [math.inf, math.inf]


def test_one_undetermined_rate_does_not_hide_the_error_of_another():
    times = np.array([0.5, 1.0, 2.0])
    m = occupancies_kinetics("A->B,B->C", times, {"A->B": 1.0, "B->C": 1e-30}, verbose=0)
    first, second = fit_occupancies(m, m().detach(), 0.01, n_starts=1).standard_errors.values()
    # d exp(-kt) / d ln k = -kt exp(-kt), seen twice: as a loss of A and as a gain of B.
    slopes = times * np.exp(-times)
    assert first == pytest.approx(0.01 / math.sqrt(2 * (slopes**2).sum()), rel=1e-9)
    assert second == math.inf


def test_refused():
    m = model()
    with pytest.raises(ShapeError, match="have shape .2, 2.; .5, 6. is wanted"):
        fit_occupancies(m, torch.zeros(2, 2))
    with pytest.raises(ParameterError, match="sigma must be above 0"):
        fit_occupancies(m, m().detach(), 0.0)
    with pytest.raises(ParameterError, match="n_starts = 0"):
        fit_occupancies(m, m().detach(), n_starts=0)
    m.freeze_rates()
    with pytest.raises(ParameterError, match="no parameter of the model is refined"):
        fit_occupancies(m, m().detach())
