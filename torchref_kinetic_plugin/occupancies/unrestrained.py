"""Occupancies without a model: every structure free at every timepoint."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torchref_kinetic_plugin.errors import ParameterError
from torchref_kinetic_plugin.kinetics.parameters import Float64Module
from torchref_kinetic_plugin.occupancies.times import Times, times_tensor


class occupancy_unrestrained(Float64Module):
    """Free occupancies: softmax over structures at each timepoint.

    Parameters
    ----------
    nstates : int
        Number of structures.
    time : sequence or tensor
        Timepoints (n_timepoints,).
    time_unit : str, optional
        Unit of the times, for text times and axes.
    structure_names : sequence of str, optional
        Names for plots.

    Attributes
    ----------
    logits : nn.Parameter
        (nstates, n_timepoints), float64; zero gives equal occupancies.

    Raises
    ------
    ParameterError
        When ``nstates`` is not a whole number above 0.
    TimeError
        For unusable times.
    """

    time: Tensor

    def __init__(
        self,
        nstates: int,
        time: Times,
        *,
        time_unit: str | None = None,
        structure_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        if not _whole(nstates) or nstates < 1:
            raise ParameterError(f"nstates = {nstates!r}: it must be a whole number above 0")
        if structure_names is not None and len(structure_names) != nstates:
            raise ParameterError(f"structure_names has {len(structure_names)} names for {nstates} structures")
        self.nstates = nstates
        self.time_unit = time_unit
        self.structure_names = tuple(structure_names or (f"structure {i}" for i in range(nstates)))
        self.register_buffer("time", times_tensor(time, time_unit))
        self.logits = nn.Parameter(torch.zeros(nstates, len(self.time), dtype=torch.float64))

    def forward(self) -> Tensor:
        """Occupancies (nstates, n_timepoints), float64; columns sum to 1."""
        return torch.softmax(self.logits, dim=0)

    def get_regularization_loss(self) -> Tensor:
        """Zero: nothing is restrained."""
        return self.logits.new_zeros(())

    def get_parameter_groups(self, base_lr: float = 0.001) -> list[dict[str, Any]]:
        """One optimizer group with all logits."""
        return [{"params": [self.logits], "lr": base_lr, "name": "occupancies"}]

    def plot_occupancies(
        self, path: str | os.PathLike[str], log_scale: bool = False, figsize: tuple[float, float] = (10, 6)
    ) -> None:
        """Plot the occupancies at the timepoints.

        Parameters
        ----------
        path : path
            Picture to write; its suffix chooses the format.
        log_scale : bool
            Whether delays after the trigger are drawn across decades.
        figsize : tuple of float
            Width and height in inches.
        """
        from torchref_kinetic_plugin.occupancies.figures import plot_free_occupancies

        plot_free_occupancies(self, path, log_scale=log_scale, figsize=figsize)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
