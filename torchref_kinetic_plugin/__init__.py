"""Kinetic refinement of time-resolved crystallographic series with TorchRef."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torchref_kinetic_plugin.campaign.running import run_campaign
    from torchref_kinetic_plugin.occupancies import (
        occupancies_kinetics,
        occupancies_kinetics_multiexperiment,
        occupancy_unrestrained,
    )
    from torchref_kinetic_plugin.workflow.checking import check
    from torchref_kinetic_plugin.workflow.comparing import compare
    from torchref_kinetic_plugin.workflow.profiling import profile
    from torchref_kinetic_plugin.workflow.refining import refine
    from torchref_kinetic_plugin.workflow.resampling import bootstrap, starts
    from torchref_kinetic_plugin.workflow.simulating import simulate

__version__ = "0.1.0"

#: Where each public name lives; imported on first use, so that importing the package costs nothing.
_PUBLIC = {
    "bootstrap": "torchref_kinetic_plugin.workflow.resampling",
    "check": "torchref_kinetic_plugin.workflow.checking",
    "compare": "torchref_kinetic_plugin.workflow.comparing",
    "occupancies_kinetics": "torchref_kinetic_plugin.occupancies",
    "occupancies_kinetics_multiexperiment": "torchref_kinetic_plugin.occupancies",
    "occupancy_unrestrained": "torchref_kinetic_plugin.occupancies",
    "profile": "torchref_kinetic_plugin.workflow.profiling",
    "refine": "torchref_kinetic_plugin.workflow.refining",
    "run_campaign": "torchref_kinetic_plugin.campaign.running",
    "simulate": "torchref_kinetic_plugin.workflow.simulating",
    "starts": "torchref_kinetic_plugin.workflow.resampling",
}

__all__ = [
    "bootstrap",
    "check",
    "compare",
    "occupancies_kinetics",
    "occupancies_kinetics_multiexperiment",
    "occupancy_unrestrained",
    "profile",
    "refine",
    "run_campaign",
    "simulate",
    "starts",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
