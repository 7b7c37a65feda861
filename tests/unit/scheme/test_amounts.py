import pytest

from torchref_kinetic_plugin.errors import UnitError
from torchref_kinetic_plugin.scheme.amounts import (
    is_second_order,
    parse_concentration,
    parse_energy,
    parse_second_order_rate,
)


@pytest.mark.parametrize(
    ("text", "molar"), [("5 mM", 5e-3), ("200uM", 2e-4), ("0.1 M", 0.1), ("3 µM", 3e-6), ("1e3 nM", 1e-6)]
)
def test_concentrations(text, molar):
    assert parse_concentration(text) == pytest.approx(molar, rel=1e-14)


@pytest.mark.parametrize(("text", "joule"), [("30 uJ", 3e-5), ("2 mJ", 2e-3), ("5 nJ", 5e-9), ("1.5 µJ", 1.5e-6)])
def test_energies(text, joule):
    assert parse_energy(text) == pytest.approx(joule, rel=1e-14)


@pytest.mark.parametrize(
    "text",
    [
        "2e5 /M/s",
        "2e5/(M s)",
        "2e5 / (M*s)",
        "2e5 M^-1 s^-1",
        "2e5 M-1 s-1",
        "2e5 M⁻¹ s⁻¹",
        "200 /(mM s)",
        "1/(5 uM s)",
        "0.2 /uM/s",
        "200 /M/ms",
    ],
)
def test_second_order_rates(text):
    assert is_second_order(text)
    assert parse_second_order_rate(text) == pytest.approx(2e5, rel=1e-14)


@pytest.mark.parametrize("text", ["20 /ms", "1/(500 ns)", "inf", "20 ms^-1"])
def test_first_order_rates_are_told_apart(text):
    assert not is_second_order(text)


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (parse_concentration, "5", "cannot read the concentration '5'; write a number and a unit, e.g. '5 mM'"),
        (parse_concentration, 5.0, "a concentration is text with a unit here, e.g. '5 mM', not 5.0"),
        (parse_concentration, "5 MM", "unknown unit of concentration 'MM'"),
        (parse_concentration, "-1 mM", "a concentration is finite and above 0, not '-1 mM'"),
        (parse_energy, "3 kJ", "unknown unit of energy 'kJ'"),
        (parse_second_order_rate, "2e5 /s", "cannot read the second-order rate '2e5 /s'"),
        (parse_second_order_rate, "2e5 /K/s", "unknown unit of concentration 'K'"),
        (parse_second_order_rate, "2e5 /M/sec", "unknown unit of time 'sec'"),
        (parse_second_order_rate, "1/(0 M s)", "per zero concentration"),
    ],
)
def test_what_cannot_be_read_is_refused(parse, text, message):
    with pytest.raises(UnitError) as caught:
        parse(text)
    assert message in str(caught.value)
