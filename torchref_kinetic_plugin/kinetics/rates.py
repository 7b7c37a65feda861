"""Rate constants that follow from several parameters: of a law, an equilibrium, a concentration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from torchref_kinetic_plugin.errors import ParameterError
from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter


@final
@dataclass(frozen=True, eq=False)
class LogTerms:
    """A sum ``offset + sum_j coefficient_j value_j``, part of the logarithm of a rate or equilibrium constant."""

    parameters: tuple[tuple[ScalarParameter, float], ...] = ()
    offset: float = 0.0

    def __add__(self, other: LogTerms) -> LogTerms:
        return LogTerms(self.parameters + other.parameters, self.offset + other.offset)

    def __neg__(self) -> LogTerms:
        return LogTerms(tuple((p, -c) for p, c in self.parameters), -self.offset)

    def value(self, like: Tensor) -> Tensor:
        """The sum, a scalar tensor on the device of another."""
        total = like.new_full((), self.offset)
        for parameter, coefficient in self.parameters:
            total = total + coefficient * parameter.value
        return total


@final
class LogLinearRate(nn.Module):
    """A rate constant whose logarithm is linear in parameters: ``k = level exp(terms)``.

    Parameters
    ----------
    level : ScalarParameter
        The positive number that it is in proportion to, as k at the reference temperature.
    terms : LogTerms
        Of ln(k / level).
    follows : str
        For a rate that follows from others: why, in words. It cannot be set or refined by itself.
    """

    def __init__(self, level: ScalarParameter, terms: LogTerms, *, follows: str = "") -> None:
        super().__init__()
        self.level = level
        self.terms = nn.ModuleList([parameter for parameter, _ in terms.parameters])
        self._coefficients = [coefficient for _, coefficient in terms.parameters]
        self._offset = terms.offset
        self.follows = follows

    @property
    def term_parameters(self) -> list[ScalarParameter]:
        """The parameters beside the level."""
        return [p for p in self.terms if isinstance(p, ScalarParameter)]

    @property
    def value(self) -> Tensor:
        """The rate constant, a scalar tensor with its gradient."""
        level = self.level.value
        terms = LogTerms(tuple(zip(self.term_parameters, self._coefficients, strict=True)), self._offset)
        return level * torch.exp(terms.value(level))

    @property
    def number(self) -> float:
        """The rate constant as a plain number."""
        return self.value.item()

    @property
    def log_offset(self) -> float:
        """Part of ln(k / level) that no parameter changes."""
        return self._offset

    @property
    def frozen(self) -> bool:
        """Whether refinement leaves it alone: its level and all that it depends on."""
        return self.level.frozen and all(p.frozen for p in self.term_parameters)

    def set(self, value: float) -> None:
        """Set the rate constant by its level.

        Raises
        ------
        ParameterError
            For a value that is not allowed, or a rate that follows from others.
        """
        if self.follows:
            raise ParameterError(self.follows)
        if not (math.isfinite(value) and value > 0.0):
            raise ParameterError(f"{self.level.label} = {value:g}: it must be finite and above 0")
        with torch.no_grad():
            self.level.set(value * self.level.number / self.number)


Rate = ScalarParameter | LogLinearRate


def level_of(rate: Rate) -> ScalarParameter:
    """The parameter that a rate constant is in proportion to."""
    return rate.level if isinstance(rate, LogLinearRate) else rate
