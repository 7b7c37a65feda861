import math

import pytest
import torch
from pydantic import ValidationError

from tests.unit.plugins import fakes
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.occupancies import occupancies_kinetics
from torchref_kinetic_plugin.plugins import ExperimentSchedule, PluginManager
from torchref_kinetic_plugin.plugins.kinetics_settings import KineticsSettings

MAPPING = {"A": "dark", "B": "I1", "C": "I2"}
CHAIN = {
    "scheme": "A->B,B->C",
    "state_mapping": MAPPING,
    "rate_constants": {"A->B": "1/(2 us)", "B->C": "50 /ms"},
}


def build(name, section, experiments=None, names=None):
    manager = PluginManager(builtin_only=True)
    settings = manager.provider(name).read_settings(section)
    return manager.build(name, settings, experiments or fakes.EXPERIMENTS, names or fakes.NAMES, 1)


def test_kinetics_is_the_public_model_in_the_users_unit():
    section = {
        **CHAIN,
        "instrument_function": "gaussian",
        "instrument_width": "300 ns",
        "time_zero": "100 ns",
        "light_activated": True,
        "efficiencies": {"B->C": 0.6},
        "activation": 0.8,
    }
    first, second = build("kinetics", section).modules_by_experiment
    expected = occupancies_kinetics(
        "A->B,B->C", [1.0, 10.0, -0.1], {"A->B": 0.5, "B->C": 0.05}, {"B->C": 0.6}, "gaussian", 0.3, True,
        {"A": 0, "B": 1, "C": 2}, verbose=0, time_zero=0.1, activation=0.8, time_unit="us",
    )  # fmt: skip
    torch.testing.assert_close(first(), expected())
    assert isinstance(second, occupancies_kinetics)
    assert second.time_unit == "us"
    assert second.structure_labels == fakes.NAMES
    # The instrument is not refined unless asked, whatever the model's own default is.
    assert all(p.frozen for p in first.kinetics.instrument_parameters().values())


def test_rows_follow_the_structures_not_the_states():
    plain = build("kinetics", CHAIN)()[0]
    turned = build("kinetics", CHAIN, names=("I2", "dark", "I1"))()[0]
    torch.testing.assert_close(turned, plain[[2, 0, 1]])
    same = build("kinetics", {"scheme": "dark->I1,I1->I2"})()[0]
    assert same.shape == plain.shape


def test_a_shared_rate_is_one_parameter_restrained_once():
    prior = {"rate_prior_weight": 1.0, "rate_prior_mean": "1/(1 us)"}
    section = {**CHAIN, "shared": ["B->C"], "regularization": prior}
    series = build("kinetics", section)
    first, second = series.modules_by_experiment
    (group,) = (g for g in series.get_parameter_groups(0.1) if g["name"] == "rate_constants")
    assert len(group["params"]) == 3
    first.set_rate_constant("B->C", 0.2)
    assert second.get_rate_constants()["B->C"] == pytest.approx(0.2)
    penalties = [math.log(0.5) ** 2 / 8.0] * 2 + [math.log(0.2) ** 2 / 8.0]
    assert series.get_regularization_loss().item() == pytest.approx(sum(penalties))
    second.freeze_rates(["B->C"])
    assert first.kinetics.network.rate_parameters()["B->C"].frozen
    alone = build("kinetics", {**section, "shared": []})
    assert sum(len(g["params"]) for g in alone.get_parameter_groups()) == 1 + sum(
        len(g["params"]) for g in series.get_parameter_groups()
    )


def test_all_shares_every_rate_that_there_is():
    section = {
        **CHAIN,
        "rate_constants": {"A->B": "inf", "B->C": "1/(2 us)"},
        "shared": "all",
    }
    series = build("kinetics", section)
    assert sum(p.requires_grad for p in series.parameters()) == 1


def test_experiments_of_different_units_share_rates():
    schedules = [ExperimentSchedule("a", (1e-6,), "us"), ExperimentSchedule("b", (1e-6,), "ns")]
    series = build("kinetics", {**CHAIN, "shared": "all"}, schedules)
    torch.testing.assert_close(*series())


def test_an_experiment_may_differ():
    own = {"rate_constants": {"B->C": "1/(1 us)"}, "activation": 0.5, "time_zero": "1 us"}
    first, second = build("kinetics", {**CHAIN, "experiments": {"300K": own}}).modules_by_experiment
    assert first.get_rate_constants()["B->C"] == pytest.approx(0.05)
    assert second.get_rate_constants() == pytest.approx({"A->B": 0.5, "B->C": 1.0})
    assert second.kinetics.activation.common.number == pytest.approx(0.5)
    assert (first.kinetics.time_zero.number, second.kinetics.time_zero.number) == pytest.approx((0.0, 1.0))


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        ({"scheme": "A->"}, "scheme", "A->"),
        ({"rate_constants": {"A->B": 2.0}}, "rate_constants", "text with a unit"),
        ({"rate_constants": {"A->B": "2 us"}}, "rate_constants", "is a time, a rate is wanted"),
        ({"rate_constants": {"A->X": "inf"}}, "rate_constants", "did you mean 'A->B'"),
        ({"rate_constants": {"B->C": "inf"}}, None, "transitions out of the initial state"),
        ({"efficiencies": {"A->B": 1.2}}, "efficiencies", "less than or equal to 1"),
        ({"efficiencies": {"A->B": "0.3"}}, "efficiencies", "valid number"),
        ({"refine_efficiencies": ["A->D"]}, "refine_efficiencies", "did you mean"),
        ({"shared": ["A->D"]}, "shared", "unknown transition"),
        ({"bounds": {"A->B": ["1/(1 us)"]}}, "bounds", "at least 2"),
        ({"bounds": {"A->B": ["1/(1 us)", "inf"]}}, "bounds", "finite"),
        ({"ties": {"A->B": "B->D"}}, "ties", "unknown transition"),
        ({"instrument_width": "50 ns"}, None, "means nothing without"),
        ({"instrument_function": "gaussian"}, None, "needs an instrument_width"),
        ({"instrument_function": "gausian"}, "instrument_function", "'none' or 'gaussian'"),
        ({"instrument_function": "gaussian", "instrument_width": "-1 ns"}, "instrument_width", "above 0"),
        ({"refine_instrument": ["widht"]}, "refine_instrument", "'width' or 'time_zero'"),
        ({"time_zero": 0.0}, "time_zero", "text with a unit"),
        ({"activation": 1.5}, "activation", "less than or equal to 1"),
        ({"regularization": {"rate_prior_weight": {"A->D": 1.0}}}, "regularization", "unknown transition"),
        ({"regularization": {"rate_prior": 1.0}}, "regularization", "Extra inputs"),
        ({"experiments": {"x": {"efficiencies": {"A->D": 1.0}}}}, "experiments", "unknown transition"),
        ({"light_activatd": True}, "light_activatd", "Extra inputs"),
        ({"initial_state": "D"}, None, "initial_state"),
    ],
)
def test_settings_of_kinetics_are_checked_with_their_place(change, place, message):
    with pytest.raises(ValidationError) as caught:
        KineticsSettings.model_validate({**CHAIN, **change})
    (error,) = caught.value.errors() if place is None else caught.value.errors()[:1]
    assert message in error["msg"]
    assert place is None or error["loc"][0] == place


