"""Every wrong input is a named error that says what is wrong and what is allowed."""

import math

import pytest
import torch

from torchref_kinetic_plugin import errors
from torchref_kinetic_plugin.occupancies import occupancies_kinetics, occupancies_kinetics_multiexperiment

INF, NAN = math.inf, math.nan
RATES = {"A->B": 1.0, "B->C": 0.5}

CASES = [
    ({"rate_constants": {"A->b": 1.0}}, errors.UnknownNameError, "unknown transition 'A->b' in rate_constants (did you mean 'A->B'?)"),
    ({"efficiencies": {"A>B": 0.5}}, errors.UnknownNameError, "unknown transition 'A>B' in efficiencies (did you mean 'A->B'?)"),
    ({"bounds": {"B->A": (1, 2)}}, errors.UnknownNameError, "unknown transition 'B->A' in bounds"),
    ({"ties": {"B->D": "A->B"}}, errors.UnknownNameError, "in ties (did you mean 'B->C'?)"),
    ({"refine_rates": ["C->B"]}, errors.UnknownNameError, "in refine_rates"),
    ({"refine_efficiencies": ["BC"]}, errors.UnknownNameError, "in refine_efficiencies (did you mean 'B->C'?)"),
    ({"refine_instrument": ["sigma"]}, errors.UnknownNameError, "unknown instrument parameter 'sigma' in refine_instrument; allowed: time_zero"),
    ({"regularization": {"rate_prior_wieght": 1.0}}, errors.UnknownNameError, "(did you mean 'rate_prior_weight'?)"),
    ({"regularization": {"rate_prior_weight": {"A->C": 1.0}}}, errors.UnknownNameError, "in regularization rate_prior_weight"),
    ({"regularization": {"rate_prior_weight": -1.0}}, errors.ParameterError, "it must be 0 (off) or above"),
    ({"regularization": {"rate_prior_std": 0.0}}, errors.ParameterError, "it must be above 0"),
    ({"regularization": {"rate_prior_mean": INF}}, errors.ParameterError, "it must be finite"),
    ({"regularization": {"rate_prior_weight": {"A->B": 1.0}}, "rate_constants": {"A->B": INF}}, errors.ParameterError, "has no rate constant to restrain"),
    ({"rate_constants": {"A->B": -1.0}}, errors.ParameterError, "rate constant of A->B = -1: it must be finite and above 0"),
    ({"rate_constants": {"A->B": 0.0}}, errors.ParameterError, "it must be finite and above 0"),
    ({"rate_constants": {"A->B": NAN}}, errors.ParameterError, "it must be finite and above 0"),
    ({"rate_constants": {"A->B": -INF}}, errors.ParameterError, "it must be finite and above 0"),
    ({"rate_constants": {"A->B": True}}, errors.ParameterError, "must be a number, not True"),
    ({"rate_constants": {"A->B": [1.0]}}, errors.ParameterError, "must be a number, not [1.0]"),
    ({"rate_constants": [1.0, 2.0]}, errors.ParameterError, "rate_constants is a table from transition to rate"),
    ({"rate_constants": {"A->B": "fast"}, "time_unit": "ns"}, errors.UnitError, "cannot read the rate 'fast'"),
    ({"rate_constants": {"A->B": "1/(5 ns)"}}, errors.UnitError, "give time_unit"),
    ({"rate_constants": {"B->C": INF}}, errors.ParameterError, "only transitions out of the initial state 'A'"),
    ({"efficiencies": {"A->B": 1.2}}, errors.ParameterError, "efficiency of A->B = 1.2: it must lie in [0, 1]"),
    ({"efficiencies": {"A->B": -0.1}}, errors.ParameterError, "it must lie in [0, 1]"),
    ({"efficiencies": {"A->B": NAN}}, errors.ParameterError, "it must lie in [0, 1]"),
    ({"flow_chart": "A->B,A->C", "rate_constants": {"A->B": INF, "A->C": INF}, "efficiencies": {"A->B": 0.7, "A->C": 0.6}}, errors.ParameterError, "sum to 1.3 (A->B 0.7, A->C 0.6)"),
    ({"flow_chart": "A->B,A->C", "rate_constants": {"A->B": INF, "A->C": INF}, "efficiencies": {"A->B": 0.7}}, errors.ParameterError, "give the efficiencies of A->C"),
    ({"refine_efficiencies": ["A->B"]}, errors.ParameterError, "the efficiency of A->B cannot be refined: A->B leaves the initial state of a scheme that is not light-activated"),
    ({"flow_chart": "A->B,B->A", "light_activated": True, "refine_efficiencies": ["B->A"]}, errors.ParameterError, "success and failure coincide"),
    ({"efficiencies": {"B->C": 1.0}, "refine_efficiencies": ["B->C"]}, errors.ParameterError, "efficiency of B->C = 1 cannot be refined: at the end of its range"),
    ({"light_activated": True, "refine_efficiencies": ["A->B"], "activation": 0.5, "refine_activation": True}, errors.ParameterError, "are one number (their product)"),
    ({"flow_chart": ""}, errors.FlowChartError, "the flow chart is empty"),
    ({"flow_chart": "A-B"}, errors.FlowChartError, "cannot read 'A-B'"),
    ({"flow_chart": "A->A"}, errors.FlowChartError, "from a state to itself"),
    ({"flow_chart": "A->B,A->B"}, errors.FlowChartError, "stands twice"),
    ({"flow_chart": "A*->B"}, errors.FlowChartError, "is reserved"),
    ({"flow_chart": "A", "light_activated": True}, errors.FlowChartError, "light_activated needs a transition"),
    ({"time": []}, errors.TimeError, "there is no timepoint"),
    ({"time": [1.0, NAN]}, errors.TimeError, "time 2 of 2 is not a number (NaN)"),
    ({"time": [[1.0], [2.0]]}, errors.TimeError, "a time must be a number, not [1.0]"),
    ({"time": torch.zeros(2, 2)}, errors.TimeError, "a shape of (2, 2) was given"),
    ({"time": 3.0}, errors.TimeError, "times are a list of numbers"),
    ({"time": "1 ns"}, errors.TimeError, "times are a list, not the text"),
    ({"time": ["1 ns"]}, errors.UnitError, "give time_unit"),
    ({"time": ["1 nm"], "time_unit": "ns"}, errors.UnitError, "unknown unit of time 'nm' (did you mean 'ns'?)"),
    ({"time_unit": "sec"}, errors.UnitError, "unknown unit of time 'sec'"),
    ({"time": [-1.0, 0.0], "rate_constants": None}, errors.TimeError, "no finite delay after the trigger, so the times do not suggest starting rates"),
    ({"time": [-1.0], "regularization": {"rate_prior_weight": 1.0}}, errors.ParameterError, "rate_prior_mean cannot follow from the times"),
    ({"instrument_function": "gauss"}, errors.UnknownNameError, "unknown response 'gauss' in instrument_function (did you mean 'gaussian'?); allowed: none, gaussian"),
    ({"instrument_function": "gaussian", "instrument_width": 0.0}, errors.ParameterError, "instrument_width = 0: it must be finite and above 0"),
    ({"instrument_function": "gaussian", "instrument_width": -1.0}, errors.ParameterError, "it must be finite and above 0"),
    ({"instrument_function": "gaussian", "instrument_width": NAN}, errors.ParameterError, "it must be finite and above 0"),
    ({"state_mapping": {"A": 0, "B": 1}}, errors.MappingError, "state_mapping misses C"),
    ({"state_mapping": {"A": 0, "B": 1, "C": 1, "c": 2}}, errors.MappingError, "unknown state 'c' (did you mean 'C'?)"),
    ({"state_mapping": {"A": 0, "B": 1, "C": 3}}, errors.MappingError, "uses structures [0, 1, 3] but not [2]"),
    ({"state_mapping": {"A": 0, "B": 1, "C": -1}}, errors.MappingError, "state_mapping of C is -1"),
    ({"state_mapping": {"A": 0, "B": 1.0, "C": 1}}, errors.MappingError, "state_mapping of B is 1.0"),
    ({"state_mapping": {"A": 0, "B": 1, "C": 2, "A*": 0}}, errors.MappingError, "unknown state 'A*'"),
    ({"state_mapping": [0, 1, 2]}, errors.MappingError, "is a table from state to structure index"),
    ({"structure_names": ["dark"]}, errors.MappingError, "must name all 3 structures"),
    ({"initial_state": "X"}, errors.UnknownNameError, "unknown state 'X' in initial_state; allowed: A, B, C"),
    ({"initial_populations": {"A": 0.5, "X": 0.5}}, errors.UnknownNameError, "unknown state 'X' in initial_populations"),
    ({"initial_populations": {"A": 0.5}}, errors.ParameterError, "initial populations sum to 0.5"),
    ({"initial_populations": {"A": 1.5, "B": -0.5}}, errors.ParameterError, "it must lie in [0, 1]"),
    ({"activation": 1.5}, errors.ParameterError, "activation = 1.5: it must lie in [0, 1]"),
    ({"activation_spread": 0.1}, errors.ParameterError, "needs an activation inside (0, 1)"),
    ({"activation": 0.5, "activation_spread": -0.1}, errors.ParameterError, "it must be finite and above 0"),
    ({"refine_activation": True}, errors.ParameterError, "activation = 1 cannot be refined"),
    ({"time_zero": NAN}, errors.ParameterError, "time_zero = nan: it must be a finite number"),
    ({"bounds": {"A->B": (2.0, 1.0)}}, errors.ParameterError, "bounds of A->B are 2 to 1"),
    ({"bounds": {"A->B": 3.0}}, errors.ParameterError, "are a pair (lower, upper)"),
    ({"bounds": {"A->B": (2.0, 3.0)}, "rate_constants": RATES}, errors.ParameterError, "its bounds are 2 to 3, both excluded"),
    ({"bounds": {"A->B": (2.0, 3.0)}, "rate_constants": {"A->B": INF}}, errors.ParameterError, "whose rate is inf"),
    ({"ties": {"A->B": "A->B"}}, errors.ParameterError, "is itself tied"),
    ({"ties": {"B->C": ("A->B", -2.0)}}, errors.ParameterError, "factor of the tie of B->C = -2"),
    ({"ties": {"B->C": "A->B"}, "rate_constants": RATES}, errors.ParameterError, "contradicts its tie"),
    ({"refine_rates": ["B->C"], "ties": {"B->C": "A->B"}}, errors.ParameterError, "which is tied to A->B; refine that one"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "kind", "message"), CASES, ids=[message for _, _, message in CASES])
