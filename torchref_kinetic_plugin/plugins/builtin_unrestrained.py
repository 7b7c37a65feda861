"""Built-in plugin: free occupancies at every timepoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict

from torchref_kinetic_plugin.errors import MappingError, ParameterError, UnknownNameError
from torchref_kinetic_plugin.plugins.hookspecs import hookimpl
from torchref_kinetic_plugin.plugins.provider import ExperimentSchedule, OccupancyProvider

if TYPE_CHECKING:
    from torch import nn


class UnrestrainedSettings(BaseModel):
    """Section ``[unrestrained]``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: dict[str, Annotated[float, Strict(), Field(gt=0.0, lt=1.0)]] | None = Field(
        default=None,
        description="Occupancy of each structure from which every timepoint starts; above 0, summing to 1. "
        "By default all are equal.",
    )


def build_unrestrained(
    settings: UnrestrainedSettings,
    experiments: Sequence[ExperimentSchedule],
    structure_names: Sequence[str],
    seed: int,
) -> list[nn.Module]:
    """Build an `occupancy_unrestrained` for each experiment.

    Raises
    ------
    UnknownNameError, MappingError, ParameterError
        For starting occupancies of an unknown structure, of only some, or that do not sum to 1.
    """
    import torch

    from torchref_kinetic_plugin.occupancies import occupancy_unrestrained

    del seed  # nothing is drawn
    start = None if settings.start is None else _ordered(settings.start, structure_names)
    modules: list[nn.Module] = []
    for experiment in experiments:
        unit = experiment.time_unit
        module = occupancy_unrestrained(
            len(structure_names), experiment.times_in(unit), time_unit=unit, structure_names=structure_names
        )
        if start is not None:
            with torch.no_grad():
                module.logits.copy_(torch.tensor(start, dtype=torch.float64).log().unsqueeze(-1))
        modules.append(module)
    return modules


def _ordered(start: dict[str, float], structure_names: Sequence[str]) -> list[float]:
    for name in start:
        if name not in structure_names:
            raise UnknownNameError("structure", name, structure_names, "start")
    if missing := [name for name in structure_names if name not in start]:
        raise MappingError(f"start misses {', '.join(missing)}; every structure needs an occupancy")
    if abs(total := sum(start.values()) - 1.0) > 1e-6:
        raise ParameterError(f"the occupancies of start sum to {1.0 + total:g}; they must sum to 1")
    return [start[name] for name in structure_names]


@hookimpl
def torchref_kinetic_occupancy_providers() -> list[OccupancyProvider]:
    """Offer ``unrestrained``."""
    return [
        OccupancyProvider(
            "unrestrained",
            UnrestrainedSettings,
            build_unrestrained,
            "every structure's occupancy free at every timepoint",
        )
    ]
