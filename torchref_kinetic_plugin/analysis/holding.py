"""Hold one public value of a provider while everything else is refined.

The value is tied to its place by a spring. Whatever its stiffness, the minimum with the spring is the minimum among all
parameters that give the value found there, since the spring's energy is the same for all of them: a point of the
profile, exact, at a value that is read off. So any value can be held that is computed from the raw parameters, a rate
constant on a law as well as one that is a parameter itself.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from torchref_kinetic_plugin.kinetics.parameters import Float64Module
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies


@final
@dataclass
class Spring:
    """``stiffness (place - target)^2 / 2``.

    Attributes
    ----------
    place : callable
        Gives the coordinate that is held, a scalar with gradients.
    target : float
        Where it is held.
    stiffness : float
        Of the spring; 0 lets go.
    """

    place: Callable[[], Tensor]
    target: float
    stiffness: float

    def energy(self) -> Tensor:
        """What is added to the objective."""
        if self.stiffness == 0.0:
            return torch.zeros((), dtype=torch.float64)
        return 0.5 * self.stiffness * (self.place().cpu() - self.target) ** 2


class _Sprung(nn.Module, abc.ABC):
    """A provider's module with its regularization weighted, and the spring's energy added."""

    def __init__(self, module: nn.Module, weight: float, spring: Spring | None) -> None:
        super().__init__()
        self.module = module
        self._weight, self._spring = weight, spring

    def forward(self) -> Tensor:
        occupancies: Tensor = self.module()
        return occupancies

    def get_regularization_loss(self) -> Tensor:
        loss: Any = self.module.get_regularization_loss
        value: Tensor = self._weight * loss().to("cpu", torch.float64)
        return value if self._spring is None else value + self._spring.energy()


@final
class _Own(_Sprung, Float64Module):
    """Of a module of ours, whose derivatives can be computed forwards."""


@final
class _Foreign(_Sprung):
    """Of a module that somebody else wrote."""


@final
class HeldOccupancies:
    """A provider's occupancies with a spring among the priors; the parameters are the provider's own.

    Parameters
    ----------
    provider : SeriesOccupancies
        Whose parameters move.
    spring : Spring
        Counts once.
    """

    regularization_weight = 1.0

    def __init__(self, provider: SeriesOccupancies, spring: Spring) -> None:
        self._provider, self._spring = provider, spring
        self.modules_by_experiment = [
            (_Own if isinstance(module, Float64Module) else _Foreign)(
                module, provider.regularization_weight, spring if number == 0 else None
            )
            for number, module in enumerate(provider.modules_by_experiment)
        ]

    def __call__(self) -> list[Tensor]:
        """Occupancies (K, N) of each experiment."""
        occupancies: list[Tensor] = self._provider()
        return occupancies

    def get_regularization_loss(self) -> Tensor:
        """The provider's priors and the spring's energy."""
        return self._provider.get_regularization_loss() + self._spring.energy()
