import math

import pytest
import torch

from torchref_kinetic_plugin.occupancies import occupancies_kinetics


def model(**options):
    return occupancies_kinetics(
        "A->B,B->C", [1.0, 100.0], rate_constants={"A->B": 2.0, "B->C": 0.5}, verbose=0, **options
    )


def test_off_by_default():
    assert model().get_regularization_loss().item() == 0.0


def test_log_normal_prior_on_rates_reaches_them():
    m = model(regularization={"rate_prior_weight": 3.0, "rate_prior_mean": 0.1, "rate_prior_std": 1.5})
    loss = m.get_regularization_loss()
    expected = 3.0 * sum((math.log(k) - 0.1) ** 2 / (2 * 1.5**2) for k in (2.0, 0.5))
    assert loss.item() == pytest.approx(expected, rel=1e-14)
    loss.backward()
    gradient = m.kinetics.network.rate_parameters()["A->B"].raw.grad
    assert float(gradient) == pytest.approx(3.0 * (math.log(2.0) - 0.1) / 1.5**2, rel=1e-13)


def test_default_mean_is_the_middle_of_the_window_and_default_std_is_two():
    m = model(regularization={"rate_prior_weight": 1.0})
    expected = sum((math.log(k) + math.log(10.0)) ** 2 / 8 for k in (2.0, 0.5))
    assert m.get_regularization_loss().item() == pytest.approx(expected, rel=1e-14)


def test_per_transition_overrides():
    table = {
        "rate_prior_weight": {"A->B": 2.0},
        "rate_prior_mean": {"A->B": 0.0, "default": 9.0},
        "rate_prior_std": {"A->B": 1.0},
    }
    loss = model(regularization=table).get_regularization_loss()
    assert loss.item() == pytest.approx(2.0 * math.log(2.0) ** 2 / 2)
    table = {"rate_prior_weight": {"A->B": 0.0, "default": 1.0}, "rate_prior_mean": 0.0}
    assert model(regularization=table).get_regularization_loss().item() == pytest.approx(math.log(0.5) ** 2 / 8)


def test_beta_prior_favours_an_efficiency_of_one():
    m = occupancies_kinetics(
        "A->B,B->C", [1.0], rate_constants={"A->B": math.inf, "B->C": 1.0}, efficiencies={"A->B": 0.3, "B->C": 0.6},
        refine_efficiencies=["A->B", "B->C"], regularization={"efficiency_prior_weight": 2.0}, light_activated=True, verbose=0,
    )  # fmt: skip
    loss = m.get_regularization_loss()
    assert loss.item() == pytest.approx(-2.0 * (math.log(0.3) + math.log(0.6)), rel=1e-13)
    loss.backward()
    for parameter, eta in (
        (m.kinetics.network.impulses.shares["A->B"], 0.3),
        (m.kinetics.network.efficiencies["B->C"], 0.6),
    ):
        assert float(parameter.raw.grad) == pytest.approx(-2.0 * (1 - eta), rel=1e-13)


def test_an_impulse_has_no_rate_prior():
    m = occupancies_kinetics(
        "A->B,B->C", [1.0, 10.0], rate_constants={"A->B": math.inf, "B->C": 1.0},
        regularization={"rate_prior_weight": 1.0, "rate_prior_mean": 1.0}, verbose=0,
    )  # fmt: skip
    assert m.get_regularization_loss().item() == pytest.approx(1.0 / 8)


def test_a_tied_prior_counts_once():
    m = occupancies_kinetics(
        "A->B,B->C", [1.0, 10.0], rate_constants={"A->B": math.e}, ties={"B->C": "A->B"},
        regularization={"rate_prior_weight": 1.0, "rate_prior_mean": 0.0}, verbose=0,
    )  # fmt: skip
    assert m.get_regularization_loss().item() == pytest.approx(1.0 / 8)


def test_prior_and_data_are_one_gradient():
    m = model(regularization={"rate_prior_weight": 1.0})
    raw = m.kinetics.network.rate_parameters()["A->B"].raw
    (data,) = torch.autograd.grad((m() ** 2).sum(), raw)
    (prior,) = torch.autograd.grad(m.get_regularization_loss(), raw)
    ((m() ** 2).sum() + m.get_regularization_loss()).backward()
    torch.testing.assert_close(raw.grad, data + prior)
