"""The only room that imports TorchRef: structures to structure factors, datasets to one grid and one scale."""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "AbsoluteScale": "absolute_scale",
    "AnisotropicScales": "anisotropy",
    "Crystal": "crystal",
    "ScaleForm": "anisotropy",
    "StructureFactorBank": "structure_factors",
    "fit_absolute_scale": "absolute_scale",
    "fit_relative_scales": "relative_scale",
    "fit_scales_to_model": "model_scale",
    "with_solvent": "solvent",
}

__all__ = sorted(_HOME)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
