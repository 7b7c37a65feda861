"""Random text and random charts through the parser."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.scheme import parse_flow_chart, parse_rate, parse_time

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3000"))
NAMES = st.sampled_from(["A", "B", "C", "dark", "I1", "M'", "β"])
CHARTS = st.lists(
    st.lists(NAMES, min_size=1, max_size=4).flatmap(
        lambda names: st.lists(st.sampled_from(["->", "<->", " -> "]), min_size=len(names), max_size=len(names)).map(
            lambda arrows: "".join(n + a for n, a in zip(names, arrows, strict=True))[: -len(arrows[-1])]
        )
    ),
    min_size=1,
    max_size=5,
).map(", ".join)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.one_of(st.text(max_size=40), st.text(alphabet="AB->< ,*'=\n", max_size=25), CHARTS))
def test_any_text_is_a_chart_or_a_named_error(text):
    try:
        chart = parse_flow_chart(text)
    except InputError:
        return
    assert parse_flow_chart(chart.text) == chart
    assert len(set(chart.states)) == len(chart.states)
    assert len(set(chart.transitions)) == len(chart.transitions)
    for step in chart.transitions:
        assert step.source != step.target
        assert {step.source, step.target} <= set(chart.states)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.one_of(st.text(max_size=20), st.text(alphabet="0123456789.eE+-/()^ nmusf", max_size=15)))
def test_any_text_is_a_time_or_rate_or_a_named_error(text):
    for read in (parse_time, parse_rate):
        try:
            value = read(text)
        except InputError:
            continue
        assert isinstance(value, float)
