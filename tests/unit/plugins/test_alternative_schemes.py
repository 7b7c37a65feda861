"""The section of one scheme made one of another."""

import pytest

from torchref_kinetic_plugin.errors import FlowChartError, MappingError
from torchref_kinetic_plugin.plugins.alternative_schemes import alternative_section, structures_of
from torchref_kinetic_plugin.plugins.kinetics_settings import KineticsSettings

SECTION = {
    "scheme": "A->B,B->C,C->A",
    "light_activated": True,
    "state_mapping": {"A": "dark", "B": "I1", "C": "I2"},
    "rate_constants": {"A->B": "inf", "B->C": "1/(500 ns)", "C->A": "1/(20 us)"},
    "efficiencies": {"A->B": 0.5},
    "refine_efficiencies": ["A->B"],
    "bounds": {"C->A": ["1 /s", "1e7 /s"]},
    "regularization": {"rate_prior_weight": {"B->C": 1.0, "default": 0.0}, "rate_prior_std": 1.0},
    "experiments": {"298K": {"rate_constants": {"C->A": "1/(10 us)"}, "activation": 0.9}},
}


def made(scheme, **changes):
    found = alternative_section(SECTION | changes, scheme)
    # Whatever comes out is a section that can be read.
    KineticsSettings.model_validate(found)
    return found


def test_its_own_scheme_changes_nothing():
    assert made(SECTION["scheme"]) == SECTION


def test_what_the_scheme_does_not_have_is_dropped():
    found = made("A->B,B->A")
    assert found["state_mapping"] == {"A": "dark", "B": "I1"}
    assert found["rate_constants"] == {"A->B": "inf"}
    assert found["bounds"] == {}
    assert found["regularization"] == {"rate_prior_weight": {"default": 0.0}, "rate_prior_std": 1.0}
    assert found["experiments"] == {"298K": {"rate_constants": {}, "activation": 0.9}}
    assert structures_of(found) == {"dark", "I1"}
    assert structures_of(SECTION) == {"dark", "I1", "I2"}
    assert structures_of({"scheme": "x->y"}) == {"x", "y"}


def test_a_step_more_starts_where_delays_can_see_it():
    found = made("A->B,B->C,C->B,C->A")
    assert found["rate_constants"] == SECTION["rate_constants"]
    assert "C->B" not in found["efficiencies"]
    # Where the refined rates are listed, it is one of them.
    assert made("A->B,B->C,C->B,C->A", refine_rates=["C->A"])["refine_rates"] == ["C->A", "C->B"]


def test_what_the_trigger_does_at_once_it_does_in_every_scheme():
    found = made("A->B,A->C,B->A,C->A")
    assert found["rate_constants"] == {"A->B": "inf", "A->C": "inf", "C->A": "1/(20 us)"}
    assert found["efficiencies"] == {"A->B": 0.25, "A->C": 0.25}
    assert found["refine_efficiencies"] == ["A->B", "A->C"]
    only = made("A->C,C->A")
    assert only["rate_constants"]["A->C"] == "inf"
    assert only["efficiencies"] == {"A->C": 0.5}
    assert only["refine_efficiencies"] == ["A->C"]


def test_a_thermal_start_stays_thermal():
    slow = {**SECTION["rate_constants"], "A->B": "1/(10 ns)"}
    found = made("A->B,A->C,B->A,C->A", rate_constants=slow)
    assert "A->C" not in found["rate_constants"]
    assert found["refine_efficiencies"] == ["A->B"]


def test_ties_and_pairs_go_with_their_transitions():
    tied = {"ties": {"C->A": ["B->C", 2.0]}, "bounds": {}, "experiments": {}}
    assert made("A->B,B->C,C->A", **tied)["ties"] == {"C->A": ["B->C", 2.0]}
    assert made("A->B,B->A,C->A", **tied)["ties"] == {}


def test_every_state_needs_a_structure():
    with pytest.raises(MappingError, match="no structure is known of D; .*allowed: A, B, C"):
        alternative_section(SECTION, "A->B,B->D")
    with pytest.raises(FlowChartError, match="cannot read"):
        alternative_section(SECTION, "A=>B")
