"""Laws, equilibria and conditions from the refinement file's section and the experiments' schedules."""

import math
import tomllib

import pytest
import torch
from pydantic import ValidationError

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.plugins import ExperimentSchedule, PluginManager
from torchref_kinetic_plugin.plugins.contract import check_provider
from torchref_kinetic_plugin.plugins.kinetics_settings import KineticsSettings

TIMES = (1e-7, 1e-6, 1e-5, math.inf)
NAMES = ("A", "B", "C")


def schedules(**conditions):
    return [ExperimentSchedule(f"{t:g}K", TIMES, "us", t, **conditions) for t in (285.0, 300.0, 310.0)]


def build(section, experiments=None, names=NAMES):
    manager = PluginManager(builtin_only=True)
    provider = manager.provider("kinetics")
    settings = provider.read_settings(tomllib.loads(section) if isinstance(section, str) else section)
    return manager.build("kinetics", settings, experiments or schedules(), names, 1)


LAW = """
scheme = "A->B,B->C"
rate_law = "eyring"
reference_temperature = 300.0
rate_constants = {"A->B" = "1/(2 us)", "B->C" = "50 /ms"}
activation_enthalpies = {"A->B" = 70.0}
refine_enthalpies = ["A->B"]
[regularization]
rate_prior_weight = 1.0
rate_prior_mean = "1/(1 us)"
enthalpy_prior_mean = {default = 60.0}
enthalpy_prior_std = 5.0
law_spread = {"B->C" = 0.1}
"""


def test_rates_follow_the_law_in_the_users_unit():
    series = build(LAW.replace("{default = 60.0}", "60.0"))
    first, second, _ = series.modules_by_experiment
    assert second.get_rate_constants() == pytest.approx({"A->B": 0.5, "B->C": 0.05})
    law = first.joint.laws["A->B"]
    assert first.get_rate_constants()["A->B"] == pytest.approx(law.rate(285.0).item())
    assert not law.energy.frozen
    assert first.joint.laws["B->C"].energy.frozen
    # 2 levels, an energy, and a deviation of each experiment.
    assert sum(p.requires_grad for p in series.parameters()) == 2 + 1 + 3


def test_priors_on_what_is_shared_count_once_whatever_the_order():
    text = LAW.replace("{default = 60.0}", "60.0")
    rates = sum(math.log(k) ** 2 / 8.0 for k in (0.5, 0.05))
    enthalpies = ((70.0 - 60.0) ** 2 + (50.0 - 60.0) ** 2) / (2 * 5.0**2)
    forward, backward = build(text), build(text, schedules()[::-1])
    assert forward.get_regularization_loss().item() == pytest.approx(rates + enthalpies)
    assert torch.equal(forward.get_regularization_loss(), backward.get_regularization_loss())
    for left, right in zip(forward(), backward()[::-1], strict=True):
        assert torch.equal(left, right)
    losses = [m.get_regularization_loss().item() for m in forward.modules_by_experiment]
    assert losses[1:] == [0.0, 0.0]
    with torch.no_grad():
        forward.modules_by_experiment[2].kinetics.network.all_rates()["B->C"].term_parameters[1].raw.fill_(2.0)
    assert forward.get_regularization_loss().item() == pytest.approx(rates + enthalpies + 2.0)


@pytest.mark.parametrize(
    ("section", "conditions"),
    [
        ({"rate_law": "eyring", "regularization": {"law_spread": 0.2}}, {}),
        ({"rate_law": {"A->B": "arrhenius", "B->C": "constant"}, "rate_constants": {"A->B": "1/(2 us)"}}, {}),
        ({"scheme": "A<->B,B<->C,C<->A", "equilibrium": "all", "rate_law": "eyring"}, {"temperature_before": 270.0}),
        ({"scheme": "A<->B,B->C", "equilibrium": ["A<->B"], "shared": "all"}, {}),
        ({"scheme": "A<->B,B->C", "pseudo_first_order": ["A->B"], "shared": ["A->B"]}, {"concentration": 1e-3}),
    ],
)
def test_the_contract_holds(section, conditions):
    base = {"scheme": "A->B,B->C", "state_mapping": {s: s for s in NAMES}} | section
    times = (3e-6, -1e-7, 1e-7, 1e-7, 2e-5)
    experiments = [ExperimentSchedule(n, times, "us", t, **conditions) for n, t in (("a", 280.0), ("b", 300.0))]
    provider = PluginManager(builtin_only=True).provider("kinetics")
    check_provider(provider, base, structure_names=NAMES, experiments=experiments)


