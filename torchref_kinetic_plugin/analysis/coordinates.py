"""Public values on an axis without ends, on which likelihoods are closest to normal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from scipy.special import expit, logit
from torch import Tensor

from torchref_kinetic_plugin.refinement.estimates import FRACTION_KINDS, POSITIVE_KINDS, Key
from torchref_kinetic_plugin.refinement.experiment import Floats

#: Distance from the best place beyond which a value is as good as at the end of its range: 11 decades of a rate
#: constant, 1e-6 of a fraction.
_FURTHEST = {"ln": 25.0, "logit": 14.0, "linear": 14.0}


@final
@dataclass(frozen=True)
class Coordinate:
    """ln of positive numbers, logit of fractions, else the value in units of a change that matters.

    Attributes
    ----------
    form : str
        ``"ln"``, ``"logit"`` or ``"linear"``.
    unit : float
        Of a linear one.
    """

    form: str
    unit: float = 1.0

    @classmethod
    def of(cls, key: Key, value: float, slope: Floats) -> Coordinate:
        """That of a parameter by its kind.

        Parameters
        ----------
        key : tuple of str
            Experiment, kind and name.
        value : float
            Present one.
        slope : ndarray
            (n_refined,), derivatives in the raw parameters, a unit of which is a change that matters.
        """
        _, kind, name = key
        if kind in FRACTION_KINDS:
            return cls("logit")
        if kind in POSITIVE_KINDS or (kind == "response" and name == "width" and value > 0.0):
            return cls("ln")
        return cls("linear", float(np.linalg.norm(slope)))

    def __call__(self, value: Tensor) -> Tensor:
        """Place of a value, differentiable."""
        if self.form == "ln":
            return torch.log(value)
        return torch.logit(value) if self.form == "logit" else value / self.unit

    @property
    def furthest(self) -> float:
        """Distance from the best place beyond which a value is as good as at the end of its range."""
        return _FURTHEST[self.form]

    def place(self, value: float) -> float:
        """Place of a plain number; infinite at the end of a range."""
        if self.form == "ln":
            return math.log(value) if value > 0.0 else -math.inf
        return float(logit(value)) if self.form == "logit" else value / self.unit

    def value(self, place: float) -> float:
        """The value at a place."""
        if self.form == "ln":
            return math.exp(place)
        return float(expit(place)) if self.form == "logit" else place * self.unit

    def slope(self, value: float) -> float:
        """Derivative of the place in the value."""
        if self.form == "ln":
            return 1.0 / value
        return 1.0 / (value * (1.0 - value)) if self.form == "logit" else 1.0 / self.unit
