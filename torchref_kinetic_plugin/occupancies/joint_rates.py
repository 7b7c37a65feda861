"""What the rate constants of several experiments have in common: laws, equilibria, concentrations."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import final

from torchref_kinetic_plugin.kinetics.equilibria import Equilibria
from torchref_kinetic_plugin.kinetics.network import RateNetwork
from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter
from torchref_kinetic_plugin.kinetics.rate_laws import TransitionLaw
from torchref_kinetic_plugin.kinetics.rates import LogLinearRate, LogTerms, Rate, level_of
from torchref_kinetic_plugin.occupancies.conditions import Condition
from torchref_kinetic_plugin.scheme import EquilibriumPair


@final
@dataclass(frozen=True, eq=False)
class JointRates:
    """Parameters that live once, whatever the number of experiments and their order.

    Attributes
    ----------
    laws : mapping
        Transition to its law.
    equilibria : Equilibria or None
        Pairs in equilibrium.
    binding : frozenset of str
        Transitions whose rate is a second-order constant times a concentration.
    reference : float or None
        Reference temperature, K.
    saturation : tuple of ScalarParameter, optional
        Maximum of the activation and the energy of the pump that saturates it.
    """

    laws: Mapping[str, TransitionLaw] = field(default_factory=dict)
    equilibria: Equilibria | None = None
    binding: frozenset[str] = frozenset()
    reference: float | None = None
    saturation: tuple[ScalarParameter, ScalarParameter] | None = None

    @property
    def back(self) -> dict[str, EquilibriumPair]:
        """Back step of each pair in equilibrium."""
        return {pair.back: pair for pair in self.equilibria.pairs} if self.equilibria is not None else {}

    def depends_on_temperature(self) -> bool:
        """Whether any rate does, by a law or an equilibrium."""
        energies = any(law.energy is not None for law in self.laws.values())
        return energies or (self.equilibria is not None and bool(self.equilibria.enthalpies))

    def describes_all_temperatures(self, network: RateNetwork, tied: Collection[str]) -> bool:
        """Whether the stationary state is known at any temperature: by laws of all rates, or by equilibria alone."""
        names = [name for name in network.all_rates() if name not in tied]
        pairs = self.equilibria.pairs if self.equilibria is not None else ()
        balanced = {name for pair in pairs for name in (pair.forward, pair.back)}
        by_laws = all(name in self.laws or name in self.back for name in names)
        return self.depends_on_temperature() and (by_laws or set(names) <= balanced)

    def apply(
        self,
        network: RateNetwork,
        tied: frozenset[str],
        condition: Condition,
        deviations: Mapping[str, ScalarParameter],
    ) -> None:
        """Let the rates of an experiment follow.

        Parameters
        ----------
        network : RateNetwork
            With the level of every transition as its rate.
        tied : frozenset of str
            Transitions that take their rate from another.
        condition : Condition
            Of the experiment.
        deviations : mapping
            Transition to the deviation of ln k from its law in this experiment.
        """
        now = self.rates_at(network, tied, condition, condition.temperature, deviations)
        earlier = (
            None
            if condition.temperature_before is None
            else self.rates_at(network, tied, condition, condition.temperature_before, {})
        )
        for name, rate in now.items():
            if name not in tied:
                network.replace_rate(name, rate)
        if earlier is not None:
            network.start_from(earlier)

    def rates_at(
        self,
        network: RateNetwork,
        tied: frozenset[str],
        condition: Condition,
        temperature: float | None,
        deviations: Mapping[str, ScalarParameter],
    ) -> dict[str, Rate]:
        """Rate of each finite transition at a temperature, before the factor of a tie; arguments as of `apply`."""
        present = network.all_rates()
        masters = {
            name: next(m for m, p in present.items() if p is present[name] and m not in tied) for name in present
        }
        log_concentration = math.log(condition.concentration) if condition.concentration is not None else 0.0

        def terms(name: str) -> LogTerms:
            found = LogTerms((), log_concentration if name in self.binding else 0.0)
            if (law := self.laws.get(name)) is not None and temperature is not None:
                found = found + law.terms(temperature)
            if name in deviations:
                found = found + LogTerms(((deviations[name], 1.0),))
            return found

        rates: dict[str, Rate] = {}
        for name in present:
            if name in tied:
                continue
            if (pair := self.back.get(name)) is not None:
                assert self.equilibria is not None
                forward = masters[pair.forward]
                ratio = -self.equilibria.terms(pair, temperature, log_concentration)
                ratio = ratio + LogTerms((), math.log(network.factor(pair.forward)))
                follows = (
                    f"the rate constant of {name} follows from that of {pair.forward} and the equilibrium constant of "
                    f"{pair.name}; set or refine those"
                )
                rates[name] = LogLinearRate(level_of(present[forward]), terms(forward) + ratio, follows=follows)
                continue
            own, level = terms(name), level_of(present[name])
            rates[name] = LogLinearRate(level, own) if own.parameters or own.offset else level
        return {name: rates[master] for name, master in masters.items()}
