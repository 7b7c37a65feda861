"""Numbers as text: as many digits as the interval warrants, units that keep them readable."""

from __future__ import annotations

import math

from torchref_kinetic_plugin.output.report.blocks import Cell
from torchref_kinetic_plugin.scheme import format_time, seconds_per

#: Shown where there is no number.
NONE = "–"
_UNITS = {"1/s": "s⁻¹", "1/(M s)": "M⁻¹ s⁻¹", "1/M": "M⁻¹", "kJ/mol": "kJ mol⁻¹", "J/(mol K)": "J mol⁻¹ K⁻¹"}
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
#: Digits of a number without an error.
_DIGITS = 3
#: Time from which powers of ten are written, s.
_LONG = 1e5


def unit_text(unit: str) -> str:
    """A unit as it is printed, ``"s⁻¹"`` for ``"1/s"``."""
    return _UNITS.get(unit, unit)


def arrows(name: str) -> str:
    """A transition or pair as it is printed, ``"A → B"``."""
    return name.replace("<->", " ⇌ ").replace("->", " → ")


def signed(text: str) -> str:
    """A number with a minus of its own width."""
    return text.replace("-", "−")


def fixed(value: float | None, decimals: int, *, factor: float = 1.0, suffix: str = "") -> Cell:
    """A number with so many decimals; the value behind it is without the factor."""
    if value is None or math.isnan(value):
        return Cell(NONE)
    if math.isinf(value):
        return Cell("∞" if value > 0 else "−∞", value)
    return Cell(signed(f"{value * factor:.{decimals}f}") + suffix, value)


def count(value: int) -> Cell:
    """A whole number, thousands apart."""
    return Cell(f"{value:,}".replace(",", " "), value)


def time_text(seconds: float | None, digits: int = 3) -> str:
    """A time with the unit that keeps it readable; the sign of infinity for one that never comes."""
    if seconds is None:
        return NONE
    if math.isinf(seconds):
        return "∞" if seconds > 0 else "−∞"
    number, unit = format_time(seconds, digits).split()
    return f"{signed(number)} {unit.replace('us', 'µs')}"


def delay_text(seconds: float) -> str:
    """A delay as a user wrote it: no zeros behind its last digit."""
    if math.isinf(seconds):
        return time_text(seconds)
    number, unit = format_time(seconds, 4).split()
    return f"{signed(f'{float(number):g}')} {unit.replace('us', 'µs')}"


def with_interval(value: float, lower: float | None, upper: float | None, unit: str) -> tuple[Cell, Cell]:
    """A value and its 95 % interval in one unit and with one power of ten.

    Parameters
    ----------
    value : float
        In ``unit``.
    lower, upper : float or None
        None where it was not refined.
    unit : str
        As of `Estimate`.
    """
    return time_with_interval(value, lower, upper) if unit == "s" else _in_powers(value, lower, upper, unit)


def _in_powers(value: float, lower: float | None, upper: float | None, unit: str) -> tuple[Cell, Cell]:
    exponent = _exponent(value)
    decimals = _decimals(value, lower, upper, exponent)
    tail = (f" × 10{str(exponent).translate(_SUPERSCRIPTS)}" if exponent else "") + (
        f" {unit_text(unit)}" if unit else ""
    )

    def shown(number: float) -> str:
        return "∞" if math.isinf(number) else signed(f"{number / 10.0**exponent:.{decimals}f}")

    if lower is None or upper is None:
        return Cell(shown(value) + tail, value), Cell("fixed")
    ends = f"{shown(lower)} to {shown(upper)}"
    return Cell(shown(value) + tail, value), Cell(f"({ends}){tail}" if tail.startswith(" ×") else ends + tail)


def time_with_interval(value: float, lower: float | None, upper: float | None) -> tuple[Cell, Cell]:
    """A time in seconds and its interval, all in the unit of the first."""
    if math.isfinite(value) and abs(value) >= _LONG:
        return _in_powers(value, lower, upper, "s")
    unit = "s" if math.isinf(value) or value == 0.0 else format_time(value).split()[1]
    second = 1.0 / seconds_per(unit)
    ends = [None if end is None else end * second for end in (lower, upper)]
    decimals = _decimals(value * second, ends[0], ends[1], 0)
    shown_unit = unit.replace("us", "µs")

    def shown(number: float) -> str:
        return "∞" if math.isinf(number) else signed(f"{number * second:.{decimals}f}")

    cell = Cell(f"{shown(value)} {shown_unit}", value)
    if lower is None or upper is None:
        return cell, Cell("fixed")
    if math.isinf(upper):
        return cell, Cell(f"above {shown(lower)} {shown_unit}")
    return cell, Cell(f"{shown(lower)} to {shown(upper)} {shown_unit}")


def p_value(value: float) -> Cell:
    """A probability; small ones as powers of ten."""
    if math.isnan(value):
        return Cell(NONE)
    if value >= 0.001:
        return Cell(f"{value:.3f}", value)
    if value <= 0.0:
        return Cell("0", value)
    exponent = math.floor(math.log10(value))
    return Cell(f"{value / 10.0**exponent:.1f} × 10{str(exponent).translate(_SUPERSCRIPTS)}", value)


def _exponent(value: float) -> int:
    """The power of ten that is written apart; 0 for numbers that need none."""
    if value == 0.0 or not math.isfinite(value):
        return 0
    exponent = math.floor(math.log10(abs(value)))
    return exponent if exponent >= 4 or exponent < -3 else 0


def _decimals(value: float, lower: float | None, upper: float | None, exponent: int) -> int:
    """Decimals that leave the narrower half of an interval two digits."""
    halves = [abs(end - value) for end in (lower, upper) if end is not None and math.isfinite(end) and end != value]
    if not halves:
        size = 0 if value == 0.0 or not math.isfinite(value) else math.floor(math.log10(abs(value)))
        return max(0, _DIGITS - 1 - (size - exponent))
    # A half of exactly a power of ten may come out a rounding error below it.
    first = math.floor(math.log10(min(halves)) + 1e-9) - exponent
    return min(max(0, 1 - first), 8)
