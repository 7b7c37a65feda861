"""Occupancies that do not change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from torchref_kinetic_plugin.kinetics.parameters import Float64Module


class ConstantOccupancies(Float64Module):
    """Occupancies without parameters.

    Parameters
    ----------
    occupancies : sequence of sequence of float
        (n_structures, n_timepoints); columns sum to 1.
    """

    occupancies: Tensor

    def __init__(self, occupancies: Sequence[Sequence[float]]) -> None:
        super().__init__()
        values = torch.tensor(occupancies, dtype=torch.float64)
        # What the user's sum lacks of 1 in its last digits would be missing from the structure factors.
        self.register_buffer("occupancies", values / values.sum(dim=0))

    def forward(self) -> Tensor:
        """Occupancies (n_structures, n_timepoints), float64."""
        return self.occupancies

    def get_regularization_loss(self) -> Tensor:
        """Zero: nothing is restrained."""
        return self.occupancies.new_zeros(())

    def get_parameter_groups(self, base_lr: float = 0.001) -> list[dict[str, Any]]:
        """No groups, at any learning rate: there are no parameters."""
        del base_lr
        return []
