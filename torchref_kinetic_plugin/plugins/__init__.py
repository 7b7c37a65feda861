"""Plugins: the hooks, who implements them, and the built-in occupancy providers."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torchref_kinetic_plugin.plugins.checking import require_valid_occupancies
    from torchref_kinetic_plugin.plugins.hookspecs import hookimpl
    from torchref_kinetic_plugin.plugins.manager import PluginManager
    from torchref_kinetic_plugin.plugins.plugin_errors import (
        DuplicateProviderError,
        OccupancyError,
        PluginError,
        PluginLoadError,
    )
    from torchref_kinetic_plugin.plugins.plugin_record import PluginRecord
    from torchref_kinetic_plugin.plugins.provider import (
        ExperimentSchedule,
        KnowsReference,
        OccupancyModule,
        OccupancyProvider,
    )
    from torchref_kinetic_plugin.plugins.sections import ReportSection
    from torchref_kinetic_plugin.plugins.series import SeriesOccupancies

#: Where each name lives; imported on first use, so that plugins are listed without torch.
_PUBLIC = {
    "DuplicateProviderError": "plugin_errors",
    "ExperimentSchedule": "provider",
    "KnowsReference": "provider",
    "OccupancyError": "plugin_errors",
    "OccupancyModule": "provider",
    "OccupancyProvider": "provider",
    "PluginError": "plugin_errors",
    "PluginLoadError": "plugin_errors",
    "PluginManager": "manager",
    "PluginRecord": "plugin_record",
    "ReportSection": "sections",
    "SeriesOccupancies": "series",
    "hookimpl": "hookspecs",
    "require_valid_occupancies": "checking",
}

__all__ = [
    "DuplicateProviderError",
    "ExperimentSchedule",
    "KnowsReference",
    "OccupancyError",
    "OccupancyModule",
    "OccupancyProvider",
    "PluginError",
    "PluginLoadError",
    "PluginManager",
    "PluginRecord",
    "ReportSection",
    "SeriesOccupancies",
    "hookimpl",
    "require_valid_occupancies",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"torchref_kinetic_plugin.plugins.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
