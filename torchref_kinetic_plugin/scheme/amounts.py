"""Concentrations, second-order rates and energies with units, as text to values."""

from __future__ import annotations

import math
import re

from torchref_kinetic_plugin.errors import UnitError, closest_match
from torchref_kinetic_plugin.scheme.units import seconds_per

#: mol/L in each unit of concentration.
MOLAR: dict[str, float] = {
    "M": 1.0,
    "mM": 1e-3,
    "uM": 1e-6,
    "µM": 1e-6,
    "μM": 1e-6,
    "nM": 1e-9,
    "pM": 1e-12,
}
#: Joule in each unit of energy.
JOULE: dict[str, float] = {
    "J": 1.0,
    "mJ": 1e-3,
    "uJ": 1e-6,
    "µJ": 1e-6,
    "μJ": 1e-6,
    "nJ": 1e-9,
    "pJ": 1e-12,
}
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_UNIT = r"[^\W\d_]+"
_QUANTITY = re.compile(rf"({_NUMBER})\s*({_UNIT})")
_POWER = r"(?:\^\s*)?(?:-1|⁻¹|\(-1\))"
#: ``2 /M/s``; ``2 /(M s)``, ``1/(3 uM s)``; ``2 M^-1 s^-1``.
_SECOND_ORDER = (
    re.compile(rf"({_NUMBER})\s*/\s*(?P<unit>{_UNIT})\s*/\s*(?P<time>{_UNIT})"),
    re.compile(
        rf"({_NUMBER})\s*/\s*\(\s*(?P<per>{_NUMBER})?\s*(?P<unit>{_UNIT})(?:\s*[*·]\s*|\s+)(?P<time>{_UNIT})\s*\)"
    ),
    re.compile(rf"({_NUMBER})\s*(?P<unit>{_UNIT})\s*{_POWER}(?:\s*[*·]\s*|\s+)(?P<time>{_UNIT})\s*{_POWER}"),
)


def parse_concentration(text: str) -> float:
    """Read a concentration such as ``"5 mM"`` as mol/L.

    Raises
    ------
    UnitError
        When there is no number, no unit, an unknown unit, or it is not above 0.
    """
    return _quantity(text, MOLAR, "concentration", "5 mM")


def parse_energy(text: str) -> float:
    """Read the energy of a pulse such as ``"30 uJ"`` as J.

    Raises
    ------
    UnitError
        As `parse_concentration`.
    """
    return _quantity(text, JOULE, "energy", "30 uJ")


def parse_second_order_rate(text: object) -> float:
    """Read ``"2e5 /M/s"``, ``"2e5 /(M s)"``, ``"1/(5 uM s)"`` or ``"2e5 M^-1 s^-1"`` as 1/(M s).

    Raises
    ------
    UnitError
        When it is not a number per concentration and time, or a unit is unknown.
    """
    stripped = text.strip() if isinstance(text, str) else ""
    for form in _SECOND_ORDER:
        if match := form.fullmatch(stripped):
            parts = match.groupdict()
            amount = float(parts.get("per") or 1.0) * _unit(parts["unit"], MOLAR, "concentration")
            duration = seconds_per(parts["time"])
            if amount == 0.0:
                raise UnitError(f"the second-order rate {text!r} is one per zero concentration")
            return float(match[1]) / (amount * duration)
    raise UnitError(
        f"cannot read the second-order rate {text!r}; write a number per concentration and time, e.g. '2e5 /(M s)', "
        "'2e5 /M/s' or '2e5 M^-1 s^-1'"
    )


def is_second_order(text: str) -> bool:
    """Whether a text has the form of a second-order rate, whatever its units."""
    return any(form.fullmatch(text.strip()) for form in _SECOND_ORDER)


def _quantity(text: object, units: dict[str, float], kind: str, example: str) -> float:
    if not isinstance(text, str):
        raise UnitError(f"{_article(kind)} is text with a unit here, e.g. '{example}', not {text!r}")
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise UnitError(f"cannot read the {kind} {text!r}; write a number and a unit, e.g. '{example}'")
    value = float(match[1]) * _unit(match[2], units, kind)
    if not 0.0 < value < math.inf:
        raise UnitError(f"{_article(kind)} is finite and above 0, not {text!r}")
    return value


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _unit(unit: str, units: dict[str, float], kind: str) -> float:
    if unit not in units:
        allowed = [name for name in units if name.isascii()]
        raise UnitError(f"unknown unit of {kind} {unit!r}{closest_match(unit, allowed)}; allowed: {', '.join(allowed)}")
    return units[unit]