def test_several_errors_of_a_section_come_together():
    with pytest.raises(ValidationError) as caught:
        KineticsSettings.model_validate({**CHAIN, "efficiencies": {"A->D": 0.1}, "time_zero": "1 nm", "extra": 1})
    assert {e["loc"][0] for e in caught.value.errors()} == {"efficiencies", "time_zero", "extra"}


def test_toml_may_write_inf_bare():
    settings = KineticsSettings.model_validate({**CHAIN, "rate_constants": {"A->B": math.inf}})
    assert settings.rate_constants == {"A->B": "inf"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"state_mapping": {**MAPPING, "C": "I3"}}, "C an unknown structure 'I3'.*did you mean"),
        ({"state_mapping": {**MAPPING, "C": "I1"}}, "no state has the structure I2"),
        ({"state_mapping": {"A": "dark", "B": "I1", "D": "I2"}}, "unknown state 'D'"),
        ({"state_mapping": None}, "state_mapping is needed"),
        ({"experiments": {"310K": {}}}, "unknown experiment '310K'.*did you mean"),
        ({"refine_efficiencies": ["A->B"]}, "cannot be refined"),
    ],
)
def test_what_does_not_fit_the_structures_or_experiments_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        build("kinetics", {**CHAIN, **change})


def test_unrestrained_starts_where_asked():
    start = {"dark": 0.7, "I2": 0.2, "I1": 0.1}
    first, _ = build("unrestrained", {"start": start})()
    torch.testing.assert_close(first[:, 0], torch.tensor([0.7, 0.1, 0.2], dtype=torch.float64))
    first, _ = build("unrestrained", {})()
    assert torch.equal(first, torch.full_like(first, 1 / 3))


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({"dark": 0.5, "I1": 0.5}, "misses I2"),
        ({"dark": 0.5, "I1": 0.3, "I3": 0.2}, "unknown structure 'I3'"),
        ({"dark": 0.5, "I1": 0.3, "I2": 0.3}, "sum to 1.1"),
    ],
)
def test_bad_starts_are_refused(start, message):
    with pytest.raises(InputError, match=message):
        build("unrestrained", {"start": start})


def test_fixed_occupancies_are_as_given():
    given = {"280K": {"dark": [0.5, 0.6, 1.0], "I2": [0.2, 0.4, 0.0]}, "300K": {"dark": 0.5, "I1": 0.5, "I2": 0.0}}
    series = build("fixed", {"occupancies": given})
    first, second = series()
    wanted = torch.tensor([[0.5, 0.6, 1.0], [0.3, 0.0, 0.0], [0.2, 0.4, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(first, wanted)
    assert torch.equal(second, torch.tensor([[0.5], [0.5], [0.0]], dtype=torch.float64).expand(3, 2))
    assert not list(series.parameters())
    assert series.get_parameter_groups() == []
    assert series.get_regularization_loss().item() == 0.0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"280K": {"dark": 0.5, "I1": 0.5}}, "misses the experiments 300K"),
        ({"280K": {"dark": 1.0, "I1": 0.0}, "300": {}}, "unknown experiment '300'.*did you mean"),
        ({"280K": {"dark": 0.5}, "300K": {"dark": 1.0}}, "misses I1, I2"),
        ({"280K": {"dark": 0.7, "I1": 0.5}, "300K": {}}, "sum to 1.2 at timepoint 1"),
        ({"280K": {"dark": 0.7, "I1": 0.1, "I2": 0.1}, "300K": {}}, "sum to 0.9 at timepoint 1"),
        ({"280K": {"dark": [0.7, 0.1], "I1": 0.1}, "300K": {}}, "dark has 2 for 3 timepoints"),
        ({"280K": {"dark": 0.7, "i1": 0.1}, "300K": {}}, "unknown structure 'i1'.*did you mean 'I1'"),
    ],
)
def test_bad_fixed_occupancies_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        build("fixed", {"occupancies": given})


def test_every_key_of_the_built_in_settings_is_described():
    for name in PluginManager(builtin_only=True).provider_names():
        for key, field in PluginManager(builtin_only=True).provider(name).settings.model_fields.items():
            assert field.description, f"[{name}] {key} is not described"
