"""Fitting a kinetic model to occupancies that were found without it, timepoint by timepoint."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import qmc
from torch import Tensor

from torchref_kinetic_plugin.errors import ParameterError, ShapeError
from torchref_kinetic_plugin.kinetics.sensitivity import jacobian, refined_parameters
from torchref_kinetic_plugin.kinetics.starts import observable_window, starting_rates
from torchref_kinetic_plugin.occupancies.kinetic import occupancies_kinetics

_log = logging.getLogger(__name__)

#: Longest step of one iteration, in ln of a rate: nearly an order of magnitude.
_LONGEST_STEP = 2.0
_MAX_ITERATIONS = 200
#: Costs that differ by less are the same minimum; a start is not needed more once so many agree on the best.
_SAME_COST = 1e-3
_ENOUGH_AGREE = 2
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
        return sum(cost - self.cost < _SAME_COST for cost in self.costs)

    @property
    def standard_errors(self) -> dict[str, float]:
        """Standard error of each raw parameter."""
        return dict(zip(self.names, np.sqrt(np.diag(self.covariance)).tolist(), strict=True))


class _Problem:
    """Cost, gradient and Gauss-Newton Hessian at raw parameters, computed together."""

    def __init__(self, model: occupancies_kinetics, target: Tensor, sigma: Tensor) -> None:
        self.model = model
        self.target = target
        self.weight = torch.where(torch.isnan(target), 0.0, 1.0 / sigma)
        self.parameters = refined_parameters(model)
        self._at: NDArray[np.float64] | None = None
        self._terms: tuple[float, NDArray[np.float64], NDArray[np.float64]] | None = None

    def get(self) -> NDArray[np.float64]:
        return torch.cat([p.detach().flatten() for p in self.parameters.values()]).numpy().copy()

    def set(self, raw: NDArray[np.float64]) -> None:
        with torch.no_grad():
            position = 0
            for p in self.parameters.values():
                p.copy_(torch.from_numpy(raw[position : position + p.numel()]).reshape(p.shape))
                position += p.numel()

    def terms(self, raw: NDArray[np.float64]) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        if self._terms is None or self._at is None or not np.array_equal(raw, self._at):
            self.set(raw)
            value, slopes = jacobian(self.model)
            residual = (torch.nan_to_num(value - self.target) * self.weight).flatten()
            slopes = (slopes * self.weight.unsqueeze(-1)).flatten(0, 1)
            prior, prior_gradient, prior_hessian = self._prior()
            cost = 0.5 * float(residual @ residual) + prior
            gradient = (slopes.T @ residual + prior_gradient).numpy()
            self._at, self._terms = raw.copy(), (cost, gradient, (slopes.T @ slopes + prior_hessian).numpy())
        return self._terms

    def _prior(self) -> tuple[float, Tensor, Tensor]:
        n = sum(p.numel() for p in self.parameters.values())
        loss = self.model.get_regularization_loss()
        gradient, hessian = torch.zeros(n, dtype=torch.float64), torch.zeros(n, n, dtype=torch.float64)
        if loss.requires_grad:
            inputs = list(self.parameters.values())
            first = _flat_gradient(loss, inputs, create_graph=True)
            gradient = first.detach()
            if first.requires_grad:
                hessian = torch.stack([_flat_gradient(entry, inputs, create_graph=False) for entry in first])
        return float(loss.detach()), gradient, hessian


def _flat_gradient(output: Tensor, inputs: list[Any], *, create_graph: bool) -> Tensor:
    if not output.requires_grad:
        return torch.cat([torch.zeros(p.numel(), dtype=torch.float64) for p in inputs])
    parts = torch.autograd.grad(
        output, inputs, create_graph=create_graph, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return torch.cat([part.flatten() for part in parts])


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
    problem = _Problem(model, target, spread)
    if not problem.parameters:
        raise ParameterError("no parameter of the model is refined; unfreeze some")
    best: NDArray[np.float64] | None = None
    costs: list[float] = []
    for start in _starts(problem, n_starts, seed):
        raw, cost = _descend(problem, start)
        if best is None or cost < min(costs):
            best = raw
        costs.append(cost)
        if sum(cost - min(costs) < _SAME_COST for cost in costs) >= _ENOUGH_AGREE:
            break
    assert best is not None
    problem.set(best)
    hessian = problem.terms(best)[2]
    # What the derivatives of all occupancies together leave below their own rounding is not determined.
    floor = target.numel() * (_SLOPE_ROUNDING / float(spread.min())) ** 2
    _log.info("%d of %d starts reached the best minimum", sum(c - min(costs) < _SAME_COST for c in costs), len(costs))
    return CurveFit(min(costs), tuple(costs), _inverse(hessian, floor), tuple(problem.parameters))


def _descend(problem: _Problem, start: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    result = minimize(
        lambda raw: problem.terms(raw)[0],
        start,
        jac=lambda raw: problem.terms(raw)[1],
        hess=lambda raw: problem.terms(raw)[2],
        method="trust-exact",
        options={
            "initial_trust_radius": _LONGEST_STEP / 2.0,
            "max_trust_radius": _LONGEST_STEP * math.sqrt(len(start)),
            "maxiter": _MAX_ITERATIONS,
            "gtol": 1e-7,
        },
    )
    return np.asarray(result.x, dtype=np.float64), float(result.fun)


def _starts(problem: _Problem, n_starts: int, seed: int) -> list[NDArray[np.float64]]:
    """Raw parameters to start from; only rate constants differ from those of the model."""
    model = problem.model
    here = problem.get()
    starts = [here]
    rates = {name: p for name, p in model.kinetics.network.rate_parameters().items() if not p.frozen}
    if not rates or n_starts == 1:
        return starts
    delays = (model.time - model.kinetics.time_zero.number).numpy()
    first, last = observable_window(delays)
    draws = qmc.LatinHypercube(len(rates), seed=seed).random(max(n_starts - 2, 1))
    suggested = starting_rates(model.scheme, delays)
    tables = [suggested]
    tables += [
        {name: 1.0 / (first * (last / first) ** u) for name, u in zip(rates, draw, strict=True)} for draw in draws
    ]
    for table in tables[: n_starts - 1]:
        for name, parameter in rates.items():
            if parameter.constraint.problem(table[name]) is None:
                parameter.set(table[name])
        starts.append(problem.get())
    problem.set(here)
    return starts


def _inverse(hessian: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
    """Inverse of a Hessian; the variance of what has a curvature below ``floor`` is infinite."""
    known = np.diag(hessian) > floor
    covariance = np.diag(np.where(known, 0.0, np.inf))
    part = hessian[np.ix_(known, known)]
    scale = np.sqrt(np.diag(part))
    values, vectors = np.linalg.eigh(part / np.outer(scale, scale))
    if values.size and values[0] <= len(values) * np.finfo(float).eps * values[-1]:
        # Only combinations are determined; which ones is a question for the identifiability analysis.
        return np.diag(np.full(len(hessian), np.inf))
    covariance[np.ix_(known, known)] = (vectors / values) @ vectors.T / np.outer(scale, scale)
    return covariance
