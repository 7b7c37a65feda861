"""Constraints: maps between the unbounded raw value of a parameter and the value it stands for."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass

import torch
from torch import Tensor


class Constraint(abc.ABC):
    """One-to-one map of the real line onto the values a parameter may have."""

    @abc.abstractmethod
    def value(self, raw: Tensor) -> Tensor:
        """Value of a raw parameter, elementwise, differentiable."""

    @abc.abstractmethod
    def raw(self, value: float) -> float:
        """Raw parameter of a value; infinite at the ends of a closed range."""

    @abc.abstractmethod
    def problem(self, value: float) -> str | None:
        """Say what values are allowed when this one is not, else None."""


@dataclass(frozen=True)
class Free(Constraint):
    """Any finite value; the raw parameter is the value in units of a scale.

    Attributes
    ----------
    scale : float
        Size of a change that matters, so that optimizer steps fit.
    """

    scale: float = 1.0

    def value(self, raw: Tensor) -> Tensor:
        """Return the raw value times the scale."""
        return raw * self.scale

    def raw(self, value: float) -> float:
        """Return the value over the scale."""
        return value / self.scale

    def problem(self, value: float) -> str | None:
        """Refuse what is not a finite number."""
        return None if math.isfinite(value) else "it must be a finite number"


@dataclass(frozen=True)
class Positive(Constraint):
    """Values above zero; the raw parameter is their natural logarithm."""

    def value(self, raw: Tensor) -> Tensor:
        """Return the exponential."""
        return torch.exp(raw)

    def raw(self, value: float) -> float:
        """Return the natural logarithm."""
        return math.log(value)

    def problem(self, value: float) -> str | None:
        """Refuse what is not finite and above zero."""
        return None if math.isfinite(value) and value > 0.0 else "it must be finite and above 0"


@dataclass(frozen=True)
class Unit(Constraint):
    """Values from 0 to 1; the raw parameter is their logit. The ends are allowed but cannot be refined."""

    def value(self, raw: Tensor) -> Tensor:
        """Return the logistic function."""
        return torch.sigmoid(raw)

    def raw(self, value: float) -> float:
        """Return the logit; infinite at 0 and 1."""
        if value in (0.0, 1.0):
            return math.copysign(math.inf, value - 0.5)
        return math.log(value) - math.log1p(-value)

    def problem(self, value: float) -> str | None:
        """Refuse what is outside [0, 1]."""
        return None if 0.0 <= value <= 1.0 else "it must lie in [0, 1]"


@dataclass(frozen=True)
class Between(Constraint):
    """Positive values strictly between two bounds; the raw parameter is the logit of their place in ln.

    Attributes
    ----------
    lower, upper : float
        Bounds, finite, ``0 < lower < upper``.
    """

    lower: float
    upper: float

    def value(self, raw: Tensor) -> Tensor:
        """Return the value at a logistic fraction of the way from ln lower to ln upper."""
        span = math.log(self.upper / self.lower)
        return self.lower * torch.exp(span * torch.sigmoid(raw))

    def raw(self, value: float) -> float:
        """Return the logit of ln(value / lower) / ln(upper / lower)."""
        return math.log(math.log(value / self.lower)) - math.log(math.log(self.upper / value))

    def problem(self, value: float) -> str | None:
        """Refuse what is not strictly inside the bounds."""
        inside = self.lower < value < self.upper
        return None if inside else f"its bounds are {self.lower:g} to {self.upper:g}, both excluded"
