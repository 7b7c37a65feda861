"""Updates of what describes the errors, on free reflections alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import block_diag
from torch import Tensor

from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats

#: Standard deviation of the prior on coefficients of ln(inflation): a few hundred free reflections weigh far more.
_INFLATION_SPREAD = 0.5
#: Longest step of coefficients of a logarithm.
_LONGEST_STEP = 1.5
#: Score of a reflection on the logarithm of the common error's variance beyond which it counts for less in the
#: curvature. At the best variance few are beyond; far from it a few large ones would make every step too short.
_LARGEST_SCORE = 4.0
#: A change of these coefficients below this is none.
SMALL_CHANGE = 0.01
_MAX_ROUNDS = 12


def settle_error_model(model: ExperimentModel, occupancies: Tensor, small: float = SMALL_CHANGE) -> float:
    """Fit the variances of the common error and of the measurements, by scoring steps until they stand still.

    Only free reflections are used: on the others a model that was refined against them looks better than it is.

    Parameters
    ----------
    model : ExperimentModel
        Its nuisances are changed.
    occupancies : Tensor
        (K, N) of the timepoints.
    small : float
        Step of the coefficients at which they stand still.

    Returns
    -------
    float
        How far the coefficient that moved most has moved in all.
    """
    before = model.nuisances.copy()
    for _ in range(_MAX_ROUNDS):
        terms = _Terms.at(model, occupancies, largest_score=_LARGEST_SCORE)
        error, inflation = terms.error_step(), terms.inflation_step(model.nuisances.inflation)
        model.nuisances.error = model.nuisances.error + error
        model.nuisances.inflation = model.nuisances.inflation + inflation
        if max(np.abs(error).max(), np.abs(inflation).max()) < small:
            break
    after = model.nuisances
    return float(max(np.abs(after.error - before.error).max(), np.abs(after.inflation - before.inflation).max()))


def error_model_covariance(model: ExperimentModel, occupancies: Tensor) -> Floats:
    """Covariance (q + 3 T, q + 3 T) of the error model's coefficients, from the free reflections that it is fitted to.

    The common error's come first, then three of each dataset's inflation. Each group is as of its own fit.
    """
    terms = _Terms.at(model, occupancies)
    return np.asarray(block_diag(np.linalg.inv(terms.error_information), *np.linalg.inv(terms.inflation_information)))


@dataclass(frozen=True, eq=False)
class _Terms:
    """Slopes and information of the coefficients, summed over the free reflections.

    Of the common error's variance (q,) and (q, q), of the inflation (T, 3) and (T, 3, 3); the prior's precision is in
    the information.
    """

    error_slope: Floats
    error_information: Floats
    inflation_slope: Floats
    inflation_information: Floats

    @classmethod
    def at(cls, model: ExperimentModel, occupancies: Tensor, largest_score: float = math.inf) -> _Terms:
        q, (n_datasets, width) = len(model.nuisances.error), model.nuisances.inflation.shape
        zeros = model.error_design.new_zeros
        error_slope, error_information = zeros(q), zeros(q, q)
        slope, information = zeros(n_datasets, width), zeros(n_datasets, width, width)
        for rows, scores in model.free_parts(occupancies):
            error_slope += scores.log_error_variance @ model.error_design[rows]
            each = scores.log_error_variance.clamp(max=largest_score).unsqueeze(1) * model.error_design[rows]
            error_information += each.T @ each
            design = model.inflation_design(rows) * model.present(rows).unsqueeze(2)
            slope += (design * scores.log_inflation.unsqueeze(2)).sum(1)
            # The information that a normal error has on ln sigma is 2, whatever it is.
            information += 2.0 * torch.einsum("thi,thj->tij", design, design)
        return cls(
            error_slope.cpu().numpy(),
            # A curvature as of one reflection keeps a term that nothing determines where it is.
            error_information.cpu().numpy() + np.eye(q),
            slope.cpu().numpy(),
            information.cpu().numpy() + _INFLATION_SPREAD**-2.0 * np.eye(width),
        )

    def error_step(self) -> Floats:
        step = np.linalg.solve(self.error_information, self.error_slope)
        return np.asarray(step * min(1.0, _LONGEST_STEP / max(float(np.abs(step).max()), 1e-300)))

    def inflation_step(self, inflation: Floats) -> Floats:
        slope = self.inflation_slope - _INFLATION_SPREAD**-2.0 * inflation
        step = np.linalg.solve(self.inflation_information, slope[..., None])[..., 0]
        return np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
