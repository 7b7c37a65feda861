"""What the temperatures of several experiments say little about, known before any fit."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torchref_kinetic_plugin.kinetics.thermodynamics import GAS_CONSTANT
from torchref_kinetic_plugin.occupancies.joint_rates import JointRates
from torchref_kinetic_plugin.occupancies.kinetic import occupancies_kinetics

#: Change of ln k or ln K over the range of temperatures below which its enthalpy is hardly determined.
_LEAST_CHANGE = 0.2
#: Enthalpy of reaction that is not small, kJ/mol.
_USUAL_ENTHALPY = 50.0


def undetermined_laws(joint: JointRates, models: Sequence[occupancies_kinetics]) -> list[str]:
    """Enthalpies that the range of temperatures can hardly determine, in words.

    Parameters
    ----------
    joint : JointRates
        What the experiments share.
    models : sequence of occupancies_kinetics
        The experiments; rates show in those with a finite delay only, equilibrium constants also before a jump.
    """
    timed = [t for m in models if (t := m.condition.temperature) is not None and not bool((m.time == math.inf).all())]
    found = []
    for name, law in joint.laws.items():
        if law.energy is not None and not law.energy.frozen:
            what = f"the {law.law.energy_name} of {name} is refined"
            found += _narrow(what, "ln k", timed, law.energy.number)
    if joint.equilibria is not None and joint.equilibria.enthalpies:
        every = [t for model in models for t in model.condition.temperatures]
        for pair in joint.equilibria.pairs:
            found += _narrow(f"the reaction enthalpy of {pair.name} is refined", "ln K", every, _USUAL_ENTHALPY)
    return found


def _narrow(what: str, quantity: str, temperatures: Sequence[float], enthalpy: float) -> list[str]:
    if not temperatures:
        return []
    low, high = min(temperatures), max(temperatures)
    change = abs(enthalpy) * (1.0 / low - 1.0 / high) / GAS_CONSTANT
    if change >= _LEAST_CHANGE:
        return []
    return [
        f"{what}, but between {low:g} and {high:g} K {enthalpy:g} kJ/mol change {quantity} by {change:.2g} only: the "
        "range hardly determines it"
    ]
