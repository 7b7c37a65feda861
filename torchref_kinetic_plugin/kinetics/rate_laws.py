"""The temperature dependence of one rate constant: parameters that all experiments share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter
from torchref_kinetic_plugin.kinetics.rates import LogTerms
from torchref_kinetic_plugin.kinetics.thermodynamics import (
    BOLTZMANN,
    GAS_CONSTANT,
    PLANCK,
    RateLaw,
    inverse_temperature,
)


@final
@dataclass(frozen=True, eq=False)
class TransitionLaw:
    """The line on which the rate constant of a transition lies.

    k at a reference temperature inside the range, rather than at infinite temperature, is what makes it and the
    energy nearly uncorrelated.

    Attributes
    ----------
    transition : str
        Whose rate constant.
    law : RateLaw
        Its form.
    reference : float
        Reference temperature, K.
    level : ScalarParameter
        k there; one parameter of all experiments.
    energy : ScalarParameter or None
        Enthalpy or energy of activation, kJ/mol; None for a constant rate.
    """

    transition: str
    law: RateLaw
    reference: float
    level: ScalarParameter
    energy: ScalarParameter | None

    def terms(self, temperature: float) -> LogTerms:
        """Of ln k(T) / k(T_ref)."""
        offset = self.law.offset(temperature, self.reference)
        if self.energy is None:
            return LogTerms((), offset)
        return LogTerms(((self.energy, inverse_temperature(temperature, self.reference)),), offset)

    def rate(self, temperature: float) -> Tensor:
        """k(T), a scalar tensor with gradients, without the deviation of any experiment."""
        level = self.level.value
        return level * torch.exp(self.terms(temperature).value(level))

    def activation(self, units_per_second: float) -> Iterator[tuple[str, Tensor, str]]:
        """Kind, value and unit of the quantities of activation at the reference temperature, with gradients.

        Entropy and Gibbs energy are those of transition-state theory with a transmission coefficient of 1; for a
        second-order constant in 1/(M s) they refer to 1 M.

        Parameters
        ----------
        units_per_second : float
            Units of time in a second, which turns k into 1/s.
        """
        if self.energy is None:
            return
        energy, t = self.energy.value, self.reference
        enthalpy = self.law.enthalpy(energy, t)
        log_attempts = torch.log(self.level.value * (units_per_second * PLANCK / (BOLTZMANN * t)))
        yield "activation_energy", self.law.activation_energy(energy, t), "kJ/mol"
        yield "activation_enthalpy", enthalpy, "kJ/mol"
        yield "activation_entropy", 1e3 * (GAS_CONSTANT * log_attempts + enthalpy / t), "J/(mol K)"
        yield "activation_gibbs_energy", -GAS_CONSTANT * t * log_attempts, "kJ/mol"
