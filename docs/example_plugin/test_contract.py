"""The provider keeps to the contract, and computes what it says."""

import math

import torch

from torchref_kinetic_plugin.plugins import ExperimentSchedule
from torchref_kinetic_plugin.plugins.contract import check_provider
from torchref_stretched.plugin import torchref_kinetic_occupancy_providers

(STRETCHED,) = torchref_kinetic_occupancy_providers()


def test_defaults() -> None:
    """One relaxation for each experiment, no priors."""
    check_provider(STRETCHED, {"tau": "5 us"}, n_structures=2)


def test_shared_restrained_and_fixed() -> None:
    """Two parameters of all experiments, one left alone, priors."""
    section = {
        "tau": "5 us",
        "beta": 0.7,
        "yield": 0.3,
        "refine": ["tau", "yield"],
        "shared": ["beta", "yield"],
        "prior_factors": {"tau": 10.0, "yield": 3.0},
    }
    check_provider(STRETCHED, section, n_structures=2)


def test_formula() -> None:
    """At tau 1/e is left whatever beta; nothing before the trigger, nothing after infinite time."""
    settings = STRETCHED.read_settings({"tau": "2 s", "beta": 0.5, "yield": 0.4})
    schedule = ExperimentSchedule("one", (-1.0, 0.0, 2.0, 8.0, math.inf))
    (module,) = STRETCHED.factory(settings, [schedule], ("dark", "excited"), 1)
    expected = torch.tensor([0.0, 0.4, 0.4 * math.exp(-1.0), 0.4 * math.exp(-2.0), 0.0], dtype=torch.float64)
    torch.testing.assert_close(module()[1], expected)
    module()[1].sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite() for parameter in module.parameters())


def test_a_shared_prior_counts_once() -> None:
    """The objective adds the regularization of all modules."""
    settings = STRETCHED.read_settings({"tau": "2 s", "shared": ["tau"], "prior_factors": {"tau": math.e}})
    schedules = [ExperimentSchedule(name, (1.0,)) for name in ("one", "two")]
    first, second = STRETCHED.factory(settings, schedules, ("dark", "excited"), 1)
    with torch.no_grad():
        first.get_parameter("ln_tau").add_(1.0)
    assert second.get_parameter("ln_tau") is first.get_parameter("ln_tau")
    assert first.get_regularization_loss().item() == 0.5
    assert second.get_regularization_loss().item() == 0.0
