"""The kinetic model: populations of a scheme's states at given times."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from torchref_kinetic_plugin.kinetics.activation import Activation
from torchref_kinetic_plugin.kinetics.constraints import Free
from torchref_kinetic_plugin.kinetics.instrument import Response
from torchref_kinetic_plugin.kinetics.network import RateNetwork
from torchref_kinetic_plugin.kinetics.parameters import Float64Module, ScalarParameter
from torchref_kinetic_plugin.kinetics.stationary import stationary_populations
from torchref_kinetic_plugin.scheme import Scheme


class KineticModel(Float64Module):
    """Populations of kinetic states under one condition.

    Parameters
    ----------
    network : RateNetwork
        Rates, efficiencies and initial populations.
    response : Response
        What the probe's width makes of the kinetics.
    activation : Activation
        Fraction of the molecules that the trigger reaches.
    time_zero : float
        Time of the trigger on the axis of the times.
    time_scale : float
        Change of time zero that matters, for optimizer steps.
    """

    def __init__(
        self,
        network: RateNetwork,
        response: Response,
        activation: Activation,
        *,
        time_zero: float,
        time_scale: float,
    ) -> None:
        super().__init__()
        self.network = network
        self.response = response
        self.activation = activation
        self.time_zero = ScalarParameter("time_zero", time_zero, Free(time_scale), frozen=True)

    @property
    def scheme(self) -> Scheme:
        """The mechanism."""
        return self.network.scheme

    def forward(self, times: Tensor, *, at_timepoints: bool = False) -> Tensor:
        """Populations at times.

        Parameters
        ----------
        times : Tensor
            (n_times,), float64; any order, repeats and both infinities allowed.
        at_timepoints : bool
            Whether the times are the measured timepoints, each with its own activation where that varies.

        Returns
        -------
        Tensor
            (n_times, n_states); rows sum to 1.
        """
        network = self.network
        rates, before = network.rate_matrix(), network.before
        after = network.after(before)
        finite = torch.isfinite(times)
        delay = torch.where(finite, times, 0.0) - self.time_zero.value
        reached: Tensor = self.response(rates, after, before, delay)
        if not bool(finite.all()):
            final = stationary_populations(rates, after)
            limit = torch.where((times > 0.0).unsqueeze(-1), final, before)
            reached = torch.where(finite.unsqueeze(-1), reached, limit)
        if self.activation.complete:
            return reached
        fraction = self.activation(at_timepoints).unsqueeze(-1)
        activated: Tensor = before + fraction * (reached - before)
        return activated

    def rate_constants(self) -> dict[str, float]:
        """Rate constant of every transition; inf for impulses."""
        with torch.no_grad():
            finite = self.network.rate_constants().tolist()
        values = dict(zip((step.name for step in self.scheme.finite_steps), finite, strict=True))
        return {name: values.get(name, math.inf) for name in self.scheme.transitions}

    def efficiencies(self) -> dict[str, float]:
        """Efficiency of every transition."""
        values = {name: p.number for name, p in self.network.efficiency_parameters().items()}
        if self.network.impulses is not None:
            values.update(self.network.impulses.values())
        return {name: values[name] for name in self.scheme.transitions}

    def instrument_parameters(self) -> dict[str, ScalarParameter]:
        """``time_zero`` and, if the response has one, ``width``."""
        width = self.response.width
        return ({"width": width} if width is not None else {}) | {"time_zero": self.time_zero}


def unique_parameters(modules: Sequence[nn.Module]) -> list[nn.Parameter]:
    """Parameters of several modules, each once however often it is shared."""
    return list({id(p): p for module in modules for p in module.parameters()}.values())