def test_construction(options, kind, message):
    arguments = {"flow_chart": "A->B,B->C", "time": [0.5, 1.0], "rate_constants": dict(RATES), "verbose": 0} | options
    if arguments["flow_chart"] != "A->B,B->C" and "rate_constants" not in options:
        arguments["rate_constants"] = None
    elif isinstance(options.get("rate_constants"), dict):
        extra = RATES if arguments["flow_chart"] == "A->B,B->C" and "ties" not in options else {}
        arguments["rate_constants"] = extra | options["rate_constants"]
    if "ties" in options and "rate_constants" not in options:
        arguments["rate_constants"] = None
    with pytest.raises(kind) as caught:
        occupancies_kinetics(**arguments)
    assert message in str(caught.value)
    assert type(caught.value) is kind


CALLS = [
    (lambda m: m.set_rate_constant("A->C", 1.0), errors.UnknownNameError, "unknown transition 'A->C' in set_rate_constant"),
    (lambda m: m.set_rate_constant("B->C", -1.0), errors.ParameterError, "it must be finite and above 0"),
    (lambda m: m.set_rate_constant("B->C", INF), errors.ParameterError, "it must be finite and above 0"),
    (lambda m: m.set_rate_constant("A->B", 1.0), errors.ParameterError, "the rate of A->B is inf, an impulse"),
    (lambda m: m.set_efficiency("A->B", 2.0), errors.ParameterError, "it must lie in [0, 1]"),
    (lambda m: m.freeze_rates(["A->B"]), errors.ParameterError, "is inf, an impulse"),
    (lambda m: m.freeze_rates(["B->D"]), errors.UnknownNameError, "(did you mean 'B->C'?)"),
    (lambda m: m.unfreeze_efficiencies(["C->A"]), errors.ParameterError, "success and failure coincide"),
    (lambda m: m.unfreeze_efficiencies(["B->C"]), errors.ParameterError, "at the end of its range"),
    (lambda m: m.unfreeze_activation(), errors.ParameterError, "are one number"),
    (lambda m: m.freeze_instrument(["with"]), errors.UnknownNameError, "unknown name 'with' in freeze_instrument (did you mean 'width'?)"),
    (lambda m: m.plot_comparison(torch.zeros(2, 2), "x.png"), errors.ShapeError, "have shape (2, 2); (n_structures, n_timepoints) = (3, 2)"),
    (lambda m: m.plot_occupancies("/nowhere/x.png"), errors.FileError, "cannot write '/nowhere/x.png'"),
    (lambda m: m.populations_at([NAN]), errors.TimeError, "is not a number"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), CALLS, ids=[message for _, _, message in CALLS])
