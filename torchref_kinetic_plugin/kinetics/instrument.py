"""Instrument responses: what a probe of finite width makes of the kinetics."""

from __future__ import annotations

import abc

import torch
from torch import Tensor, nn

from torchref_kinetic_plugin.kinetics.constraints import Positive
from torchref_kinetic_plugin.kinetics.flow import time_derivative
from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter
from torchref_kinetic_plugin.kinetics.propagation import propagate
from torchref_kinetic_plugin.kinetics.response import convolved_populations
from torchref_kinetic_plugin.kinetics.sensitivity import is_differentiated


class Response(nn.Module, abc.ABC):
    """Populations at delays, seen through an instrument."""

    @abc.abstractmethod
    def forward(self, rates: Tensor, after: Tensor, before: Tensor, delay: Tensor) -> Tensor:
        """Populations (n_times, n_states) at finite delays; arguments as for `convolved_populations`."""

    @property
    @abc.abstractmethod
    def width(self) -> ScalarParameter | None:
        """The refinable width, if the response has one."""


class NoResponse(Response):
    """An instant probe: the state before the trigger for negative delays, else ``exp(K t) p``."""

    def forward(self, rates: Tensor, after: Tensor, before: Tensor, delay: Tensor) -> Tensor:
        """Populations at delays; the delay 0 is just after the trigger."""
        times = delay.detach()
        elapsed = times.clamp(min=0.0)
        populations = propagate(rates, after, elapsed)
        if is_differentiated(delay):
            slope = time_derivative(rates.detach(), after.detach(), elapsed)
            populations = populations + slope * (delay - times).unsqueeze(-1)
        return torch.where((times >= 0.0).unsqueeze(-1), populations, before)

    @property
    def width(self) -> ScalarParameter | None:
        """None: an instant probe has no width."""
        return None


class GaussianResponse(Response):
    """A Gaussian probe, exactly convolved.

    Parameters
    ----------
    width : float
        Standard deviation (FWHM = 2.355 of these), in the unit of the times.
    frozen : bool
        Whether it is left out of refinement.
    """

    def __init__(self, width: float, *, frozen: bool) -> None:
        super().__init__()
        self.sigma = ScalarParameter("instrument_width", width, Positive(), frozen=frozen)

    def forward(self, rates: Tensor, after: Tensor, before: Tensor, delay: Tensor) -> Tensor:
        """Populations at delays, smeared by the response."""
        return convolved_populations(rates, after, before, delay, self.sigma.value)

    @property
    def width(self) -> ScalarParameter | None:
        """The standard deviation."""
        return self.sigma


#: Names by which a user asks for a response.
RESPONSES = ("none", "gaussian")
