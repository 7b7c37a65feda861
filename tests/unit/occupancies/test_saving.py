"""Everything round-trips: scheme, times, mapping, response, activation, freezing, priors."""

import math

import pytest
import torch

from torchref_kinetic_plugin.errors import StateError
from torchref_kinetic_plugin.occupancies import occupancies_kinetics, occupancies_kinetics_multiexperiment

RICH = {
    "flow_chart": "A->B,A->E,B->C,C->D,D->A",
    "time": [-1.0, 0.5, 7.0, 0.5, math.inf],
    "rate_constants": {"A->B": math.inf, "A->E": math.inf, "B->C": 2.0, "C->D": 0.3, "D->A": 0.6},
    "efficiencies": {"A->B": 0.3, "A->E": 0.2, "B->C": 0.8},
    "instrument_function": "gaussian",
    "instrument_width": 0.4,
    "light_activated": True,
    "state_mapping": {"A": 1, "B": 0, "C": 2, "D": 0, "E": 3},
    "regularization": {"rate_prior_weight": {"B->C": 1.0}, "efficiency_prior_weight": 0.5},
    "verbose": 0,
    "activation": 0.7,
    "activation_spread": 0.1,
    "time_zero": 0.05,
    "refine_rates": ["B->C"],
    "refine_efficiencies": ["A->B", "B->C"],
    "refine_instrument": ["time_zero"],
    "bounds": {"B->C": (1.0, 5.0)},
    "ties": {"D->A": ("C->D", 2.0)},
    "time_unit": "us",
    "structure_names": ["x", "y", "z", "w"],
}  # fmt: skip


def moved(model):
    """The model with every parameter away from its start."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def same(left, right):
    assert torch.equal(left(), right())
    assert torch.equal(left.get_regularization_loss(), right.get_regularization_loss())
    assert left.get_rate_constants() == right.get_rate_constants()
    assert left.get_efficiencies() == right.get_efficiencies()
    frozen = [{name for name, p in m.named_parameters() if not p.requires_grad} for m in (left, right)]
    assert frozen[0] == frozen[1]
    assert left._settings == right._settings


def test_kinetics_state_through_a_file(tmp_path):
    model = moved(occupancies_kinetics(**RICH))
    torch.save(model.state_dict_kinetics(), tmp_path / "state.pt")
    same(
        model,
        occupancies_kinetics.load_from_kinetics_state(torch.load(tmp_path / "state.pt", weights_only=True), verbose=0),
    )


def test_state_dict_through_a_file_keeps_parameters_and_freezing(tmp_path):
    model = moved(occupancies_kinetics(**RICH))
    model.freeze_rates()
    torch.save(model.state_dict(), tmp_path / "state.pt")
    other = occupancies_kinetics(**RICH)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    same(model, other)


def test_state_dict_of_another_scheme_is_refused():
    model = occupancies_kinetics("A->B", [1.0, 2.0], verbose=0)
    other = occupancies_kinetics("A->B", [1.0, 3.0], verbose=0)
    with pytest.raises(StateError, match="the saved state has time = .1.0, 2.0., this model .1.0, 3.0."):
        other.load_state_dict(model.state_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "version 99; this program reads version 1"),
        ({"model": "other"}, "is of 'other', not of 'occupancies_kinetics'"),
        ({"parameters": {}}, "the saved state has no parameter"),
        ({"frozen": None}, "incomplete: frozen missing"),
        ({"version": None}, "it has no version"),
    ],
)
def test_other_states_are_refused(change, message):
    state = occupancies_kinetics("A->B", [1.0], verbose=0).state_dict_kinetics() | change
    state = {key: value for key, value in state.items() if value is not None}
    with pytest.raises(StateError, match=message):
        occupancies_kinetics.load_from_kinetics_state(state)


def test_parameters_that_do_not_fit_are_refused():
    state = occupancies_kinetics("A->B", [1.0], verbose=0).state_dict_kinetics()
    name = next(iter(state["parameters"]))
    with pytest.raises(StateError, match="has shape .2,., not .."):
        occupancies_kinetics.load_from_kinetics_state(
            state | {"parameters": state["parameters"] | {name: torch.zeros(2)}}
        )
    with pytest.raises(StateError, match="unknown saved parameter 'k'"):
        occupancies_kinetics.load_from_kinetics_state(state | {"parameters": {"k": torch.zeros(())}})


def test_multiexperiment_through_a_file(tmp_path):
    experiment = {key: value for key, value in RICH.items() if key not in ("flow_chart", "verbose")}
    cold = experiment | {"name": "cold", "time": [1.0, 2.0], "activation_spread": None, "rate_constants": {
        "A->B": math.inf, "A->E": math.inf, "B->C": 2.0}}  # fmt: skip
    model = occupancies_kinetics_multiexperiment(
        RICH["flow_chart"], [experiment | {"name": "warm"}, cold], shared_rates=["B->C"], verbose=0
    )
    moved(model)
    torch.save(model.state_dict_kinetics(), tmp_path / "state.pt")
    other = occupancies_kinetics_multiexperiment.load_from_kinetics_state(
        torch.load(tmp_path / "state.pt", weights_only=True), verbose=0
    )
    assert other.names == ("warm", "cold")
    for left, right in zip(model.models, other.models, strict=True):
        same(left, right)
    assert torch.equal(model.get_regularization_loss(), other.get_regularization_loss())
    parameters = [m.kinetics.network.rate_parameters()["B->C"] for m in other.models]
    assert parameters[0] is parameters[1]
