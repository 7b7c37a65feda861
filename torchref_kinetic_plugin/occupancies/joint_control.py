"""Reading, setting, freezing: what a user does with the parameters of several experiments."""

from __future__ import annotations

import abc
from collections.abc import Iterable

from torch import nn

from torchref_kinetic_plugin.errors import ParameterError, UnknownNameError
from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter
from torchref_kinetic_plugin.occupancies.joint_rates import JointRates
from torchref_kinetic_plugin.occupancies.kinetic import occupancies_kinetics
from torchref_kinetic_plugin.scheme import seconds_per

#: Quantities of activation for which the unit of time does not matter.
_UNITLESS = ("activation_energy", "activation_enthalpy")


class JointControl(abc.ABC):
    """The parameters of several experiments, by transition."""

    joint: JointRates
    names: tuple[str, ...]
    kinetic_models: nn.ModuleList
    n_experiments: int

    def _model(self, experiment_idx: int) -> occupancies_kinetics:
        if isinstance(experiment_idx, bool) or experiment_idx not in range(self.n_experiments):
            raise ParameterError(
                f"experiment_idx = {experiment_idx!r}: there are {self.n_experiments} experiments, "
                f"0 to {self.n_experiments - 1}"
            )
        model = self.kinetic_models[experiment_idx]
        assert isinstance(model, occupancies_kinetics)
        return model

    @property
    def models(self) -> tuple[occupancies_kinetics, ...]:
        """The model of each experiment."""
        return tuple(self._model(number) for number in range(self.n_experiments))

    def get_rate_constants(self) -> dict[str, dict[str, float]]:
        """Rate constants of each experiment, by its name."""
        return {name: model.get_rate_constants() for name, model in zip(self.names, self.models, strict=True)}

    def set_rate_constant(self, transition: str, value: float, experiment_idx: int | None = None) -> None:
        """Set a rate constant in one experiment, or in all; a shared one changes everywhere.

        One on a law is set at the experiment's temperature, or at the reference temperature where none is named.
        """
        if experiment_idx is None and transition in self.joint.laws:
            self.joint.laws[transition].level.set(value)
            return
        for model in self.models if experiment_idx is None else (self._model(experiment_idx),):
            model.set_rate_constant(transition, value)

    def freeze_rates(self, transitions: Iterable[str] | None = None, experiment_idx: int | None = None) -> None:
        """Leave rate constants out of refinement, in one experiment or in all."""
        for model in self.models if experiment_idx is None else (self._model(experiment_idx),):
            model.freeze_rates(transitions)

    def unfreeze_rates(self, transitions: Iterable[str] | None = None, experiment_idx: int | None = None) -> None:
        """Refine rate constants, in one experiment or in all."""
        for model in self.models if experiment_idx is None else (self._model(experiment_idx),):
            model.unfreeze_rates(transitions)

    def freeze_enthalpies(self, transitions: Iterable[str] | None = None) -> None:
        """Leave enthalpies of activation out of refinement; all by default."""
        for energy in self._energies(transitions, "freeze_enthalpies"):
            energy.freeze()

    def unfreeze_enthalpies(self, transitions: Iterable[str] | None = None) -> None:
        """Refine enthalpies of activation; all by default."""
        for energy in self._energies(transitions, "unfreeze_enthalpies"):
            energy.unfreeze()

    def _energies(self, transitions: Iterable[str] | None, where: str) -> list[ScalarParameter]:
        energies = {name: law.energy for name, law in self.joint.laws.items() if law.energy is not None}
        names = energies if transitions is None else [transitions] if isinstance(transitions, str) else transitions
        for name in names:
            if name not in energies:
                raise UnknownNameError("transition with an enthalpy", name, energies, where)
        return [energies[name] for name in names]

    def get_activation_parameters(self) -> dict[str, dict[str, float]]:
        """Quantities of activation of each transition on a law, at the reference temperature.

        By the names that ``rates.csv`` has: energy and enthalpy (kJ/mol), and with a ``time_unit`` entropy (J/(mol K))
        and Gibbs energy (kJ/mol).
        """
        unit = self.models[0].time_unit
        found = {}
        for name, law in self.joint.laws.items():
            values = law.activation(1.0 if unit is None else 1.0 / seconds_per(unit))
            kinds = {kind: value.item() for kind, value, _ in values}
            # Without a unit of time there is no attempt frequency to compare k with.
            found[name] = kinds if unit is not None else {k: v for k, v in kinds.items() if k in _UNITLESS}
        return found

    def get_equilibrium_parameters(self) -> dict[str, dict[str, float]]:
        """Constant at the reference temperature, enthalpy (kJ/mol) and entropy (J/(mol K)) of each equilibrium."""
        equilibria = self.joint.equilibria
        found = {}
        for pair in equilibria.pairs if equilibria is not None else ():
            assert equilibria is not None
            values = {
                "equilibrium_constant": equilibria.constant(pair, equilibria.reference),
                "reaction_enthalpy": equilibria.reaction_enthalpy(pair),
                "reaction_entropy": equilibria.reaction_entropy(pair),
            }
            found[pair.name] = {kind: value.item() for kind, value in values.items() if value is not None}
        return found

    def print_parameters(self) -> None:
        """Print the parameters of each experiment, and what they share."""
        for name, model in zip(self.names, self.models, strict=True):
            print(f"Experiment {name}")
            model.print_parameters()
        for table in (self.get_activation_parameters(), self.get_equilibrium_parameters()):
            for name, values in table.items():
                print(
                    f"{name}: " + ", ".join(f"{kind.replace('_', ' ')} {value:.4g}" for kind, value in values.items())
                )
