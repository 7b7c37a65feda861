"""Activation: the fraction of the molecules that the trigger reaches."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from torchref_kinetic_plugin.errors import ParameterError
from torchref_kinetic_plugin.kinetics.constraints import Unit
from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter, as_number
from torchref_kinetic_plugin.kinetics.priors import Restrained


class Activation(Restrained):
    """Common activation and, where asked, a deviation of each timepoint.

    Pump energy and jet thickness vary between datasets. The logit of a timepoint's activation deviates
    from the common one by ``spread`` times a standard normal variable, whose own density is the restraint.

    Parameters
    ----------
    value : float
        Common activation, in [0, 1].
    n_timepoints : int
        Number of measured timepoints.
    spread : float, optional
        Standard deviation of the logit between timepoints; None for one activation throughout.
    refined : bool
        Whether the common value is refined.

    Raises
    ------
    ParameterError
        For impossible values, or a spread about an activation of 0 or 1, which cannot deviate.
    """

    def __init__(self, value: float, n_timepoints: int, *, spread: float | None, refined: bool) -> None:
        super().__init__()
        self.common = ScalarParameter("activation", value, Unit(), frozen=not refined)
        self.deviations: nn.Parameter | None = None
        self.spread = 0.0 if spread is None else as_number(spread, "activation_spread")
        if spread is None:
            return
        if not (math.isfinite(self.spread) and self.spread > 0.0):
            raise ParameterError(f"activation_spread = {self.spread:g}: it must be finite and above 0")
        if not 0.0 < self.common.number < 1.0:
            raise ParameterError(
                f"activation_spread needs an activation inside (0, 1) to spread about, not {float(value):g}"
            )
        self.deviations = nn.Parameter(torch.zeros(n_timepoints, dtype=torch.float64))

    @property
    def complete(self) -> bool:
        """Whether the trigger reaches every molecule, now and while refining."""
        return self.common.frozen and self.deviations is None and bool(self.common.raw == math.inf)

    def forward(self, at_timepoints: bool) -> Tensor:
        """Activation of each timepoint (n_timepoints,), or the common one (1,)."""
        if self.deviations is None or not at_timepoints:
            return self.common.value.reshape(1)
        return Unit().value(self.common.raw + self.spread * self.deviations)

    def restraint(self) -> Tensor | None:
        """Minus the log density of the deviations, without its constant."""
        return None if self.deviations is None else (self.deviations**2).sum() / 2.0
