"""Priors on kinetic parameters: minus their log density, without the constant.

A module that carries priors derives from `Restrained`; `regularization` finds all of them by walking a
model, each once however many experiments share it, so that none can be forgotten in the objective.
"""

from __future__ import annotations

import abc
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn


class Prior(abc.ABC):
    """A weighted prior on the value of a parameter."""

    @abc.abstractmethod
    def loss(self, value: Tensor) -> Tensor:
        """Penalty of values, elementwise."""


@dataclass(frozen=True)
class LogNormalPrior(Prior):
    """``weight (ln k - mean)^2 / (2 std^2)``.

    Attributes
    ----------
    weight : float
        Strength; 1 is the normalized prior.
    mean, std : float
        Of ln k, k in the inverse of the user's time unit.
    """

    weight: float
    mean: float
    std: float

    def loss(self, value: Tensor) -> Tensor:
        """Return the penalty, zero at ``exp(mean)``."""
        return self.weight * ((torch.log(value) - self.mean) / self.std) ** 2 / 2.0


@dataclass(frozen=True)
class BetaPrior(Prior):
    """``-weight ln eta``: a Beta(1 + weight, 1) density, highest at an efficiency of 1.

    Attributes
    ----------
    weight : float
        Strength, >= 0.
    """

    weight: float

    def loss(self, value: Tensor) -> Tensor:
        """Return the penalty, zero at 1."""
        return -self.weight * torch.log(value)


@dataclass(frozen=True)
class NormalPrior(Prior):
    """``(x - mean)^2 / (2 std^2)``.

    Attributes
    ----------
    mean, std : float
        In the unit of the parameter.
    """

    mean: float
    std: float

    def loss(self, value: Tensor) -> Tensor:
        """Return the penalty, zero at the mean."""
        return ((value - self.mean) / self.std) ** 2 / 2.0


class Restrained(nn.Module, abc.ABC):
    """A module with a term of its own in the regularization."""

    @abc.abstractmethod
    def restraint(self) -> Tensor | None:
        """Penalty of the module's own values, a scalar, or None without a prior."""


def restrained_in(model: nn.Module) -> list[Restrained]:
    """All modules inside a model that may have a restraint, each once."""
    return [module for module in model.modules() if isinstance(module, Restrained)]


def regularization(model: nn.Module, *, elsewhere: Collection[Restrained] = ()) -> Tensor:
    """Sum of all restraints in a model, each module counted once.

    Parameters
    ----------
    model : nn.Module
        Any module; its submodules are searched.
    elsewhere : collection of Restrained
        Modules that are counted with another model, which shares them.

    Returns
    -------
    Tensor
        Scalar float64, zero without priors, differentiable.
    """
    skipped = {id(module) for module in elsewhere}
    terms = [
        term
        for module in restrained_in(model)
        if id(module) not in skipped and (term := module.restraint()) is not None
    ]
    return torch.stack(terms).sum() if terms else torch.zeros((), dtype=torch.float64)
