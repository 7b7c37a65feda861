"""Rows of what all experiments share: values, units, errors by the delta method, remarks."""

import math

import numpy as np
import pytest

from torchref_kinetic_plugin.output.tables import RATES, as_csv
from torchref_kinetic_plugin.plugins import ExperimentSchedule, PluginManager
from torchref_kinetic_plugin.refinement.estimates import ProviderParameters, undetermined_enthalpies
from torchref_kinetic_plugin.refinement.uncertainty import Uncertainty
from torchref_kinetic_plugin.results import SIGNED_KINDS, Estimate

R, KB, H = 8.31446261815324, 1.380649e-23, 6.62607015e-34
TIMES = (1e-7, 1e-6, 1e-5)


def provider(section, temperatures=(285.0, 315.0), **conditions):
    manager = PluginManager(builtin_only=True)
    settings = manager.provider("kinetics").read_settings(section)
    experiments = [ExperimentSchedule(f"{t:g}K", TIMES, "us", t, **conditions) for t in temperatures]
    return manager.build("kinetics", settings, experiments, ("A", "B"), 1)


def estimates(series, variance=0.01):
    parameters = ProviderParameters(series)
    n = parameters.n_refined
    covariance = np.diag(np.broadcast_to(np.asarray(variance, dtype=float), n))
    names = tuple(str(i) for i in range(n))
    found = parameters.estimates(
        Uncertainty(names, covariance, (), from_curvature=True, information=np.linalg.inv(covariance)),
        parameters.values(),
    )
    return {(e.experiment, e.kind, e.name): e for e in found}


LAW = {
    "scheme": "A->B",
    "rate_law": "eyring",
    "reference_temperature": 300.0,
    "rate_constants": {"A->B": "5e5 /s"},
    "activation_enthalpies": {"A->B": 40.0},
}


def test_quantities_of_activation_stand_once_under_all():
    found = estimates(provider(LAW))
    shared = [key for key in found if key[0] == "all"]
    assert shared == [
        ("all", kind, "A->B")
        for kind in ("activation_energy", "activation_enthalpy", "activation_entropy", "activation_gibbs_energy")
    ]
    entropy = R * math.log(5e5 * H / (KB * 300.0)) + 4e4 / 300.0
    assert found["all", "activation_entropy", "A->B"].value == pytest.approx(entropy)
    assert found["all", "activation_entropy", "A->B"].unit == "J/(mol K)"
    assert found["all", "activation_energy", "A->B"].value == pytest.approx(40.0 + 0.3 * R)
    assert found["all", "activation_gibbs_energy", "A->B"].value == pytest.approx(40.0 - 0.3 * entropy)
    k = found["285K", "rate_constant", "A->B"]
    assert k.value == pytest.approx(5e5 * 285.0 / 300.0 * math.exp(-4e4 / R * (1 / 285.0 - 1 / 300.0)))
    assert k.unit == "1/s"


def test_errors_follow_from_those_of_the_raw_parameters():
    found = estimates(provider(LAW))
    # A raw step of 1 is R over the span of 1/T, and of ln k.
    scale = 1e-3 * R / (1 / 285.0 - 1 / 315.0)
    enthalpy = found["all", "activation_enthalpy", "A->B"]
    assert enthalpy.std_error == pytest.approx(0.1 * scale)
    assert enthalpy.std_error_ln is None
    assert enthalpy.refined
    assert (enthalpy.lower, enthalpy.upper) == pytest.approx((40.0 - 0.196 * scale, 40.0 + 0.196 * scale), rel=1e-3)
    entropy = found["all", "activation_entropy", "A->B"]
    assert entropy.std_error == pytest.approx(0.1 * math.hypot(R, 1e3 * scale / 300.0))
    gibbs = found["all", "activation_gibbs_energy", "A->B"]
    assert gibbs.std_error == pytest.approx(0.1 * 0.3 * R)
    k = found["315K", "rate_constant", "A->B"]
    share = (1 / 300.0 - 1 / 315.0) / (1 / 285.0 - 1 / 315.0)
    assert k.std_error_ln == pytest.approx(0.1 * math.hypot(1.0, share))
    assert k.std_error == pytest.approx(k.std_error_ln * k.value)


def test_a_negative_enthalpy_has_an_interval():
    found = estimates(provider(LAW | {"activation_enthalpies": {"A->B": -3.0}}), variance=1.0)
    enthalpy = found["all", "activation_enthalpy", "A->B"]
    assert enthalpy.lower < -3.0 < enthalpy.upper
    row = as_csv(RATES, [(enthalpy.experiment, enthalpy.kind, enthalpy.name, enthalpy.value, enthalpy.unit,
                          enthalpy.std_error_ln, enthalpy.lower, enthalpy.upper, enthalpy.start, enthalpy.std_error)])  # fmt: skip
    heading, values = row.strip().split("\n")
    assert ",start,std_error," in heading
    assert values.split(",")[5] == ""