def test_calls_leave_the_model_as_it_was(call, kind, message):
    model = occupancies_kinetics(
        "A->B,B->C,C->A", [0.5, 1.0], rate_constants={"A->B": INF, "B->C": 2.0, "C->A": 0.1}, efficiencies={"A->B": 0.3},
        refine_efficiencies=["A->B"], activation=0.8, light_activated=True, instrument_function="gaussian",
        instrument_width=0.1, verbose=0,
    )  # fmt: skip
    before, frozen = model().detach(), [p.requires_grad for p in model.parameters()]
    with pytest.raises(kind) as caught:
        call(model)
    assert message in str(caught.value)
    assert torch.equal(model(), before)
    assert [p.requires_grad for p in model.parameters()] == frozen


EXPERIMENTS = [
    ([], None, "at least one is needed"),
    ({"time": [1.0]}, None, "experiments is a list of tables"),
    ([[1.0]], None, "experiment 0 is a table"),
    ([{"name": "a"}], None, "experiment 'a' has no time"),
    ([{"time": [1.0], "tiem": 2}], None, "unknown key 'tiem' in experiment 'experiment 0' (did you mean 'time'?)"),
    ([{"time": [1.0], "name": "a"}, {"time": [1.0], "name": "a"}], None, "two experiments are named 'a'"),
    ([{"time": [1.0]}], ["A->C"], "unknown transition 'A->C' in shared_rates"),
    ([{"time": [1.0]}], "A->B", "shared_rates is a list of transitions; write ['A->B']"),
    ([{"time": [1.0], "rate_constants": {"A->B": 1.0}}, {"time": [1.0], "rate_constants": {"A->B": 2.0}}], ["A->B"],
     "the shared rate of A->B is one number, but starts as 1.0 in experiment 0, 2.0 in experiment 1"),
    ([{"time": [1.0], "bounds": {"A->B": (0.1, 9)}}, {"time": [1.0]}], ["A->B"], "different bounds for the shared rate of A->B"),
    ([{"time": [1.0], "refine_rates": []}, {"time": [1.0]}], ["A->B"], "is refined in some experiments only"),
    ([{"time": [1.0], "regularization": {"rate_prior_weight": 1}}, {"time": [1.0]}], ["A->B"], "restrain the shared rate of A->B differently"),
    ([{"time": [1.0], "time_unit": "ns"}, {"time": [1.0], "time_unit": "us"}], ["A->B"], "give all times in one unit"),
    ([{"time": [1.0], "ties": {"B->C": "A->B"}}], ["B->C"], "is shared and tied to another transition"),
    ([{"time": [1.0], "rate_constants": {"A->B": INF}}], ["A->B"], "an impulse has no rate to share"),
]  # fmt: skip


@pytest.mark.parametrize(("experiments", "shared", "message"), EXPERIMENTS, ids=[m for _, _, m in EXPERIMENTS])
def test_experiments(experiments, shared, message):
    with pytest.raises(errors.InputError) as caught:
        occupancies_kinetics_multiexperiment("A->B,B->C", experiments, shared_rates=shared, verbose=0)
    assert message in str(caught.value)


@pytest.mark.parametrize("index", [2, -1, "a", True, 0.5])
def test_experiment_index(index):
    model = occupancies_kinetics_multiexperiment("A->B", [{"time": [1.0]}, {"time": [2.0]}], verbose=0)
    with pytest.raises(errors.ParameterError, match="there are 2 experiments, 0 to 1"):
        model(index)
