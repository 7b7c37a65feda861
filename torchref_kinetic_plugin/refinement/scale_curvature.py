"""Curvature of the log-likelihood in the scales, itself and not its expectation."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats

#: Step of a difference in ln k: small beside what a measurement says, large beside rounding.
_STEP = 3e-3


def scale_curvature(model: ExperimentModel, occupancies: Tensor) -> Floats:
    """Minus the second derivatives of the work log-likelihood in the scales' coefficients.

    Products of scores have it as their expectation, but a few dozen coefficients against some thousand noisy
    reflections are too many for an average: single directions come out up to ten times too flat, and what depends on
    them too uncertain. The likelihood of a reflection depends on its own scales alone, so changing one dataset's scale
    at all reflections at once shows a row of the curvature of each: two evaluations for every dataset.

    Parameters
    ----------
    model : ExperimentModel
        Of an experiment with T datasets and p coefficients for each.
    occupancies : Tensor
        (K, N) of the timepoints.

    Returns
    -------
    ndarray
        (T p, T p), symmetric.
    """
    work = torch.as_tensor(np.flatnonzero(model.work), device=model.components.device)
    mixture = model.mixture(model.with_references(occupancies))
    variance, log_scale, inflation = model.error_variance(), model.log_scale(), model.log_inflation()
    design = model.scale_design[work]
    rows = []
    for dataset in range(len(log_scale)):
        slopes = []
        for step in (_STEP, -_STEP):
            moved = log_scale.clone()
            moved[dataset] += step
            slopes.append(model.likelihood.scores(mixture, variance, moved, inflation).log_scale[:, work])
        curvature = (slopes[1] - slopes[0]) / (2.0 * _STEP)
        rows.append(torch.einsum("un,ni,nj->iuj", curvature, design, design).flatten(1))
    whole = torch.cat(rows).cpu().numpy()
    return np.asarray(0.5 * (whole + whole.T))