def test_the_contract_holds_for_pumps_of_different_energies():
    section = {
        "scheme": "A->B,B->C",
        "activation_law": {"maximum": 0.7, "refine_maximum": True},
        "activation_spread": 0.3,
    }
    times = (3e-6, -1e-7, 1e-7, 1e-7, 2e-5)
    experiments = [ExperimentSchedule(n, times, "us", pump_energy=e) for n, e in (("a", 1e-5), ("b", 4e-5))]
    provider = PluginManager(builtin_only=True).provider("kinetics")
    check_provider(provider, section, structure_names=NAMES, experiments=experiments)


def test_all_shares_what_has_a_rate_of_its_own():
    section = """
scheme = "A<->B,B->C,C->D,D->E"
equilibrium = ["A<->B"]
shared = "all"
rate_law = {"C->D" = "eyring"}
ties = {"D->E" = "C->D"}
"""
    series = build(section, names=("A", "B", "C", "D", "E"))
    first, second, _ = series.modules_by_experiment
    levels = [m.kinetics.network.rate_parameters() for m in (first, second)]
    assert all(levels[0][name] is levels[1][name] for name in ("A->B", "B->C", "C->D", "D->E"))
    assert set(levels[0]) == {"A->B", "B->C", "C->D", "D->E"}


def test_second_order_rates_and_pulse_energies_are_text():
    section = {
        "scheme": "A<->B,B->C",
        "pseudo_first_order": ["A->B"],
        "rate_constants": {"A->B": "2e9 /(M s)", "B->A": "1 /us", "B->C": "1/(100 us)"},
        "bounds": {"A->B": ["1e8 /M/s", "1e10 /M/s"]},
        "regularization": {"rate_prior_weight": {"A->B": 1.0}, "rate_prior_mean": {"A->B": "2e9 M^-1 s^-1"}},
        "shared": ["A->B"],
        "activation_law": {"saturation_energy": "25 uJ"},
    }
    experiments = [ExperimentSchedule(f"{e}", TIMES, "us", concentration=1e-3, pump_energy=e) for e in (1e-5, 2e-5)]
    series = build(section, experiments)
    first = series.modules_by_experiment[0]
    assert first.get_rate_constants()["A->B"] == pytest.approx(2.0)
    assert series.get_regularization_loss().item() == pytest.approx(0.0, abs=1e-20)
    assert first.kinetics.activation.common.number == pytest.approx(1.0 - math.exp(-0.4))


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        ({"shared_rates": ["A->B"]}, "shared_rates", "Extra inputs are not permitted"),
        ({"rate_law": "eyrin"}, "rate_law", "Input should be 'eyring', 'arrhenius' or 'constant'"),
        ({"rate_law": {"A->D": "eyring"}}, "rate_law", "unknown transition 'A->D' in rate_law"),
        ({"activation_enthalpies": {"A->D": 50.0}}, "activation_enthalpies", "unknown transition 'A->D'"),
        ({"activation_enthalpies": {"A->B": "50 kJ"}}, "activation_enthalpies", "valid number"),
        ({"refine_enthalpies": ["A->D"]}, "refine_enthalpies", "unknown transition 'A->D'"),
        ({"pseudo_first_order": ["A->D"]}, "pseudo_first_order", "unknown transition 'A->D'"),
        ({"reference_temperature": 0.0}, "reference_temperature", "greater than 0"),
        ({"equilibrium_constants": {"A<->B": 0.0}}, "equilibrium_constants", "greater than 0"),
        ({"regularization": {"law_spread": 0.0}}, "regularization", "greater than 0"),
        ({"regularization": {"enthalpy_prior_std": {"A->D": 1.0}}}, "regularization", "unknown transition 'A->D'"),
        ({"activation_law": {"saturation_energy": 3.0}}, "activation_law", "an energy is text with a unit here"),
        ({"activation_law": {"maximum": 2.0}}, "activation_law", "less than or equal to 1"),
        ({"rate_law": "eyring", "shared": "all"}, None, "shared = \"all\" says one rate constant at all temperatures"),
        ({"rate_law": "eyring", "experiments": {"x": {"rate_constants": {"A->B": "1 /us"}}}}, None, "rate_constants of experiment 'x' name A->B, which by rate_law is given once for all experiments"),
        ({"shared": ["A->B"], "experiments": {"x": {"rate_constants": {"A->B": "1 /us"}}}}, None, "which by shared is given once"),
        ({"shared": "all", "experiments": {"x": {"rate_constants": {"A->B": "1 /us"}}}}, None, "which by shared is given once"),
        ({"rate_constants": {"A->B": "2e5 /M/s"}}, None, "rate_constants of A->B = '2e5 /M/s' is of second order; name the transition in pseudo_first_order"),
        ({"pseudo_first_order": ["A->B"], "rate_constants": {"A->B": "1 /us"}}, None, "rate_constants of A->B = '1 /us': with pseudo_first_order it is per concentration and time"),
        ({"pseudo_first_order": ["A->B"], "bounds": {"A->B": ["1 /s", "2 /s"]}}, None, "bounds of A->B = '1 /s': with pseudo_first_order"),
    ],
)  # fmt: skip
def test_settings_are_checked_with_their_place(change, place, message):
    with pytest.raises(ValidationError) as caught:
        KineticsSettings.model_validate({"scheme": "A->B,B->C", **change})
    error = caught.value.errors()[0]
    assert message in error["msg"]
    assert place is None or error["loc"][0] == place


