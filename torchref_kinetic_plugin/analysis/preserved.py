"""Fits that leave no trace: models and provider as they were, whatever happens in between."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from torchref_kinetic_plugin.refinement.experiment import ExperimentModel


@contextlib.contextmanager
def preserved(models: Sequence[ExperimentModel], provider: nn.Module | None = None) -> Iterator[None]:
    """Restore scales and error models, and the parameters of a provider, to the last bit on leaving."""
    nuisances = [model.nuisances for model in models]
    designs = [model.strength for model in models]
    parameters = [] if provider is None else list(provider.parameters())
    values = [parameter.detach().clone() for parameter in parameters]
    for model in models:
        model.nuisances = model.nuisances.copy()
    try:
        yield
    finally:
        for model, kept, design in zip(models, nuisances, designs, strict=True):
            model.nuisances, model.strength = kept, design
        with torch.no_grad():
            for parameter, value in zip(parameters, values, strict=True):
                parameter.copy_(value)
