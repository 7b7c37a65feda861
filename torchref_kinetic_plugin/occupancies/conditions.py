"""Conditions under which an experiment was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, final

from torchref_kinetic_plugin.errors import ParameterError, UnitError
from torchref_kinetic_plugin.kinetics.parameters import as_number
from torchref_kinetic_plugin.scheme.amounts import parse_concentration, parse_energy

#: Temperatures between which proteins are crystals of molecules that react.
_USUAL = (150.0, 400.0)


@final
@dataclass(frozen=True)
class Condition:
    """What distinguishes experiments.

    Attributes
    ----------
    temperature : float or None
        K, above 0.
    temperature_before : float or None
        K, of the equilibrium in which the crystal was before a temperature jump.
    concentration : float or None
        Of a ligand, mol/L.
    pump_energy : float or None
        Of a pump pulse, J.
    """

    temperature: float | None = None
    temperature_before: float | None = None
    concentration: float | None = None
    pump_energy: float | None = None

    @property
    def temperatures(self) -> tuple[float, ...]:
        """Those given."""
        return tuple(t for t in (self.temperature, self.temperature_before) if t is not None)

    def as_table(self) -> dict[str, float]:
        """What is given, by key."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}

    def remarks(self) -> list[str]:
        """What is unusual, in words."""
        low, high = _USUAL
        return [
            f"a temperature of {t:g} K is {'below' if t < low else 'above'} the {low:g} to {high:g} K in which "
            "crystals of proteins are usually measured: is it in K, and does one law hold?"
            for t in self.temperatures
            if not low <= t <= high
        ]


#: Keys of an experiment's table.
CONDITIONS = tuple(field.name for field in fields(Condition))


def read_condition(table: Mapping[str, Any], name: str) -> Condition:
    """Conditions in an experiment's table: numbers in K, mol/L and J, amounts also text with a unit.

    Raises
    ------
    ParameterError
        For what is not finite and above 0.
    UnitError
        For text that cannot be read.
    """
    return Condition(
        _number(table, "temperature", name, "K"),
        _number(table, "temperature_before", name, "K"),
        _number(table, "concentration", name, "M", parse_concentration),
        _number(table, "pump_energy", name, "J", parse_energy),
    )


def _number(
    table: Mapping[str, Any], key: str, name: str, unit: str, parse: Callable[[str], float] | None = None
) -> float | None:
    value = table.get(key)
    if value is None:
        return None
    if isinstance(value, str) and parse is not None:
        try:
            return parse(value)
        except UnitError as error:
            raise UnitError(f"{key} of experiment {name!r}: {error}") from None
    number = as_number(value, f"{key} of experiment {name!r}")
    if not (math.isfinite(number) and number > 0.0):
        raise ParameterError(f"{key} of experiment {name!r} = {number:g} {unit}: it must be finite and above 0")
    return number
