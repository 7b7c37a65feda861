"""Saving and loading: settings, parameters and what is frozen, as plain values and tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from torchref_kinetic_plugin.errors import StateError, closest_match, listing

#: Version of the layout; raised when a saved state of before cannot be read any more.
STATE_VERSION = 1


def save(kind: str, settings: Mapping[str, Any], model: nn.Module) -> dict[str, Any]:
    """Pack a model.

    Parameters
    ----------
    kind : str
        Name of the class.
    settings : mapping
        Arguments that build it anew, plain values only.
    model : nn.Module
        Whose parameters are saved, with which of them are frozen.

    Returns
    -------
    dict
        Plain values and tensors: ``torch.load(..., weights_only=True)`` reads it back.
    """
    parameters = dict(model.named_parameters())
    return {
        "version": STATE_VERSION,
        "model": kind,
        "settings": dict(settings),
        "parameters": {name: p.detach().clone() for name, p in parameters.items()},
        "frozen": [name for name, p in parameters.items() if not p.requires_grad],
    }


def check(kind: str, state: Mapping[str, Any]) -> None:
    """Refuse a state of another version or class, or one with parts missing.

    Raises
    ------
    StateError
        Saying which.
    """
    parts = ("version", "model", "settings", "parameters", "frozen")
    if "version" not in state:
        raise StateError(f"this is not a saved state of {kind}: it has no version")
    if state["version"] != STATE_VERSION:
        raise StateError(
            f"the saved state has version {state['version']!r}; this program reads version {STATE_VERSION}. Load it "
            "with the program that wrote it and save the parameters as numbers"
        )
    if missing := [part for part in parts if part not in state]:
        raise StateError(f"the saved state is incomplete: {', '.join(missing)} missing")
    if state["model"] != kind:
        raise StateError(f"the saved state is of {state['model']!r}, not of {kind!r}")


def restore(model: nn.Module, state: Mapping[str, Any]) -> None:
    """Copy saved parameters and freezing into a model built from the same settings.

    Raises
    ------
    StateError
        When the parameters are not the model's.
    """
    parameters = dict(model.named_parameters())
    saved: Mapping[str, Tensor] = state["parameters"]
    for name in saved:
        if name not in parameters:
            raise StateError(f"unknown saved parameter {name!r}{closest_match(name, parameters)}")
    for name, parameter in parameters.items():
        if name not in saved:
            raise StateError(f"the saved state has no parameter {name!r}; it has {listing(saved)}")
        if saved[name].shape != parameter.shape:
            raise StateError(
                f"saved parameter {name!r} has shape {tuple(saved[name].shape)}, not {tuple(parameter.shape)}"
            )
        with torch.no_grad():
            parameter.copy_(saved[name])
    set_frozen(model, state["frozen"])


def frozen_names(model: nn.Module) -> list[str]:
    """Names of the parameters left out of refinement."""
    return [name for name, p in model.named_parameters() if not p.requires_grad]


def set_frozen(model: nn.Module, names: list[str]) -> None:
    """Freeze exactly the named parameters."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in names)


def require_same(kind: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Refuse to load parameters into a model of other settings.

    Raises
    ------
    StateError
        Naming the first setting that differs.
    """
    for key, value in mine.items():
        if key not in theirs or theirs[key] != value:
            raise StateError(
                f"the saved state has {key} = {theirs.get(key)!r}, this model {value!r}; build it from the state with "
                f"{kind}.load_from_kinetics_state"
            )
