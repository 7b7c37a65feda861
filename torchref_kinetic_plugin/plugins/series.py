"""The occupancies of all experiments of a run, as one module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from torchref_kinetic_plugin.plugins.checking import (
    require_valid_groups,
    require_valid_occupancies,
    require_valid_reference,
    require_valid_regularization,
)
from torchref_kinetic_plugin.plugins.plugin_errors import OccupancyError
from torchref_kinetic_plugin.plugins.provider import ExperimentSchedule, KnowsReference, OccupancyProvider


class SeriesOccupancies(nn.Module):
    """The modules that a provider built, one for each experiment, checked against the contract.

    Parameters
    ----------
    modules : list of nn.Module
        What the provider's factory gave.
    experiments : sequence of ExperimentSchedule
        The experiments, in the same order.
    n_structures : int
        Number of structures.
    provider : OccupancyProvider
        Who built them.
    plugin : str
        Whose provider it is.

    Attributes
    ----------
    modules_by_experiment : nn.ModuleList
        The module of each experiment; parameters may be shared between them.
    names : tuple of str
        Names of the experiments.
    regularization_weight : float
        Factor of all regularization; 1 unless it is set.

    Raises
    ------
    OccupancyError
        For whatever does not keep to the contract.
    """

    def __init__(
        self,
        modules: object,
        experiments: Sequence[ExperimentSchedule],
        n_structures: int,
        provider: OccupancyProvider,
        plugin: str,
    ) -> None:
        super().__init__()
        self.regularization_weight = 1.0
        self.provider = provider.name
        self.plugin = plugin
        self.names = tuple(experiment.name for experiment in experiments)
        if not isinstance(modules, list | tuple) or len(modules) != len(experiments):
            given = f"{len(modules)} modules" if isinstance(modules, list | tuple) else f"a {type(modules).__name__}"
            raise OccupancyError(
                plugin,
                f"provider {provider.name!r}: its factory gives {given}; a list of one module for each of "
                f"{len(experiments)} experiments is wanted",
            )
        for module, experiment in zip(modules, experiments, strict=True):
            require_valid_occupancies(module, n_structures, len(experiment.times), provider.name, plugin)
            if isinstance(module, KnowsReference):
                require_valid_reference(module, n_structures, provider.name, plugin)
        self.modules_by_experiment = nn.ModuleList(modules)
        # Asked once here, so that a parameter left out is told before the refinement and not after.
        self.get_parameter_groups()
        self.get_regularization_loss()

    def forward(self) -> list[Tensor]:
        """Occupancies of each experiment, (n_structures, n_timepoints) each."""
        return [module() for module in self.modules_by_experiment]

    def get_regularization_loss(self) -> Tensor:
        """Sum of the regularization of all modules, weighted, a float64 scalar."""
        terms = [
            require_valid_regularization(module, self.provider, self.plugin).to(torch.float64)
            for module in self.modules_by_experiment
        ]
        return self.regularization_weight * torch.stack(terms).sum()

    def get_parameter_groups(self, base_lr: float = 0.001) -> list[dict[str, Any]]:
        """Optimizer groups over all experiments, those of one name joined, a shared parameter once."""
        joined: dict[str, dict[str, Any]] = {}
        seen: set[int] = set()
        for module in self.modules_by_experiment:
            for group in require_valid_groups(module, base_lr, self.provider, self.plugin):
                into = joined.setdefault(group["name"], {**group, "params": []})
                into["params"] += [parameter for parameter in group["params"] if id(parameter) not in seen]
                seen.update(id(parameter) for parameter in group["params"])
        return [group for group in joined.values() if group["params"]]
