"""Times and rates with units, as text to values in SI."""

from __future__ import annotations

import math
import re

from torchref_kinetic_plugin.errors import UnitError, closest_match

#: Seconds in each unit of time.
SECONDS: dict[str, float] = {
    "as": 1e-18,
    "fs": 1e-15,
    "ps": 1e-12,
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_PLAIN_UNITS = ("fs", "ps", "ns", "us", "ms", "s", "min", "h")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_UNIT = r"[^\W\d_]+"
_TIME = re.compile(rf"({_NUMBER})\s*({_UNIT})")
_PER_TIME = re.compile(rf"({_NUMBER})\s*/\s*\(?\s*({_NUMBER})?\s*({_UNIT})\s*\)?")
_INVERSE = re.compile(rf"({_NUMBER})\s*({_UNIT})\s*(?:\^\s*)?(?:-1|⁻¹|\(-1\))")
_INFINITE = re.compile(r"[+]?inf(?:inity)?", re.IGNORECASE)


def seconds_per(unit: str) -> float:
    """Seconds in a unit of time.

    Raises
    ------
    UnitError
        For a unit that is not one of time.
    """
    try:
        return SECONDS[unit]
    except (KeyError, TypeError):
        raise UnitError(
            f"unknown unit of time {unit!r}{closest_match(unit, SECONDS)}; allowed: {', '.join(_PLAIN_UNITS)}"
        ) from None


def parse_time(text: str) -> float:
    """Read a time such as ``"100 ns"``, ``"-5 ps"``, ``"2.5e3 s"`` or ``"inf"`` as seconds.

    Raises
    ------
    UnitError
        When there is no number, no unit, or an unknown unit.
    """
    stripped = _text(text, "time")
    if _INFINITE.fullmatch(stripped):
        return math.inf
    match = _TIME.fullmatch(stripped)
    if match is None:
        raise UnitError(f"cannot read the time {text!r}; write a number and a unit, e.g. '100 ns'")
    return float(match[1]) * seconds_per(match[2])


def time_unit(text: str) -> str | None:
    """The unit in which a time is written, ``"us"`` however the micro sign is; None for an infinite one.

    Raises
    ------
    UnitError
        As `parse_time`.
    """
    parse_time(text)
    match = _TIME.fullmatch(text.strip())
    return match[2].replace("µ", "u").replace("μ", "u") if match else None


def parse_rate(text: str) -> float:
    """Read a rate such as ``"1/(500 ns)"``, ``"20 /ms"``, ``"20 ms^-1"`` or ``"inf"`` as 1/s.

    Raises
    ------
    UnitError
        When it is not a number per time, its unit is unknown, or its number is too large.
    """
    stripped = _text(text, "rate")
    if _INFINITE.fullmatch(stripped):
        return math.inf
    if match := _PER_TIME.fullmatch(stripped):
        duration = float(match[2] or 1.0) * seconds_per(match[3])
        if duration == 0.0:
            raise UnitError(f"the rate {text!r} is one per zero time; write 'inf' for an impulse at the trigger")
        return _computable(text, float(match[1]) / duration)
    if match := _INVERSE.fullmatch(stripped):
        return _computable(text, float(match[1]) / seconds_per(match[2]))
    if _TIME.fullmatch(stripped):
        raise UnitError(f"{text!r} is a time, a rate is wanted; write '1/({stripped})'")
    raise UnitError(f"cannot read the rate {text!r}; write e.g. '1/(500 ns)', '20 /ms', '20 ms^-1' or 'inf'")


def _computable(text: str, rate: float) -> float:
    if not math.isfinite(rate):
        raise UnitError(f"the rate {text!r} is too large a number; write 'inf' for an impulse at the trigger")
    return rate


def _text(value: object, kind: str) -> str:
    if not isinstance(value, str):
        raise UnitError(f"a {kind} is text with a unit here, e.g. '100 ns' or '1/(100 ns)', not {value!r}")
    return value.strip()


def format_time(seconds: float, digits: int = 3) -> str:
    """Write a time with the unit that keeps its number readable, e.g. ``"1.50 us"``.

    Parameters
    ----------
    seconds : float
        The time; may be negative, zero or infinite.
    digits : int
        Significant digits.
    """
    if math.isinf(seconds):
        return "inf" if seconds > 0 else "-inf"
    if seconds == 0.0:
        return "0 s"
    for unit in ("as", "fs", "ps", "ns", "us", "ms", "s"):
        # Compared after rounding, so that 999.96 ns reads 1.00 us and not 1e+03 ns.
        value = float(f"{seconds / SECONDS[unit]:.{digits}g}")
        if abs(value) < 1000.0:
            break
    return f"{value:#.{digits}g}".rstrip(".") + f" {unit}"
