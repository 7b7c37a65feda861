"""Activation: the fraction of the molecules that the trigger reaches."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

from torchref_kinetic_plugin.errors import ParameterError
from torchref_kinetic_plugin.kinetics.constraints import Unit
from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter, as_number
from torchref_kinetic_plugin.kinetics.priors import Restrained


@final
class Saturation(nn.Module):
    """Activation by a pulse that saturates: ``maximum (1 - exp(-E / saturation_energy))``.

    Parameters
    ----------
    maximum : ScalarParameter
        Activation by a pulse of any energy, in [0, 1].
    saturation_energy : ScalarParameter
        J; both parameters are those of all experiments.
    pump_energy : float
        Of this experiment, J.
    """

    def __init__(self, maximum: ScalarParameter, saturation_energy: ScalarParameter, pump_energy: float) -> None:
        super().__init__()
        self.maximum = maximum
        self.saturation_energy = saturation_energy
        self.pump_energy = pump_energy

    @property
    def value(self) -> Tensor:
        """The activation, a scalar tensor with its gradient."""
        return self.maximum.value * -torch.expm1(-self.pump_energy / self.saturation_energy.value)

    @property
    def number(self) -> float:
        """The activation as a plain number."""
        return self.value.item()

    @property
    def frozen(self) -> bool:
        """Whether refinement leaves both parameters alone."""
        return self.maximum.frozen and self.saturation_energy.frozen

    def freeze(self) -> None:
        """Leave both parameters out of refinement, in all experiments."""
        self.maximum.freeze()
        self.saturation_energy.freeze()

    def unfreeze(self) -> None:
        """Refine both parameters."""
        self.maximum.unfreeze()
        self.saturation_energy.unfreeze()


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
        self.common: ScalarParameter | Saturation = ScalarParameter("activation", value, Unit(), frozen=not refined)
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
        return self.common.frozen and self.deviations is None and self.common.number == 1.0

    @property
    def scale_refined(self) -> bool:
        """Whether refinement multiplies the activation, as an efficiency of the trigger would."""
        return not (self.common.maximum.frozen if isinstance(self.common, Saturation) else self.common.frozen)

    def saturate(self, law: Saturation) -> None:
        """Let the common activation follow the energy of the pump."""
        self.common = law

    def forward(self, at_timepoints: bool) -> Tensor:
        """Activation of each timepoint (n_timepoints,), or the common one (1,)."""
        if self.deviations is None or not at_timepoints:
            return self.common.value.reshape(1)
        common = self.common
        centre = torch.logit(common.value) if isinstance(common, Saturation) else common.raw
        return Unit().value(centre + self.spread * self.deviations)

    def restraint(self) -> Tensor | None:
        """Minus the log density of the deviations, without its constant."""
        return None if self.deviations is None else (self.deviations**2).sum() / 2.0
