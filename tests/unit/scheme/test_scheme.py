import pytest

from torchref_kinetic_plugin.errors import FlowChartError, ParameterError, UnknownNameError
from torchref_kinetic_plugin.scheme import Scheme


def steps(scheme):
    return {
        step.name: tuple(scheme.states[i] for i in (step.source, step.target, step.ground)) for step in scheme.steps
    }


def test_what_fails_returns_to_the_initial_state():
    scheme = Scheme.build("A->B,B->C,C->A")
    assert scheme.states == ("A", "B", "C")
    assert steps(scheme) == {"A->B": ("A", "B", "A"), "B->C": ("B", "C", "A"), "C->A": ("C", "A", "A")}


def test_light_activation_redirects_every_return_to_the_inactive_copy():
    scheme = Scheme.build("A->B,B->C,C->A", light_activated=True)
    assert scheme.states == ("A", "B", "C", "A*")
    assert steps(scheme) == {"A->B": ("A", "B", "A*"), "B->C": ("B", "C", "A*"), "C->A": ("C", "A*", "A*")}


def test_initial_state_may_be_another_than_the_first():
    scheme = Scheme.build("hot->relaxed,off->hot", initial="off", impulsive=["off->hot"])
    assert [step.name for step in scheme.impulses] == ["off->hot"]
    assert [step.name for step in scheme.finite_steps] == ["hot->relaxed"]
    assert steps(scheme)["hot->relaxed"] == ("hot", "relaxed", "off")


def test_refused():
    with pytest.raises(UnknownNameError, match="unknown state 'a' in initial_state .did you mean 'A'"):
        Scheme.build("A->B", initial="a")
    with pytest.raises(
        ParameterError, match="the rate of B->C is inf, but only transitions out of the initial state 'A'"
    ):
        Scheme.build("A->B,B->C", impulsive=["B->C"])
    with pytest.raises(UnknownNameError, match="unknown transition 'A->C'"):
        Scheme.build("A->B,B->C", impulsive=["A->C"])
    with pytest.raises(FlowChartError, match="light_activated needs a transition out of the initial state 'C'"):
        Scheme.build("A->B,B->C", initial="C", light_activated=True)


def test_efficiencies_that_cannot_be_told_apart():
    dark = Scheme.build("A->B,B->C,C->A")
    assert "only the effective rate" in dark.efficiency_refusal("A->B")
    assert dark.efficiency_refusal("B->C") is None
    assert "success and failure coincide" in dark.efficiency_refusal("C->A")
    light = Scheme.build("A->B,B->C,C->A", light_activated=True)
    assert light.efficiency_refusal("A->B") is None
    assert "success and failure coincide" in light.efficiency_refusal("C->A")
    impulse = Scheme.build("A->B,B->A", impulsive=["A->B"])
    assert impulse.efficiency_refusal("A->B") is None


def test_depth_is_the_distance_from_the_initial_state():
    scheme = Scheme.build("A->B,B->C,C->D,A->D,E->A")
    assert dict(zip(scheme.states, scheme.depths, strict=True)) == {"A": 0, "B": 1, "C": 2, "D": 1, "E": 0}
