"""Analyses that move parameters and leave everything as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel


@contextmanager
def unchanged(models: Sequence[ExperimentModel], provider: SeriesOccupancies) -> Iterator[None]:
    """Put back a provider's raw parameters and the models' nuisances, to the bit, however the block ends."""
    parameters = [(each, each.detach().clone()) for each in provider.parameters()]
    nuisances = [(model, model.nuisances, model.strength) for model in models]
    for model in models:
        model.nuisances = model.nuisances.copy()
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in parameters:
                parameter.copy_(value)
        for model, before, design in nuisances:
            model.nuisances, model.strength = before, design
