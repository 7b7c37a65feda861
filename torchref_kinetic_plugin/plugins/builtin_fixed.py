"""Built-in plugin: occupancies as given, never refined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict

from torchref_kinetic_plugin.errors import MappingError, ParameterError, ShapeError, UnknownNameError
from torchref_kinetic_plugin.plugins.hookspecs import hookimpl
from torchref_kinetic_plugin.plugins.provider import ExperimentSchedule, OccupancyProvider

if TYPE_CHECKING:
    from torch import nn

Occupancy = Annotated[float, Strict(), Field(ge=0.0, le=1.0)]
#: How far a sum of given occupancies may be from 1: rounding of the program, not of the user.
_SUM_TOLERANCE = 1e-6


class FixedSettings(BaseModel):
    """Section ``[fixed]``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    occupancies: dict[str, dict[str, Occupancy | list[Occupancy]]] = Field(
        description="Experiment to structure to occupancy: one number for all timepoints, or a list with one for "
        "each, in the order of the timepoints. One structure may be left out and takes what the others leave.",
    )


def build_fixed(
    settings: FixedSettings,
    experiments: Sequence[ExperimentSchedule],
    structure_names: Sequence[str],
    seed: int,
) -> list[nn.Module]:
    """Build a module without parameters for each experiment.

    Raises
    ------
    UnknownNameError, MappingError, ShapeError, ParameterError
        For an unknown experiment or structure, one left out, a list of another length, or a sum that is not 1.
    """
    from torchref_kinetic_plugin.plugins.constant_occupancies import ConstantOccupancies

    del seed  # nothing is drawn
    names = [experiment.name for experiment in experiments]
    for name in settings.occupancies:
        if name not in names:
            raise UnknownNameError("experiment", name, names, "occupancies")
    if missing := [name for name in names if name not in settings.occupancies]:
        raise MappingError(f"occupancies misses the experiments {', '.join(missing)}")
    return [
        ConstantOccupancies(
            _rows(settings.occupancies[experiment.name], structure_names, len(experiment.times), experiment.name)
        )
        for experiment in experiments
    ]


def _rows(
    given: Mapping[str, float | list[float]], structure_names: Sequence[str], n_timepoints: int, experiment: str
) -> list[list[float]]:
    """Occupancies (n_structures, n_timepoints) of one experiment."""
    where = f"occupancies of experiment {experiment!r}"
    rows: dict[str, list[float]] = {}
    for name, values in given.items():
        if name not in structure_names:
            raise UnknownNameError("structure", name, structure_names, where)
        rows[name] = list(values) if isinstance(values, list) else [values] * n_timepoints
        if len(rows[name]) != n_timepoints:
            raise ShapeError(f"{where}: {name} has {len(rows[name])} for {n_timepoints} timepoints")
    missing = [name for name in structure_names if name not in rows]
    if len(missing) > 1:
        raise MappingError(f"{where} misses {', '.join(missing)}; one structure at most may be left to take the rest")
    totals = [sum(column) for column in zip(*rows.values(), strict=True)] if rows else [0.0] * n_timepoints
    for number, total in enumerate(totals, start=1):
        if total > 1.0 + _SUM_TOLERANCE or (not missing and total < 1.0 - _SUM_TOLERANCE):
            raise ParameterError(f"{where} sum to {total:g} at timepoint {number}; they must sum to 1")
    for name in missing:
        rows[name] = [max(0.0, 1.0 - total) for total in totals]
    return [rows[name] for name in structure_names]


@hookimpl
def torchref_kinetic_occupancy_providers() -> list[OccupancyProvider]:
    """Offer ``fixed``."""
    return [OccupancyProvider("fixed", FixedSettings, build_fixed, "occupancies as given, never refined")]
