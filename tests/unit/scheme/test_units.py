import math

import pytest

from torchref_kinetic_plugin.errors import UnitError
from torchref_kinetic_plugin.scheme import format_time, parse_rate, parse_time, seconds_per


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("100 ns", 1e-7), ("-5ps", -5e-12), ("2.5e3 s", 2500.0), (".5 us", 5e-7), ("3 µs", 3e-6), ("3 μs", 3e-6),
     ("2 min", 120.0), ("0 fs", 0.0), ("inf", math.inf), ("Infinity", math.inf)],
)  # fmt: skip
def test_times(text, seconds):
    assert parse_time(text) == pytest.approx(seconds, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "per_second"),
    [("1/(500 ns)", 2e6), ("1/500ns", 2e6), ("20 /ms", 2e4), ("20/ms", 2e4), ("20 ms^-1", 2e4), ("20 ms-1", 2e4),
     ("20 s⁻¹", 20.0), ("2/(5 s)", 0.4), ("inf", math.inf)],
)  # fmt: skip
def test_rates(text, per_second):
    assert parse_rate(text) == pytest.approx(per_second, rel=1e-15)


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (parse_time, "100", "write a number and a unit"),
        (parse_time, "100 nm", "unknown unit of time 'nm' .did you mean 'ns'"),
        (parse_time, "fast", "cannot read the time"),
        (parse_rate, "500 ns", "is a time, a rate is wanted; write '1/.500 ns.'"),
        (parse_rate, "1/(0 ns)", "one per zero time"),
        (parse_rate, "20", "cannot read the rate"),
        (parse_rate, "20 /mm", "unknown unit of time 'mm'"),
        (parse_rate, "__import__('os')", "cannot read the rate"),
    ],
)
def test_refused(read, text, message):
    with pytest.raises(UnitError, match=message):
        read(text)


def test_numbers_without_a_unit_are_refused():
    with pytest.raises(UnitError, match="text with a unit here"):
        parse_time(100)
    with pytest.raises(UnitError, match="unknown unit of time None"):
        seconds_per(None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.5e-6, "1.50 us"), (9.9996e-7, "1.00 us"), (0.0, "0 s"), (-3e-12, "-3.00 ps"), (math.inf, "inf"),
     (-math.inf, "-inf"), (1e-15, "1.00 fs"), (123.0, "123 s"), (2e-19, "0.200 as")],
)  # fmt: skip
def test_format_time(seconds, text):
    assert format_time(seconds) == text
