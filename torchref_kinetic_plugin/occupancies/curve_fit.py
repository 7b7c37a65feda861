"""Fitting a kinetic model to occupancies that were found without it, timepoint by timepoint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchref_kinetic_plugin.errors import ParameterError, ShapeError
from torchref_kinetic_plugin.occupancies.covariance import covariance_of
from torchref_kinetic_plugin.occupancies.kinetic import occupancies_kinetics
from torchref_kinetic_plugin.occupancies.second_order import Minima, QuadraticTarget, SecondOrderFit

#: Absolute rounding of the derivative of an occupancy.
_SLOPE_ROUNDING = 1e-12


@dataclass(frozen=True)
class CurveFit:
    """Result of `fit_occupancies`.

    Attributes
    ----------
    cost : float
        Half the sum of squared residuals over their sigma, plus the priors, at the best minimum.
    costs : tuple of float
        Cost that each start reached, in the order of the starts.
    covariance : ndarray
        (n_refined, n_refined) of the raw parameters (ln k, logit eta, ...), the inverse of the
        Gauss-Newton Hessian; variances are infinite where the data do not determine them.
    names : tuple of str
        Names of the refined parameters, in the order of the covariance.
    """

    cost: float
    costs: tuple[float, ...]
    covariance: NDArray[np.float64]
    names: tuple[str, ...]

    @property
    def n_agreeing(self) -> int:
        """Number of starts that reached the best minimum."""
        return Minima(np.zeros(0), self.costs).n_agreeing

    @property
    def standard_errors(self) -> dict[str, float]:
        """Standard error of each raw parameter."""
        return dict(zip(self.names, np.sqrt(np.diag(self.covariance)).tolist(), strict=True))


def fit_occupancies(
    model: occupancies_kinetics,
    target_occupancies: Tensor,
    sigma: float | Tensor = 1.0,
    *,
    n_starts: int = 8,
    seed: int = 0,
) -> CurveFit:
    """Fit the refined parameters of a model to occupancies, by second-order steps from several starts.

    The first start is the model as it is, the second where the times can observe the rates, the others
    drawn over the observable window (Latin hypercube). It ends when two starts agree on the best minimum.
    A rate that starts far outside the window leaves no trace in the occupancies, so one start is not enough.

    Parameters
    ----------
    model : occupancies_kinetics
        Its refined parameters are set to the best minimum.
    target_occupancies : Tensor
        (n_structures, n_timepoints); NaN where there is none.
    sigma : float or Tensor
        Standard deviation of the occupancies, one or as many.
    n_starts : int
        Largest number of starts.
    seed : int
        Of the drawn starts.

    Returns
    -------
    CurveFit

    Raises
    ------
    ShapeError
        When the target has another shape.
    ParameterError
        When sigma is not above 0, nothing is refined, or ``n_starts`` is below 1.
    """
    target = torch.as_tensor(target_occupancies, dtype=torch.float64)
    expected = (model.nstates, len(model.time))
    if tuple(target.shape) != expected:
        raise ShapeError(f"target_occupancies have shape {tuple(target.shape)}; {expected} is wanted")
    spread = torch.as_tensor(sigma, dtype=torch.float64).expand(target.shape)
    if not bool((spread > 0.0).all()):
        raise ParameterError("sigma must be above 0 everywhere")
    if n_starts < 1:
        raise ParameterError(f"n_starts = {n_starts}: it must be 1 or above")
    weight = torch.where(torch.isnan(target), 0.0, 1.0 / spread)
    fit = SecondOrderFit([model], [QuadraticTarget.around(target, weight)])
    if not fit.parameters:
        raise ParameterError("no parameter of the model is refined; unfreeze some")
    minima = fit.minimize(n_starts, seed)
    hessian = fit.terms(minima.raw)[2]
    # What the derivatives of all occupancies together leave below their own rounding is not determined.
    floor = target.numel() * (_SLOPE_ROUNDING / float(spread.min())) ** 2
    return CurveFit(minima.cost, minima.costs, covariance_of(hessian, floor), tuple(fit.parameters))
