"""Pairs in equilibrium: which are allowed, and constants of states."""

import math

import pytest

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.scheme import Scheme
from torchref_kinetic_plugin.scheme.equilibrium import (
    bound_ligands,
    equilibrium_pairs,
    first_states,
    reversible_pairs,
    state_values,
)


def names(chart, asked, leaky=(), **options):
    return [pair.name for pair in equilibrium_pairs(Scheme.build(chart, **options), asked, leaky)]


def test_pairs_are_read_in_either_direction():
    assert names("A<->B,B->C,C->B,C->D", "all") == ["A<->B", "B<->C"]
    assert names("A<->B,B->C", ["A <-> B"]) == ["A<->B"]
    assert names("A<->B,B->C", ["B<->A"]) == ["B<->A"]
    assert [p.name for p in reversible_pairs(Scheme.build("B->A,A->B"))] == ["B<->A"]


def test_an_impulse_is_no_step_of_a_cycle():
    assert names("off->A,A<->B,B<->C,A<->C", "all", impulsive=["off->A"]) == ["A<->B", "B<->C", "A<->C"]


def test_a_pair_beside_a_driven_cycle_is_allowed():
    assert names("A<->B,B->C,C->D,D->B", ["A<->B"]) == ["A<->B"]
    assert names("A->B,B->A,B<->C", ["B<->C"]) == ["B<->C"]


@pytest.mark.parametrize(
    ("chart", "asked", "options", "message"),
    [
        ("A<->B,B->C", ["B<->C"], {}, "unknown pair of transitions 'B<->C' in equilibrium"),
        ("A->B", "all", {}, "no two states of the scheme have transitions both ways"),
        ("A<->B", "A<->B", {}, "equilibrium is a list of pairs or"),
        ("A<->B", ["A<->B", "B<->A"], {}, "names the pair A<->B twice"),
        ("A<->B", ["A<->B"], {"light_activated": True}, "with light_activated what returns to A reacts no more"),
        ("A<->B,B<->C,C->A", ["A<->B"], {}, "it lies on a cycle with B->C, C->A, which is not in equilibrium"),
        ("A<->B,B<->C,C<->A", ["A<->B", "B<->C"], {}, "it lies on a cycle with C->A"),
        ("A<->B,B<->C,C->D,D->A", ["A<->B", "B<->C"], {}, "it lies on a cycle with C->D, D->A"),
    ],
)  # fmt: skip
def test_what_breaks_detailed_balance_is_refused(chart, asked, options, message):
    with pytest.raises(InputError) as caught:
        names(chart, asked, **options)
    assert message in str(caught.value)


def test_an_efficiency_breaks_detailed_balance_of_its_pair_and_of_the_cycle_that_failures_close():
    with pytest.raises(InputError, match="A->B has an efficiency"):
        names("A<->B", ["A<->B"], leaky=["A->B"])
    with pytest.raises(InputError, match="cycle with C->D"):
        names("A<->B,B<->C,C->D", ["A<->B", "B<->C"], leaky=["C->D"])
    assert names("A<->B,B<->C,C->D", ["A<->B", "B<->C"]) == ["A<->B", "B<->C"]


def test_values_of_states_follow_from_those_of_pairs():
    scheme = Scheme.build("A<->B,B<->C,A<->C,D<->E")
    pairs = equilibrium_pairs(scheme, "all")
    assert first_states(scheme, pairs) == {"A": "A", "B": "A", "C": "A", "D": "D", "E": "D"}
    found = state_values(scheme, pairs, {"A<->B": 1.0, "B<->C": 2.0}, 0.0, "K")
    assert found == {"A": 0.0, "B": 1.0, "C": 3.0, "D": 0.0, "E": 0.0}
    found = state_values(scheme, pairs, {"A<->C": 5.0}, 1.0, "K")
    assert found["C"] == 5.0
    assert (found["B"], found["E"]) == (1.0, 1.0)
    state_values(scheme, pairs, {"A<->B": 1.0, "B<->C": 2.0, "A<->C": 3.0}, 0.0, "K")
    with pytest.raises(InputError, match="K of A<->C contradicts those of the other pairs on its cycle"):
        state_values(scheme, pairs, {"A<->B": 1.0, "B<->C": 2.0, "A<->C": 4.0}, 0.0, "K")


def test_ligands_must_cancel_around_a_cycle():
    scheme = Scheme.build("A<->B,B<->C,A<->C")
    pairs = equilibrium_pairs(scheme, "all")
    assert bound_ligands(scheme, pairs, {"A->B", "A->C"}) == {"A": 0, "B": 1, "C": 1}
    with pytest.raises(InputError, match="as many steps must bind as release"):
        bound_ligands(scheme, pairs, {"A->B"})
    with pytest.raises(InputError, match="if one binds, the other releases"):
        bound_ligands(scheme, pairs, {"A->B", "B->A"})


def test_a_large_complete_graph_takes_no_time():
    states = [f"S{number}" for number in range(12)]
    chart = ",".join(f"{a}<->{b}" for n, a in enumerate(states) for b in states[n + 1 :])
    assert len(names(chart, "all")) == math.comb(12, 2)
