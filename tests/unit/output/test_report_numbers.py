"""Numbers as text."""

import math

import pytest

from torchref_kinetic_plugin.output.report.blocks import Cell, Column, Table, section
from torchref_kinetic_plugin.output.report.numbers import (
    arrows,
    count,
    delay_text,
    fixed,
    p_value,
    time_text,
    time_with_interval,
    with_interval,
)


@pytest.mark.parametrize(
    ("value", "lower", "upper", "unit", "texts"),
    [
        (1.944e6, 1.817e6, 2.082e6, "1/s", ("1.94 × 10⁶ s⁻¹", "(1.82 to 2.08) × 10⁶ s⁻¹")),
        (0.255, 0.2502, 0.2598, "", ("0.2550", "0.2502 to 0.2598")),
        (50.6, 49.1, 52.1, "kJ/mol", ("50.6 kJ mol⁻¹", "49.1 to 52.1 kJ mol⁻¹")),
        (-30.0, -45.0, -15.0, "J/(mol K)", ("−30 J mol⁻¹ K⁻¹", "−45 to −15 J mol⁻¹ K⁻¹")),
        (2e5, None, None, "1/(M s)", ("2.00 × 10⁵ M⁻¹ s⁻¹", "fixed")),
        (20.0, 0.0, math.inf, "1/s", ("20 s⁻¹", "0 to ∞ s⁻¹")),
        (2.5e-5, 2.4e-5, 2.6e-5, "", ("2.50 × 10⁻⁵", "(2.40 to 2.60) × 10⁻⁵")),
        (5e-8, 4.5e-8, 5.5e-8, "s", ("50.0 ns", "45.0 to 55.0 ns")),
        (0.0, -1.0, 1.0, "kJ/mol", ("0.0 kJ mol⁻¹", "−1.0 to 1.0 kJ mol⁻¹")),
        (1.0, None, None, "", ("1.00", "fixed")),
    ],
)
def test_values_with_intervals(value, lower, upper, unit, texts):
    shown = with_interval(value, lower, upper, unit)
    assert tuple(each.text for each in shown) == texts
    assert shown[0].value == value


@pytest.mark.parametrize(
    ("value", "lower", "upper", "texts"),
    [
        (5.14e-7, 4.80e-7, 5.51e-7, ("514 ns", "480 to 551 ns")),
        (9.99e-7, 9.0e-7, 1.11e-6, ("999 ns", "900 to 1110 ns")),
        (2e-5, 1.9e-5, math.inf, ("20.0 µs", "above 19.0 µs")),
        (1.5, None, None, ("1.50 s", "fixed")),
        (3.19e9, None, None, ("3.19 × 10⁹ s", "fixed")),
    ],
)
def test_times_and_their_intervals_have_one_unit(value, lower, upper, texts):
    assert tuple(each.text for each in time_with_interval(value, lower, upper)) == texts


def test_other_numbers():
    assert count(1234567) == Cell("1 234 567", 1234567)
    assert fixed(0.98765, 1, factor=100.0) == Cell("98.8", 0.98765)
    assert fixed(-0.01, 2) == Cell("−0.01", -0.01)
    assert fixed(None, 2) == fixed(math.nan, 2) == Cell("–")
    assert fixed(math.inf, 2).text == "∞"
    assert p_value(0.0321).text == "0.032"
    assert p_value(2.6e-8).text == "2.6 × 10⁻⁸"
    assert arrows("A<->B") == "A ⇌ B"
    assert (time_text(1.5e-6), time_text(None), time_text(-math.inf)) == ("1.50 µs", "–", "−∞")
    assert (delay_text(1e-6), delay_text(2.5e-9), delay_text(-5e-12)) == ("1 µs", "2.5 ns", "−5 ps")


def test_a_row_has_an_entry_for_each_column():
    with pytest.raises(ValueError, match="a row has 1 entries for 2 columns"):
        Table("t", (Column("a"), Column("b")), ((Cell("1"),),))


def test_a_section_without_content_is_none():
    assert section("Empty", []) is None
