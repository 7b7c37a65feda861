"""Equilibria between states: free energies and enthalpies of states that all experiments share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter
from torchref_kinetic_plugin.kinetics.rates import LogTerms
from torchref_kinetic_plugin.kinetics.thermodynamics import GAS_CONSTANT, inverse_temperature
from torchref_kinetic_plugin.scheme import EquilibriumPair


@final
@dataclass(frozen=True, eq=False)
class Equilibria:
    """Thermodynamics of the states that pairs in equilibrium connect.

    Each state has ln of its population over that of the first state of its connected group, so that constants around
    a cycle multiply to 1 by construction (detailed balance).

    Attributes
    ----------
    pairs : tuple of EquilibriumPair
        Those that were asked for.
    reference : float or None
        Reference temperature, K.
    potentials : mapping
        State to ln of that ratio at the reference temperature; without the first state of each group.
    enthalpies : mapping
        State to its enthalpy over that of the first, kJ/mol; empty where there is a single temperature.
    ligands : mapping
        State to the number of ligands that pseudo-first-order steps have bound, over the first state of its group.
    """

    pairs: tuple[EquilibriumPair, ...]
    reference: float | None
    potentials: Mapping[str, ScalarParameter]
    enthalpies: Mapping[str, ScalarParameter]
    ligands: Mapping[str, int]

    def bound(self, pair: EquilibriumPair) -> int:
        """Ligands that the forward step of a pair binds."""
        return self.ligands.get(pair.target, 0) - self.ligands.get(pair.source, 0)

    def terms(self, pair: EquilibriumPair, temperature: float | None, log_concentration: float = 0.0) -> LogTerms:
        """Of ln K(T), for the ratio of populations at a concentration of the ligand."""
        found: list[tuple[ScalarParameter, float]] = []
        for state, sign in ((pair.target, 1.0), (pair.source, -1.0)):
            if state in self.potentials:
                found.append((self.potentials[state], sign))
            if state in self.enthalpies:
                assert temperature is not None
                assert self.reference is not None
                found.append((self.enthalpies[state], sign * inverse_temperature(temperature, self.reference)))
        return LogTerms(tuple(found), self.bound(pair) * log_concentration)

    def constant(self, pair: EquilibriumPair, temperature: float | None) -> Tensor:
        """K(T) at unit concentration, a scalar tensor with gradients."""
        return torch.exp(self.terms(pair, temperature).value(self._any))

    def reaction_enthalpy(self, pair: EquilibriumPair) -> Tensor | None:
        """Enthalpy of the forward reaction, kJ/mol, or None where it does not exist."""
        if not self.enthalpies:
            return None
        total = torch.zeros_like(self._any)
        for state, sign in ((pair.target, 1.0), (pair.source, -1.0)):
            if state in self.enthalpies:
                total = total + sign * self.enthalpies[state].value
        return total

    def reaction_entropy(self, pair: EquilibriumPair) -> Tensor | None:
        """Entropy of the forward reaction, J/(mol K), or None where it does not exist."""
        enthalpy = self.reaction_enthalpy(pair)
        if enthalpy is None:
            return None
        assert self.reference is not None
        log_constant = self.terms(pair, self.reference).value(enthalpy)
        return 1e3 * (GAS_CONSTANT * log_constant + enthalpy / self.reference)

    @property
    def _any(self) -> Tensor:
        return next(iter(self.potentials.values())).value
