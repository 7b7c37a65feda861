"""Minus the log-likelihood of an experiment's data, with its slopes, while the error model stands still."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Flags
from torchref_kinetic_plugin.refinement.reflection_blocks import summed


@final
@dataclass(frozen=True, eq=False)
class DataSlopes:
    """The loss at a point, on the model's device.

    Attributes
    ----------
    value : Tensor
        A scalar.
    log_likelihood : Tensor
        (n,), of each reflection that counts.
    by_components : Tensor
        (K, H) complex, d/d Re + i d/d Im of the structure factors with solvent.
    by_occupancies, by_scale : Tensor
        (K, N) of the timepoints and (T, p) of the scales' coefficients.
    """

    value: Tensor
    log_likelihood: Tensor
    by_components: Tensor
    by_occupancies: Tensor
    by_scale: Tensor


@final
class DataLoss:
    """Value and slopes, block by block of the reflections: no block is left in memory when the next one's turn comes.

    Once what it depends on has been moved to the model's device nothing is moved, and nothing is waited for, until the
    slopes are there.

    Parameters
    ----------
    model : ExperimentModel
        Of the experiment; its structure factors and scales do not count, those given do.
    chosen : ndarray
        (H,) bool, which reflections count.
    """

    def __init__(self, model: ExperimentModel, chosen: Flags) -> None:
        self._model = model
        device = model.components.device
        self._chosen = [torch.as_tensor(np.flatnonzero(chosen[rows]), device=device) for rows in model.blocks]

    def __call__(self, components: Tensor, occupancies: Tensor, scale: Tensor) -> DataSlopes:
        """Evaluate at structure factors (K, H), occupancies (K, N) and coefficients (T, p); no graph is kept."""
        model = self._model
        given = [each.detach().to(model.components.device) for each in (components, occupancies, scale)]
        inflation = torch.as_tensor(model.nuisances.inflation).to(model.error_design)
        return self._slopes(given[0], given[1], given[2], model.error_variance(), inflation)

    def _slopes(
        self, components: Tensor, occupancies: Tensor, scale: Tensor, variance: Tensor, inflation: Tensor
    ) -> DataSlopes:
        # Where results are written is there before the first block: what a block leaves behind its successors' memory
        # would keep that from being used again.
        by_components = torch.empty_like(components)
        log_likelihood = components.real.new_empty(sum(len(each) for each in self._chosen))
        places = torch.split(log_likelihood, [len(each) for each in self._chosen])

        def parts() -> Iterator[tuple[Tensor, ...]]:
            for number, rows in enumerate(self._model.blocks):
                with torch.enable_grad():
                    at = [each.detach().requires_grad_() for each in (components[:, rows], occupancies, scale)]
                    each = self._of_block(number, at, variance[rows], inflation)
                    value = -each.sum()
                    by_components[:, rows], *others = torch.autograd.grad(value, at)
                places[number].copy_(each.detach())
                yield value.detach(), *others

        value, by_occupancies, by_scale = summed(parts())
        return DataSlopes(value, log_likelihood, by_components, by_occupancies, by_scale)

    def _of_block(self, number: int, at: list[Tensor], variance: Tensor, inflation: Tensor) -> Tensor:
        """Log-likelihood of the reflections of a block that count."""
        model, rows = self._model, self._model.blocks[number]
        mixture = model.mixture(model.with_references(at[1]), components=at[0])
        likelihood = model.likelihood_of(rows).of_each(
            mixture, variance, model.scale_at(at[2], rows), model.inflation_at(inflation, rows)
        )
        return likelihood[self._chosen[number]]
