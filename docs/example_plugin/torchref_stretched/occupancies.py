"""Occupancies of a stretched exponential relaxation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torchref_kinetic_plugin.scheme import parse_time
from torchref_stretched.settings import StretchedSettings

#: The raw parameter of each, unbounded; the result calls it by this name.
RAW = {"tau": "ln_tau", "beta": "ln_beta", "yield": "logit_yield"}
#: Beyond this z, exp(-exp(z)) is 0 to the last digit.
_LARGEST = 50.0


class StretchedRelaxation(nn.Module):
    """Two structures; the second is occupied ``yield exp(-(t / tau)^beta)`` after the trigger, 0 before it.

    Parameters
    ----------
    settings : StretchedSettings
        Section of the refinement file.
    times : sequence of float
        Delays, s; may be negative, 0 or infinite.
    lender : StretchedRelaxation, optional
        Module of another experiment, from which the shared parameters are taken.

    Attributes
    ----------
    ln_tau, ln_beta, logit_yield : nn.Parameter
        Raw parameters; tau in s.
    """

    def __init__(
        self, settings: StretchedSettings, times: Sequence[float], lender: StretchedRelaxation | None = None
    ) -> None:
        super().__init__()
        start = {
            "tau": math.log(parse_time(settings.tau)),
            "beta": math.log(settings.beta),
            "yield": math.log(settings.excited / (1.0 - settings.excited)),
        }
        borrowed = () if lender is None else settings.shared
        for name, raw in RAW.items():
            if lender is not None and name in borrowed:
                self.register_parameter(raw, lender.get_parameter(raw))
            else:
                value = torch.tensor(start[name], dtype=torch.float64)
                self.register_parameter(raw, nn.Parameter(value, requires_grad=name in settings.refine))
        # The objective adds the priors of all modules: one on a shared parameter is counted by the lender.
        self.priors = {
            RAW[name]: (start[name], factor) for name, factor in settings.prior_factors.items() if name not in borrowed
        }
        delays = torch.tensor(times, dtype=torch.float64)
        relaxing = (delays > 0.0) & torch.isfinite(delays)
        self.register_buffer("relaxing", relaxing)
        # Where nothing depends on tau and beta no gradient may be asked for: at t = 0 that of t^beta is not a number.
        self.register_buffer("ln_times", torch.where(relaxing, delays, 1.0).log())
        self.register_buffer("otherwise", (delays == 0.0).to(torch.float64))

    @property
    def tau(self) -> Tensor:
        """Relaxation time, s."""
        return self.get_parameter("ln_tau").exp()

    @property
    def beta(self) -> Tensor:
        """Exponent."""
        return self.get_parameter("ln_beta").exp()

    @property
    def excited(self) -> Tensor:
        """Occupancy of the second structure just after the trigger."""
        return self.get_parameter("logit_yield").sigmoid()

    def forward(self) -> Tensor:
        """Occupancies (2, n_timepoints)."""
        z = self.beta * (self.get_buffer("ln_times") - self.get_parameter("ln_tau"))
        left = torch.exp(-torch.exp(z.clamp(max=_LARGEST)))
        second = self.excited * torch.where(self.get_buffer("relaxing"), left, self.get_buffer("otherwise"))
        return torch.stack([1.0 - second, second])

    def get_regularization_loss(self) -> Tensor:
        """Minus the logarithm of the priors, each normal in the raw parameter about its starting value."""
        loss = torch.zeros((), dtype=torch.float64)
        for raw, (centre, factor) in self.priors.items():
            deviation = (self.get_parameter(raw) - centre) / math.log(factor)
            loss = loss + 0.5 * deviation**2
        return loss

    def get_parameter_groups(self, base_lr: float = 0.001) -> list[dict[str, Any]]:
        """One optimizer group."""
        refined = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return [{"params": refined, "lr": base_lr, "name": "stretched"}]
