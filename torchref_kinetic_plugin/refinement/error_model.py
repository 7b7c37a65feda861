"""Updates of what describes the errors, on free reflections alone."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import block_diag
from torch import Tensor

from torchref_kinetic_plugin.refinement.common_error import Scores
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats

#: Standard deviation of the prior on coefficients of ln(inflation): a few hundred free reflections weigh far more.
_INFLATION_SPREAD = 0.5
#: Longest step of a coefficient of a logarithm.
_LONGEST_STEP = 0.7
#: A change of these coefficients below this is none.
SMALL_CHANGE = 0.01
_MAX_ROUNDS = 12


def settle_error_model(model: ExperimentModel, occupancies: Tensor) -> float:
    """Fit the variances of the common error and of the measurements, by scoring steps until they stand still.

    Only free reflections are used: on the others a model that was refined against them looks better than it is.

    Parameters
    ----------
    model : ExperimentModel
        Its nuisances are changed.
    occupancies : Tensor
        (K, N) of the timepoints.

    Returns
    -------
    float
        How far the coefficient that moved most has moved in all.
    """
    before = model.nuisances.copy()
    for _ in range(_MAX_ROUNDS):
        scores = model.free_scores(occupancies)
        error = _error_step(model, scores)
        inflation = _inflation_step(model, scores)
        model.nuisances.error = model.nuisances.error + error
        model.nuisances.inflation = model.nuisances.inflation + inflation
        if max(np.abs(error).max(), np.abs(inflation).max()) < SMALL_CHANGE:
            break
    after = model.nuisances
    return float(max(np.abs(after.error - before.error).max(), np.abs(after.inflation - before.inflation).max()))


def error_model_covariance(model: ExperimentModel, occupancies: Tensor) -> Floats:
    """Covariance (q + 3 T, q + 3 T) of the error model's coefficients, from the free reflections that it is fitted to.

    The common error's come first, then three of each dataset's inflation. Each group is as of its own fit.
    """
    scores = model.free_scores(occupancies)
    _, information = _error_terms(model, scores)
    _, inflation = _inflation_terms(model)
    return np.asarray(block_diag(np.linalg.inv(information), *np.linalg.inv(inflation)))


def _error_step(model: ExperimentModel, scores: Scores) -> Floats:
    slope, information = _error_terms(model, scores)
    step = np.linalg.solve(information, slope)
    return np.asarray(step * min(1.0, _LONGEST_STEP / max(float(np.abs(step).max()), 1e-300)))


def _error_terms(model: ExperimentModel, scores: Scores) -> tuple[Floats, Floats]:
    """Slope (q,) and information (q, q) of the coefficients of the common error's variance."""
    each = scores.log_error_variance.unsqueeze(1) * model.error_design[model.free_rows]
    information = (each.T @ each).cpu().numpy()
    # A curvature as of one reflection keeps a term that nothing determines where it is.
    return each.sum(0).cpu().numpy(), information + np.eye(len(information))


def _inflation_step(model: ExperimentModel, scores: Scores) -> Floats:
    design, information = _inflation_terms(model)
    slope = (design * scores.log_inflation.unsqueeze(2)).sum(1).cpu().numpy()
    slope = slope - _INFLATION_SPREAD**-2.0 * model.nuisances.inflation
    step = np.linalg.solve(information, slope[..., None])[..., 0]
    return np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)


def _inflation_terms(model: ExperimentModel) -> tuple[Tensor, Floats]:
    """Design (T, n_free, 3) of the measured, and information (T, 3, 3) with the prior's precision."""
    rows = model.free_rows
    design = model.inflation_design[:, rows] * model.likelihood.present[:, rows].unsqueeze(2)
    # The information that a normal error has on ln sigma is 2, whatever it is.
    information = 2.0 * torch.einsum("thi,thj->tij", design, design).cpu().numpy()
    return design, information + _INFLATION_SPREAD**-2.0 * np.eye(3)
