"""Activation by the energy of the pump: what a user says of it, held against the experiments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torchref_kinetic_plugin.errors import ParameterError, UnknownNameError
from torchref_kinetic_plugin.kinetics.constraints import Positive, Unit
from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter, as_number
from torchref_kinetic_plugin.occupancies.conditions import Condition
from torchref_kinetic_plugin.occupancies.experiment_tables import geometric_mean
from torchref_kinetic_plugin.scheme.amounts import parse_energy

#: Keys of ``activation_law`` and their defaults; the saturation energy follows from those of the pump.
_DEFAULTS: dict[str, Any] = {
    "maximum": 1.0,
    "saturation_energy": None,
    "refine_maximum": False,
    "refine_saturation_energy": True,
}


def read_saturation(
    table: Mapping[str, Any] | None, conditions: Mapping[str, Condition]
) -> tuple[ScalarParameter, ScalarParameter] | None:
    """Maximum of the activation and saturation energy (J), shared by all experiments; None without a law.

    Raises
    ------
    UnknownNameError, ParameterError
        For an unknown key, an impossible value, or energies that are missing or all the same.
    """
    energies = {name: each.pump_energy for name, each in conditions.items()}
    known = [energy for energy in energies.values() if energy is not None]
    if table is None:
        if known:
            raise ParameterError("pump_energy means nothing without activation_law, how activation depends on it")
        return None
    for key in table:
        if key not in _DEFAULTS:
            raise UnknownNameError("key", key, _DEFAULTS, "activation_law")
    if missing := [name for name, energy in energies.items() if energy is None]:
        raise ParameterError(f"activation_law needs the pump_energy of every experiment; {', '.join(missing)} has none")
    if len(set(known)) < 2:
        raise ParameterError(
            f"activation_law needs two pump energies or more; all experiments have {known[0]:g} J: give "
            "activation instead"
        )
    values = _DEFAULTS | dict(table)
    energy = values["saturation_energy"]
    if energy is None:
        energy = geometric_mean(known)
    return (
        ScalarParameter("maximum of activation_law", values["maximum"], Unit(), frozen=not values["refine_maximum"]),
        ScalarParameter(
            "saturation_energy of activation_law",
            parse_energy(energy) if isinstance(energy, str) else energy,
            Positive(),
            frozen=not values["refine_saturation_energy"],
        ),
    )


def saturated_activation(law: tuple[ScalarParameter, ScalarParameter], pump_energy: float) -> float:
    """Activation at the start."""
    maximum, energy = law
    return -as_number(maximum.number, "maximum") * math.expm1(-pump_energy / energy.number)


def require_no_activation(name: str, table: Mapping[str, Any]) -> None:
    """Refuse an activation that is said twice.

    Raises
    ------
    ParameterError
        Naming the key.
    """
    if table.get("activation", 1.0) != 1.0 or table.get("refine_activation", False):
        raise ParameterError(
            f"experiment {name!r} has activation or refine_activation beside activation_law, from which it follows; "
            "give one of them"
        )
