"""Values that section ``[kinetics]`` of the refinement file may hold; no torch."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Strict

from torchref_kinetic_plugin.errors import ParameterError
from torchref_kinetic_plugin.scheme import parse_rate, parse_time
from torchref_kinetic_plugin.scheme.amounts import is_second_order, parse_energy, parse_second_order_rate

#: Rate constants that are computed, 1/s or 1/(M s); beyond, a rate times a delay is no number any more.
_SLOWEST, _FASTEST = 1e-18, 1e21


def _rate(value: object) -> object:
    """TOML has an ``inf`` of its own; every other rate needs its unit."""
    text = "inf" if isinstance(value, float) and value == math.inf else value
    rate = number_of(text)
    if not rate > 0.0:
        raise ParameterError(f"a rate constant is above 0, not {text!r}")
    if math.isfinite(rate) and not _SLOWEST <= rate <= _FASTEST:
        raise ParameterError(
            f"{text!r} is {rate:.3g} per second; rate constants from {_SLOWEST:g} to {_FASTEST:g} can be computed"
        )
    return text


def number_of(text: object) -> float:
    """A rate constant in 1/s, or of second order in 1/(M s)."""
    if isinstance(text, str) and is_second_order(text):
        return parse_second_order_rate(text)
    return parse_rate(text)  # type: ignore[arg-type]  # it refuses what is not text, with a better message


def _time(value: object) -> object:
    parse_time(value)  # type: ignore[arg-type]  # as for rates
    return value


def _finite_time(value: str) -> str:
    if not math.isfinite(parse_time(value)):
        raise ParameterError(f"{value!r} is not a finite time")
    return value


def _positive_time(value: str) -> str:
    if not 0.0 < parse_time(value) < math.inf:
        raise ParameterError(f"a width is finite and above 0, not {value!r}")
    return value


def _energy(value: object) -> object:
    parse_energy(value)  # type: ignore[arg-type]  # as for rates
    return value


def _finite_rate(value: str) -> str:
    if not 0.0 < number_of(value) < math.inf:
        raise ParameterError(f"this rate is finite and above 0, not {value!r}")
    return value


Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Fraction = Annotated[float, Strict(), Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Strict(), Field(gt=0.0, allow_inf_nan=False)]
Rate = Annotated[str, BeforeValidator(_rate)]
FiniteRate = Annotated[Rate, AfterValidator(_finite_rate)]
Time = Annotated[str, BeforeValidator(_time), AfterValidator(_finite_time)]
PulseEnergy = Annotated[str, BeforeValidator(_energy)]
Law = Literal["eyring", "arrhenius", "constant"]
Width = Annotated[str, BeforeValidator(_time), AfterValidator(_positive_time)]
