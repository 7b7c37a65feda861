"""The plugin: what it offers, and the moments of a refinement at which it is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torchref_kinetic_plugin.errors import MappingError
from torchref_kinetic_plugin.plugins import ExperimentSchedule, OccupancyProvider, ReportSection, hookimpl
from torchref_stretched.settings import StretchedSettings

if TYPE_CHECKING:
    from torch import nn


def build_stretched(
    settings: StretchedSettings,
    experiments: Sequence[ExperimentSchedule],
    structure_names: Sequence[str],
    seed: int,
) -> list[nn.Module]:
    """Build a module for each experiment; shared parameters are those of the first.

    Raises
    ------
    MappingError
        For anything else than two structures.
    """
    from torchref_stretched.occupancies import StretchedRelaxation

    del seed  # nothing is drawn
    if len(structure_names) != 2:
        raise MappingError(
            f'occupancy = "stretched" needs two structures, the one before the trigger first, not '
            f"{len(structure_names)}: {', '.join(structure_names)}"
        )
    modules: list[StretchedRelaxation] = []
    for experiment in experiments:
        modules.append(StretchedRelaxation(settings, experiment.times, modules[0] if modules else None))
    return list(modules)


@hookimpl
def torchref_kinetic_occupancy_providers() -> list[OccupancyProvider]:
    """Offer ``stretched``."""
    return [
        OccupancyProvider(
            "stretched", StretchedSettings, build_stretched, "one structure relaxes as a stretched exponential"
        )
    ]


@hookimpl
def torchref_kinetic_refinement_started(run: Any) -> None:
    """Begin the table of the history."""
    from torchref_stretched.report import begin_history

    begin_history(run)


@hookimpl
def torchref_kinetic_cycle_finished(run: Any) -> None:
    """Add what a macro-cycle led to; the hook's other argument is not needed, and left out."""
    from torchref_stretched.report import add_to_history

    add_to_history(run, "cycle")


@hookimpl
def torchref_kinetic_refinement_finished(run: Any) -> None:
    """Add the last values."""
    from torchref_stretched.report import add_to_history

    add_to_history(run, "end")


@hookimpl
def torchref_kinetic_report_sections(result: Any) -> list[ReportSection]:
    """Give the section of the report."""
    from torchref_stretched.report import sections

    return sections(result)
