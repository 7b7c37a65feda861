"""The hooks: what a plugin can offer, and the moments of a refinement at which it is called.

A plugin is a module (or any object) whose functions bear the name of a hook and are marked with `hookimpl`. A function
takes as many of the hook's arguments as it needs, by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pluggy

from torchref_kinetic_plugin.plugins.provider import OccupancyProvider
from torchref_kinetic_plugin.plugins.sections import ReportSection

#: Name of the pluggy project, and of the entry-point group of installed plugins.
PROJECT = "torchref_kinetic"
#: How the name of every hook begins.
PREFIX = "torchref_kinetic_"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def torchref_kinetic_occupancy_providers() -> Sequence[OccupancyProvider]:  # type: ignore[empty-body]
    """Offer occupancy providers.

    Called once, when plugins are loaded, also for ``torchref.kinetic plugins``: import what is slow in the factory.

    Returns
    -------
    sequence of OccupancyProvider
        Each under a name that no other plugin uses.
    """


@hookspec
def torchref_kinetic_refinement_started(run: Any) -> None:
    """Learn that a refinement starts, after its input was read and before its first cycle.

    Parameters
    ----------
    run : object
        The refinement; look, do not change.
    """


@hookspec
def torchref_kinetic_cycle_finished(run: Any, cycle: Any) -> None:
    """Learn that a macro-cycle has ended, after its checkpoint was written.

    Parameters
    ----------
    run : object
        The refinement; look, do not change.
    cycle : object
        What the cycle achieved.
    """


@hookspec
def torchref_kinetic_refinement_finished(run: Any, result: Any) -> None:
    """Learn that a refinement has ended, after its result was written.

    Parameters
    ----------
    run : object
        The refinement.
    result : object
        Its result.
    """


@hookspec
def torchref_kinetic_report_sections(result: Any) -> Sequence[ReportSection]:  # type: ignore[empty-body]
    """Add sections to the report, after the program's own.

    Parameters
    ----------
    result : object
        The result of the refinement.

    Returns
    -------
    sequence of ReportSection
        In the order in which they are to appear; may be empty.
    """
