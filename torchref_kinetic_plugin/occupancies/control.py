"""Reading, setting, freezing: what a user does with the parameters of a kinetic model."""

from __future__ import annotations

import abc
from collections.abc import Collection, Iterable, Mapping

import torch
from torch import nn

from torchref_kinetic_plugin.errors import ParameterError, UnknownNameError
from torchref_kinetic_plugin.kinetics.model import KineticModel
from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter
from torchref_kinetic_plugin.kinetics.rates import LogLinearRate, level_of
from torchref_kinetic_plugin.occupancies.identifiability import refined_efficiencies, require_identifiable
from torchref_kinetic_plugin.occupancies.joint_rates import JointRates
from torchref_kinetic_plugin.scheme import Scheme
from torchref_kinetic_plugin.scheme.equilibrium import equilibrium_pairs


class ParameterControl(abc.ABC):
    """The parameters of one kinetic model, by transition."""

    kinetics: KineticModel
    scheme: Scheme
    joint: JointRates

    def get_rate_constants(self) -> dict[str, float]:
        """Rate constant of every transition; inf for impulses."""
        return self.kinetics.rate_constants()

    def get_efficiencies(self) -> dict[str, float]:
        """Efficiency of every transition."""
        return self.kinetics.efficiencies()

    def get_time_constants(self) -> dict[str, float]:
        """Time constant ``1/k`` of every transition; 0 for impulses."""
        return {name: 1.0 / rate for name, rate in self.get_rate_constants().items()}

    def set_rate_constant(self, transition: str, value: float) -> None:
        """Set the rate constant of a transition, and with it those tied to it.

        Raises
        ------
        UnknownNameError
            For an unknown transition.
        ParameterError
            For a value that is not allowed, or an ``inf`` rate.
        """
        self._rate(transition, "set_rate_constant")
        network = self.kinetics.network
        factor = network.factor(transition)
        network.all_rates()[transition].set(value / factor if factor != 1.0 else value)

    def set_efficiency(self, transition: str, value: float) -> None:
        """Set the efficiency of a transition.

        Raises
        ------
        UnknownNameError
            For an unknown transition.
        ParameterError
            For a value outside [0, 1], or impulses summing to over 1.
        """
        self.scheme.require_transition(transition, "set_efficiency")
        if value != 1.0:
            self._require_balance({transition})
        impulses = self.kinetics.network.impulses
        if transition in self.scheme.impulsive and impulses is not None:
            before = impulses.values()
            self._encode_impulses(before, before | {transition: value}, impulses.refined)
        else:
            self.kinetics.network.efficiency_parameters()[transition].set(value)

    def freeze_rates(self, transitions: Iterable[str] | None = None) -> None:
        """Leave rate constants out of refinement; all finite ones by default."""
        for parameter in self._rates(transitions, "freeze_rates"):
            parameter.freeze()

    def unfreeze_rates(self, transitions: Iterable[str] | None = None) -> None:
        """Refine rate constants; all finite ones by default."""
        for parameter in self._rates(transitions, "unfreeze_rates"):
            parameter.unfreeze()

    def freeze_efficiencies(self, transitions: Iterable[str] | None = None) -> None:
        """Leave efficiencies out of refinement; all by default."""
        names = self._names(transitions, self.scheme.transitions, "freeze_efficiencies")
        self._refine_efficiencies(refined_efficiencies(self.kinetics) - names)

    def unfreeze_efficiencies(self, transitions: Iterable[str] | None = None) -> None:
        """Refine efficiencies; by default all that can be told apart from a rate constant.

        Raises
        ------
        ParameterError
            For one that cannot be refined, with the reason; nothing is changed then.
        """
        possible = [n for n in self.scheme.transitions if self.scheme.efficiency_refusal(n) is None]
        if transitions is None and not possible:
            raise ParameterError("no efficiency of this scheme can be told apart from a rate constant")
        names = self._names(transitions, self.scheme.transitions, "unfreeze_efficiencies", possible)
        for name in sorted(names):
            if reason := self.scheme.efficiency_refusal(name):
                raise ParameterError(f"the efficiency of {name} cannot be refined: {reason}")
        self._refine_efficiencies(refined_efficiencies(self.kinetics) | names)

    def freeze_instrument(self, parameters: Iterable[str] | None = None) -> None:
        """Leave ``'width'`` and ``'time_zero'``, or one of them, out of refinement."""
        for parameter in self._instrument(parameters, "freeze_instrument"):
            parameter.freeze()

    def unfreeze_instrument(self, parameters: Iterable[str] | None = None) -> None:
        """Refine ``'width'`` and ``'time_zero'``; by default the width, or time zero without a response."""
        if parameters is None:
            parameters = [next(iter(self.kinetics.instrument_parameters()))]
        for parameter in self._instrument(parameters, "unfreeze_instrument"):
            parameter.unfreeze()

    def freeze_activation(self) -> None:
        """Leave the common activation out of refinement."""
        self.kinetics.activation.common.freeze()

    def unfreeze_activation(self) -> None:
        """Refine the common activation, where it can be told apart from an efficiency."""
        common = self.kinetics.activation.common
        was_frozen = common.frozen
        common.unfreeze()
        try:
            require_identifiable(self.kinetics)
        except ParameterError:
            if was_frozen:
                common.freeze()
            raise

    def _efficiency_modules(self) -> list[nn.Module]:
        network = self.kinetics.network
        impulses: list[nn.Module] = [] if network.impulses is None else [network.impulses]
        return [*network.efficiency_parameters().values(), *impulses]

    def _names(
        self,
        given: Iterable[str] | None,
        allowed: Iterable[str],
        where: str,
        default: Iterable[str] | None = None,
    ) -> frozenset[str]:
        allowed = tuple(allowed)
        if given is None:
            return frozenset(allowed if default is None else default)
        names = [given] if isinstance(given, str) else list(given)
        for name in names:
            if name not in allowed:
                raise UnknownNameError("name", name, allowed, where)
        return frozenset(names)

    def _rate(self, name: str, where: str) -> ScalarParameter:
        self.scheme.require_transition(name, where)
        if name in self.scheme.impulsive:
            raise ParameterError(f"{where}: the rate of {name} is inf, an impulse; it is not a parameter")
        rate = self.kinetics.network.all_rates()[name]
        if isinstance(rate, LogLinearRate) and rate.follows:
            raise ParameterError(f"{where}: {rate.follows}")
        return level_of(rate)

    def _rates(self, transitions: Iterable[str] | None, where: str) -> list[ScalarParameter]:
        if transitions is None:
            return list(self.kinetics.network.rate_parameters().values())
        names = [transitions] if isinstance(transitions, str) else list(transitions)
        return [self._rate(name, where) for name in names]

    def _instrument(self, names: Iterable[str] | None, where: str) -> list[ScalarParameter]:
        parameters = self.kinetics.instrument_parameters()
        return [parameters[name] for name in sorted(self._names(names, parameters, where))]

    def _refine_efficiencies(self, refined: frozenset[str]) -> None:
        """Refine exactly these efficiencies, or raise and leave everything as it was."""
        before = refined_efficiencies(self.kinetics)
        values = self.kinetics.network.impulses.values() if self.kinetics.network.impulses else {}
        try:
            self._set_refined(refined, values)
            require_identifiable(self.kinetics)
            self._require_balance(refined)
        except ParameterError:
            self._set_refined(before, values)
            raise

    def _require_balance(self, leaky: Collection[str]) -> None:
        """Refuse efficiencies that break an equilibrium."""
        if self.joint.equilibria is not None:
            equilibrium_pairs(self.scheme, [pair.name for pair in self.joint.equilibria.pairs], leaky)

    def _set_refined(self, refined: frozenset[str], values: Mapping[str, float]) -> None:
        for name, parameter in self.kinetics.network.efficiency_parameters().items():
            if name in refined and parameter.frozen:
                parameter.unfreeze()
            elif name not in refined:
                parameter.freeze()
        impulses = self.kinetics.network.impulses
        if impulses is not None and impulses.refined != refined & set(values):
            self._encode_impulses(values, values, refined & frozenset(values))

    def _encode_impulses(
        self, before: Mapping[str, float], values: Mapping[str, float], refined: frozenset[str]
    ) -> None:
        impulses = self.kinetics.network.impulses
        assert impulses is not None
        was = impulses.refined
        try:
            with torch.no_grad():
                impulses.encode(values, refined)
        except ParameterError:
            impulses.encode(before, was)
            raise
