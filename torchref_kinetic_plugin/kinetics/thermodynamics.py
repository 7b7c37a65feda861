"""Laws by which rate constants depend on temperature; energies in kJ/mol, temperatures in K."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import final

from torch import Tensor

#: R, kJ/(mol K); k_B, J/K; h, J s (CODATA 2018, exact).
GAS_CONSTANT = 8.31446261815324e-3
BOLTZMANN = 1.380649e-23
PLANCK = 6.62607015e-34


def inverse_temperature(temperature: float, reference: float) -> float:
    """``-(1/T - 1/T_ref) / R``, in 1/(kJ/mol): what an energy is multiplied with in ln k or ln K."""
    return (temperature - reference) / (temperature * reference * GAS_CONSTANT)


class RateLaw(abc.ABC):
    """ln k(T) = ln k(T_ref) + offset + energy * `inverse_temperature`."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """What a user calls it."""

    @property
    @abc.abstractmethod
    def energy_name(self) -> str | None:
        """What its energy is, or None for a law without one."""

    @abc.abstractmethod
    def offset(self, temperature: float, reference: float) -> float:
        """Part of ln k(T) - ln k(T_ref) that depends on no energy."""

    @abc.abstractmethod
    def activation_energy(self, energy: Tensor, temperature: float) -> Tensor:
        """``R T^2 d ln k / dT``, kJ/mol."""

    def enthalpy(self, energy: Tensor, temperature: float) -> Tensor:
        """Enthalpy of activation of transition-state theory, ``E_a - R T``, kJ/mol."""
        return self.activation_energy(energy, temperature) - GAS_CONSTANT * temperature


@final
@dataclass(frozen=True)
class EyringLaw(RateLaw):
    """``k = (k_B T / h) exp(dS/R) exp(-dH/(R T))`` with a transmission coefficient of 1 (Eyring 1935)."""

    @property
    def name(self) -> str:
        """``eyring``."""
        return "eyring"

    @property
    def energy_name(self) -> str:
        """The enthalpy of activation."""
        return "activation enthalpy"

    def offset(self, temperature: float, reference: float) -> float:
        """Of the factor k_B T / h."""
        return math.log(temperature / reference)

    def activation_energy(self, energy: Tensor, temperature: float) -> Tensor:
        """``dH + R T``."""
        return energy + GAS_CONSTANT * temperature


@final
@dataclass(frozen=True)
class ArrheniusLaw(RateLaw):
    """``k = A exp(-E_a/(R T))``."""

    @property
    def name(self) -> str:
        """``arrhenius``."""
        return "arrhenius"

    @property
    def energy_name(self) -> str:
        """The activation energy."""
        return "activation energy"

    def offset(self, temperature: float, reference: float) -> float:
        """None: A does not depend on temperature."""
        del temperature, reference
        return 0.0

    def activation_energy(self, energy: Tensor, temperature: float) -> Tensor:
        """The energy itself, at any temperature."""
        del temperature
        return energy


@final
@dataclass(frozen=True)
class ConstantLaw(RateLaw):
    """The same rate constant at all temperatures."""

    @property
    def name(self) -> str:
        """``constant``."""
        return "constant"

    @property
    def energy_name(self) -> None:
        """None."""
        return None

    def offset(self, temperature: float, reference: float) -> float:
        """None."""
        del temperature, reference
        return 0.0

    def activation_energy(self, energy: Tensor, temperature: float) -> Tensor:
        """Zero."""
        del temperature
        return 0.0 * energy


#: Laws by the name that asks for them.
LAWS: dict[str, RateLaw] = {law.name: law for law in (EyringLaw(), ArrheniusLaw(), ConstantLaw())}