@pytest.mark.parametrize(
    ("section", "experiments", "message"),
    [
        ({"rate_law": "eyring"}, [ExperimentSchedule("a", TIMES, "us", 298.0)], "rate_law needs two temperatures or more"),
        ({"rate_law": "eyring"}, [ExperimentSchedule("a", TIMES, "us", 298.0), ExperimentSchedule("b", TIMES)], "rate_law needs the temperature of every experiment; b has none"),
        ({"rate_law": "eyring", "shared": ["A->B"]}, None, "shared says one rate constant at all temperatures"),
        ({"rate_law": {"A->B": "eyring"}, "ties": {"A->B": "B->C"}}, None, "A->B is tied to another transition and has rate_law"),
        ({"scheme": "A<->B,B->C", "equilibrium": "all", "ties": {"B->A": "B->C"}}, None, "B->A has a tie in experiment '285K'"),
        ({"scheme": "A<->B,B->C", "equilibrium": ["A<->C"]}, None, "unknown pair of transitions 'A<->C' in equilibrium"),
        ({"scheme": "A<->B,B<->C,C->A", "equilibrium": ["A<->B"]}, None, "a cycle that is driven round has a net current"),
        ({}, schedules(temperature_before=270.0), "temperature_before of experiment '285K' needs rates that depend on temperature"),
        ({}, schedules(concentration=1e-3), "concentration means nothing without pseudo_first_order"),
        ({"pseudo_first_order": ["A->B"]}, None, "needs the concentration of every experiment"),
        ({"pseudo_first_order": ["A->B"], "regularization": {"rate_prior_weight": 1.0}}, schedules(concentration=1e-3), "rate_prior_mean of A->B cannot follow from the delays"),
        ({"activation_law": {}}, None, "activation_law needs the pump_energy of every experiment"),
        ({"activation_law": {}}, schedules(pump_energy=1e-5), "activation_law needs two pump energies or more"),
        ({"activation_law": {}, "activation": 0.4}, [ExperimentSchedule(str(e), TIMES, pump_energy=e) for e in (1.0, 2.0)], "has activation or refine_activation beside activation_law"),
        ({"regularization": {"enthalpy_prior_mean": 3.0}}, None, "regularization enthalpy_prior_mean means nothing without rate_law"),
    ],
)  # fmt: skip
def test_what_contradicts_the_experiments_is_refused(section, experiments, message):
    with pytest.raises(InputError) as caught:
        build({"scheme": "A->B,B->C", **section}, experiments)
    assert message in str(caught.value)
