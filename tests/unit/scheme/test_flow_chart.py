import pytest

from torchref_kinetic_plugin.errors import FlowChartError
from torchref_kinetic_plugin.scheme import parse_flow_chart


@pytest.mark.parametrize(
    ("text", "states", "transitions"),
    [
        ("A->B", "A B", "A->B"),
        (" A -> B , B->C ", "A B C", "A->B B->C"),
        ("A<->B", "A B", "A->B B->A"),
        ("A->B<->C->A", "A B C", "A->B B->C C->B C->A"),
        ("A->B,D", "A B D", "A->B"),
        ("dark,dark->I1,I1->I2'", "dark I1 I2'", "dark->I1 I1->I2'"),
        ("S0", "S0", ""),
        ("α->β_1", "α β_1", "α->β_1"),
    ],
)
def test_states_and_transitions_in_the_order_of_the_text(text, states, transitions):
    chart = parse_flow_chart(text)
    assert " ".join(chart.states) == states
    assert " ".join(step.name for step in chart.transitions) == transitions


@pytest.mark.parametrize("text", ["A->B<->C->A", "D,A->B", "B,A->B,B->C", "A->B,C,D", "A"])
def test_plain_form_reads_as_the_same_chart(text):
    chart = parse_flow_chart(text)
    assert parse_flow_chart(chart.text) == chart


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the flow chart is empty"),
        ("  ", "the flow chart is empty"),
        ("A->B,", "entry 2 of the flow chart 'A->B,' is empty; remove the extra comma"),
        ("A->B,,B->C", "entry 2"),
        ("A->A", "leads from a state to itself"),
        ("A<->A", "leads from a state to itself"),
        ("A->B,A->B", "transition A->B stands twice"),
        ("A<->B,B->A", "transition B->A stands twice"),
        ("A->B*", "'[*]' in 'A->B[*]' is reserved"),
        ("A=>B", "write A->B"),
        ("A→B", "write A->B"),
        ("A<=>B", "write A<->B"),
        ("A<-B", "write B->A with the states exchanged"),
        ("A-B", "write A->B"),
        ("A->", "a state's name expected, the end found"),
        ("->B", "a state's name expected, '->B' found"),
        ("A B", "'->' or '<->' expected, 'B' found"),
        ("A;B", "names are letters, digits, underscores and primes"),
    ],
)
def test_what_cannot_be_read_says_why(text, message):
    with pytest.raises(FlowChartError, match=message):
        parse_flow_chart(text)


def test_only_text_is_a_flow_chart():
    with pytest.raises(FlowChartError, match="not list"):
        parse_flow_chart(["A->B"])
