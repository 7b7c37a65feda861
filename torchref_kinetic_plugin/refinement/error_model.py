"""Updates of what describes the errors, on free reflections alone."""

from __future__ import annotations

import numpy as np
import torch

from torchref_kinetic_plugin.refinement.experiment import Evaluation, ExperimentModel, Floats

#: Standard deviation of the prior on coefficients of ln(inflation): a few hundred free reflections weigh far more.
_INFLATION_SPREAD = 0.5
#: Longest step of a coefficient of a logarithm.
_LONGEST_STEP = 0.7
#: A change of these coefficients below this is none.
SMALL_CHANGE = 0.01


def update_error_model(model: ExperimentModel, evaluation: Evaluation) -> float:
    """Take a scoring step in the variances of the common error and of the measurements.

    Only free reflections are used: on the others a model that was refined against them looks better than it is.

    Parameters
    ----------
    model : ExperimentModel
        Its nuisances are changed.
    evaluation : Evaluation
        At its present state.

    Returns
    -------
    float
        The largest step taken in a coefficient.
    """
    free = torch.as_tensor(model.free, device=model.error_design.device)
    error = _error_step(model, evaluation, free)
    model.nuisances.error += error
    inflation = _inflation_step(model, evaluation, free)
    model.nuisances.inflation += inflation
    return float(max(np.abs(error).max(), np.abs(inflation).max()))


def _error_step(model: ExperimentModel, evaluation: Evaluation, free: torch.Tensor) -> Floats:
    each = evaluation.scores.log_error_variance[free].unsqueeze(1) * model.error_design[free]
    information = (each.T @ each).cpu().numpy()
    # A curvature as of one reflection keeps a term that nothing determines where it is.
    information += np.eye(len(information))
    step: Floats = np.linalg.solve(information, each.sum(0).cpu().numpy())
    return step * min(1.0, _LONGEST_STEP / max(float(np.abs(step).max()), 1e-300))


def _inflation_step(model: ExperimentModel, evaluation: Evaluation, free: torch.Tensor) -> Floats:
    present = model.likelihood.present[:, free]
    design = model.inflation_design[:, free] * present.unsqueeze(2)
    slope = (design * evaluation.scores.log_inflation[:, free].unsqueeze(2)).sum(1).cpu().numpy()
    # The information that a normal error has on ln sigma is 2, whatever it is.
    information = 2.0 * torch.einsum("thi,thj->tij", design, design).cpu().numpy()
    precision = _INFLATION_SPREAD**-2.0
    slope = slope - precision * model.nuisances.inflation
    step = np.linalg.solve(information + precision * np.eye(3), slope[..., None])[..., 0]
    return np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