def test_a_frozen_enthalpy_has_no_error_but_its_entropy_has():
    found = estimates(provider(LAW | {"refine_enthalpies": []}))
    assert not found["all", "activation_enthalpy", "A->B"].refined
    assert found["all", "activation_entropy", "A->B"].std_error == pytest.approx(0.1 * R)


def test_equilibria():
    section = {"scheme": "A<->B", "equilibrium": "all", "shared": ["A->B"], "reference_temperature": 300.0,
               "equilibrium_constants": {"A<->B": 2.0}, "reaction_enthalpies": {"A<->B": -10.0}}  # fmt: skip
    found = estimates(provider(section))
    constant = found["285K", "equilibrium_constant", "A<->B"]
    assert constant.value == pytest.approx(2.0 * math.exp(1e4 / R * (1 / 285.0 - 1 / 300.0)))
    assert constant.unit == ""
    assert constant.std_error_ln > 0.1
    assert found["all", "reaction_enthalpy", "A<->B"].value == pytest.approx(-10.0)
    assert found["all", "reaction_entropy", "A<->B"].value == pytest.approx(R * math.log(2.0) - 1e4 / 300.0)
    single = estimates(provider(section | {"reaction_enthalpies": {}, "reference_temperature": None}, (300.0,)))
    assert not [key for key in single if key[0] == "all"]


def test_second_order_constants_and_saturation():
    section = {"scheme": "A<->B", "equilibrium": "all", "pseudo_first_order": ["A->B"], "shared": ["A->B"],
               "rate_constants": {"A->B": "3e8 /(M s)"}}  # fmt: skip
    found = estimates(provider(section, concentration=2e-3))
    assert found["315K", "rate_constant", "A->B"].value == pytest.approx(6e5)
    second = found["315K", "second_order_rate_constant", "A->B"]
    assert (second.value, second.unit) == (pytest.approx(3e8), "1/(M s)")
    assert second.std_error_ln == pytest.approx(0.1)
    assert found["315K", "equilibrium_constant", "A<->B"].unit == "1/M"
    manager = PluginManager(builtin_only=True)
    settings = manager.provider("kinetics").read_settings(
        {"scheme": "A->B", "activation_law": {"maximum": 0.5, "refine_maximum": True, "saturation_energy": "30 uJ"}}
    )
    experiments = [ExperimentSchedule(str(e), TIMES, "us", pump_energy=e) for e in (1e-5, 4e-5)]
    found = estimates(manager.build("kinetics", settings, experiments, ("A", "B"), 1))
    energy = found["all", "saturation_energy", "activation"]
    assert (energy.value, energy.unit) == (pytest.approx(3e-5), "J")
    assert energy.std_error_ln == pytest.approx(0.1)
    assert found["all", "activation", "maximum"].value == pytest.approx(0.5)
    assert found["1e-05", "activation", "common"].value == pytest.approx(0.5 * (1 - math.exp(-1 / 3)))


def test_shared_rows_have_the_same_order_and_values_in_any_order_of_experiments():
    forward, backward = provider(LAW), provider(LAW, (315.0, 285.0))
    assert (
        estimates(forward)["all", "activation_entropy", "A->B"]
        == estimates(backward)["all", "activation_entropy", "A->B"]
    )


def row(kind, value, std_error):
    return Estimate("all", kind, "A->B", value, "kJ/mol", None, None, None, 50.0, std_error)


def test_enthalpies_that_the_range_does_not_determine_are_told():
    assert undetermined_enthalpies([row("activation_enthalpy", 50.0, 5.0), row("reaction_enthalpy", 0.5, 2.0)]) == []
    assert undetermined_enthalpies([row("activation_enthalpy", 50.0, None), row("activation_energy", 50.0, 90.0)]) == []
    (one,) = undetermined_enthalpies([row("activation_enthalpy", 50.0, 25.0)])
    assert one == (
        "the activation enthalpy of A->B is 50 kJ/mol ± 25 kJ/mol: the range of temperatures does not determine it"
    )
    assert (
        len(undetermined_enthalpies([row("activation_enthalpy", 8.0, 9.0), row("reaction_enthalpy", 9.0, 21.0)])) == 2
    )
    assert "without any limit" in undetermined_enthalpies([row("activation_enthalpy", 8.0, math.inf)])[0]
    assert {"activation_enthalpy", "reaction_entropy"} < SIGNED_KINDS
