"""The condition of an experiment, as refinement and simulation files have it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from pydantic import Field

from torchref_kinetic_plugin.config.section import Section, repeated
from torchref_kinetic_plugin.config.values import Concentration, Name, Positive, PulseEnergy
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.scheme import time_unit
from torchref_kinetic_plugin.scheme.amounts import parse_concentration, parse_energy


class ExperimentCondition(Section):
    """Under which condition an experiment was measured, or is simulated."""

    name: Name = Field(default="", description='What the output calls it; by default "experiment_1" and so on.')
    temperature: Positive | None = Field(default=None, description="K.")
    temperature_before: Positive | None = Field(
        default=None, description="K, before a temperature jump: references are the equilibrium there."
    )
    concentration: Concentration | None = Field(default=None, description='Of a ligand, e.g. "5 mM".')
    pump_energy: PulseEnergy | None = Field(default=None, description='Of a pump pulse, e.g. "30 uJ".')

    @property
    def concentration_molar(self) -> float | None:
        """Concentration in mol/L."""
        return None if self.concentration is None else parse_concentration(self.concentration)

    @property
    def pump_energy_joule(self) -> float | None:
        """Energy of the pump pulse in J."""
        return None if self.pump_energy is None else parse_energy(self.pump_energy)


_Condition = TypeVar("_Condition", bound=ExperimentCondition)


def distinctly_named(experiments: tuple[_Condition, ...]) -> tuple[_Condition, ...]:
    """Name by its number each experiment that the user has not named; refuse names given twice."""
    named = tuple(
        each if each.name else each.model_copy(update={"name": f"experiment_{number}"})
        for number, each in enumerate(experiments, start=1)
    )
    if twice := repeated([each.name for each in named]):
        raise InputError(f"two experiments are called {', '.join(twice)}; each has a name of its own")
    if any(each.name == "all" for each in named):
        raise InputError("an experiment is called all, which in tables means all of them; give it another name")
    return named


def first_time_unit(delays: Iterable[str]) -> str:
    """The unit in which the user counts: that of the first delay that has one."""
    return next((unit for unit in map(time_unit, delays) if unit), "s")
