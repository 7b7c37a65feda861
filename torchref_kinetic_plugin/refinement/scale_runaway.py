"""Scales that leave those of the structures: then the common error stands for everything, and the model for nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from torchref_kinetic_plugin.refinement.experiment import ExperimentModel

#: Factor on an amplitude, up or down, beyond which its scale is no longer that of the structures. Scales refined
#: against enough data change by a few percent.
_LARGEST_FACTOR = 10.0


def scales_ran_off(models: Iterable[ExperimentModel]) -> bool:
    """Whether the refined scale of any dataset has left that of the structures at any reflection."""
    return any(_ran_off(model) for model in models)


def scale_remarks(models: Iterable[ExperimentModel]) -> list[str]:
    """Of each experiment whose scales ran off, what that means and what helps."""
    return [
        f"{model.data.name}: scales left those of the structures by a factor of {_LARGEST_FACTOR:.0f} and more, and "
        f"the fit was stopped. {int(model.work.sum())} work and {int(model.free.sum())} free reflections do not hold "
        f"{model.nuisances.scale.size} coefficients of scales and an error model; what came out is of no use. Take "
        'data to higher resolution, more free reflections, or leave "scale" out of refine'
        for model in models
        if _ran_off(model)
    ]


def _ran_off(model: ExperimentModel) -> bool:
    change = torch.as_tensor(model.nuisances.scale) @ model.scale_design.cpu().T
    return bool((change.abs() > math.log(_LARGEST_FACTOR)).any())
