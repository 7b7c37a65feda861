"""Second-order fits of occupancy models to what data say of occupancies, from several starts."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import qmc
from torch import Tensor, nn

from torchref_kinetic_plugin.errors import ParameterError
from torchref_kinetic_plugin.kinetics.parameters import Float64Module
from torchref_kinetic_plugin.kinetics.sensitivity import jacobian, refined_parameters
from torchref_kinetic_plugin.occupancies.covariance import rounding_of
from torchref_kinetic_plugin.occupancies.drawing import drawn_levels
from torchref_kinetic_plugin.occupancies.kinetic import occupancies_kinetics
from torchref_kinetic_plugin.occupancies.unrestrained import occupancy_unrestrained

_log = logging.getLogger(__name__)

Floats = NDArray[np.float64]

#: Longest step of one iteration, in ln of a rate: nearly an order of magnitude.
_LONGEST_STEP = 2.0
#: Parameters that a message lists, at most.
_SHOWN = 8
_MAX_ITERATIONS = 200
#: Largest logit of a free occupancy at which its gradient is still felt.
_INNER_LOGIT = 1.5
#: Costs that differ by less are the same minimum; a start is not needed more once so many agree on the best.
_SAME_COST = 1e-3
_ENOUGH_AGREE = 2


@final
@dataclass(frozen=True, eq=False)
class QuadraticTarget:
    """What data say of occupancies W, as minus their log-likelihood to second order about a centre.

    cost(W) = - gradient . d + d . information d / 2,   d = W - centre, flattened.

    Attributes
    ----------
    centre : Tensor
        (n_structures, n_timepoints) float64.
    gradient : Tensor
        (n,), n = n_structures n_timepoints.
    information : Tensor
        (n, n), symmetric, not negative.
    """

    centre: Tensor
    gradient: Tensor
    information: Tensor

    @classmethod
    def around(cls, occupancies: Tensor, weight: Tensor) -> QuadraticTarget:
        """Independent occupancies, with a weight (inverse standard deviation) each, 0 where there is none."""
        centre = torch.where(weight > 0.0, occupancies, 0.0)
        return cls(centre, torch.zeros(centre.numel(), dtype=centre.dtype), torch.diag((weight**2).flatten()))


@final
@dataclass(frozen=True)
class Minima:
    """What several starts led to.

    Attributes
    ----------
    raw : ndarray
        (n_refined,) raw parameters at the best minimum.
    costs : tuple of float
        Cost that each start reached, in the order of the starts.
    """

    raw: Floats
    costs: tuple[float, ...]

    @property
    def cost(self) -> float:
        """The lowest cost."""
        return min(self.costs)

    @property
    def n_agreeing(self) -> int:
        """Number of starts that reached the best minimum."""
        return sum(cost - self.cost < _SAME_COST for cost in self.costs)


class SecondOrderFit:
    """Cost, gradient and Gauss-Newton Hessian of occupancy models at raw parameters, and the search for its minima.

    Parameters
    ----------
    models : sequence of nn.Module
        Called without arguments each gives occupancies; each has ``get_regularization_loss``. They may share
        parameters. Regularizations of all are added.
    targets : sequence of QuadraticTarget
        One for each model.
    regularization_weight : float
        Factor of the regularization.
    """

    def __init__(
        self, models: Sequence[nn.Module], targets: Sequence[QuadraticTarget], *, regularization_weight: float = 1.0
    ) -> None:
        self._weight = regularization_weight
        self.models = list(models)
        self.targets = list(targets)
        self.parameters: dict[str, nn.Parameter] = {}
        self._columns: list[NDArray[np.intp]] = []
        places: dict[int, NDArray[np.intp]] = {}
        size = 0
        for number, model in enumerate(self.models):
            columns = []
            for name, parameter in refined_parameters(model).items():
                if id(parameter) not in places:
                    places[id(parameter)] = np.arange(size, size + parameter.numel())
                    size += parameter.numel()
                    self.parameters[name if len(self.models) == 1 else f"{number}.{name}"] = parameter
                columns.append(places[id(parameter)])
            self._columns.append(np.concatenate(columns) if columns else np.zeros(0, dtype=np.intp))
        self.size = size
        self._at: Floats | None = None
        self._terms: tuple[float, Floats, Floats] | None = None

    def get(self) -> Floats:
        """Present raw parameters (n_refined,)."""
        if not self.parameters:
            return np.zeros(0)
        flat: Floats = torch.cat([p.detach().flatten() for p in self.parameters.values()]).cpu().numpy().copy()
        return flat

    def set(self, raw: Floats) -> None:
        """Set raw parameters."""
        with torch.no_grad():
            position = 0
            for p in self.parameters.values():
                p.copy_(torch.from_numpy(raw[position : position + p.numel()]).reshape(p.shape))
                position += p.numel()

    def jacobians(self) -> list[tuple[Tensor, Tensor]]:
        """Occupancies (n_structures, n_timepoints) and derivatives (n, n_refined) of each model."""
        result = []
        for model, columns in zip(self.models, self._columns, strict=True):
            value, own = occupancy_jacobian(model)
            slopes = value.new_zeros(value.numel(), self.size)
            slopes[:, columns] = own.reshape(value.numel(), -1)
            result.append((value, slopes))
        return result

    def gradient(self, value: Tensor) -> Floats:
        """Derivatives (n_refined,) of a scalar that was computed from the parameters."""
        return _flat_gradient(value, list(self.parameters.values()), create_graph=False).numpy()

    def terms(self, raw: Floats) -> tuple[float, Floats, Floats]:
        """Cost, gradient (n_refined,) and Hessian (n_refined, n_refined), the last without second derivatives of W.

        Raises
        ------
        ParameterError
            When one of them is not finite.
        """
        if self._terms is None or self._at is None or not np.array_equal(raw, self._at):
            self.set(raw)
            cost, gradient, hessian = self.regularization()
            for target, (value, slopes) in zip(self.targets, self.jacobians(), strict=True):
                d = (value - target.centre).flatten()
                force = target.information @ d
                cost += float(d @ (0.5 * force - target.gradient))
                gradient = gradient + (slopes.T @ (force - target.gradient)).numpy()
                hessian = hessian + (slopes.T @ target.information @ slopes).numpy()
            if not (math.isfinite(cost) and np.isfinite(gradient).all() and np.isfinite(hessian).all()):
                names = ", ".join(dict.fromkeys(type(model).__name__ for model in self.models))
                raise ParameterError(
                    f"{names}: the occupancies, their regularization or their derivatives are not finite numbers at "
                    "the parameters that the fit tried: " + ", ".join(f"{value:.4g}" for value in raw[:_SHOWN])
                )
            self._at, self._terms = raw.copy(), (cost, gradient, hessian)
        return self._terms

    def regularization(self) -> tuple[float, Floats, Floats]:
        """Regularization, its gradient and its Hessian at the present parameters."""
        gradient, hessian = np.zeros(self.size), np.zeros((self.size, self.size))
        loss = self._weight * sum((_loss(model) for model in self.models), start=torch.zeros((), dtype=torch.float64))
        if loss.requires_grad:
            inputs = list(self.parameters.values())
            first = _flat_gradient(loss, inputs, create_graph=True)
            gradient = first.detach().numpy()
            if first.requires_grad:
                rows = [_flat_gradient(entry, inputs, create_graph=False) for entry in first]
                hessian = torch.stack(rows).numpy()
        return float(loss.detach()), gradient, hessian

    def minimize(self, n_starts: int, seed: int, *, gradient_tolerance: float = 1e-7) -> Minima:
        """Search from several starts and leave the parameters at the best minimum.

        The first start is the parameters as they are, the second where the times can observe the rates, the others
        drawn over the observable window (Latin hypercube). It ends when two starts agree on the best minimum.
        """
        best: Floats | None = None
        costs: list[float] = []
        for start in self._starts(n_starts, seed):
            raw, cost = self._descend(start, gradient_tolerance)
            if best is None or cost < min(costs):
                best = raw
            costs.append(cost)
            if sum(cost - min(costs) < _SAME_COST for cost in costs) >= _ENOUGH_AGREE:
                break
        assert best is not None
        self.set(best)
        found = Minima(best, tuple(costs))
        _log.info("%d of %d starts reached the best minimum", found.n_agreeing, len(costs))
        return found

    def newton(self) -> Minima:
        """One step of Newton's from the parameters as they are, which are left where they are.

        Near a minimum it is as good as a search and costs one evaluation.
        """
        here = self.get()
        cost, gradient, hessian = self.terms(here)
        values, vectors = np.linalg.eigh(hessian)
        known = values > rounding_of(values)
        along = vectors[:, known].T @ gradient
        step = -(vectors[:, known] / values[known]) @ along
        step *= min(1.0, _LONGEST_STEP / max(float(np.abs(step).max(initial=0.0)), 1e-300))
        gain = -float(gradient @ step) - 0.5 * float(step @ hessian @ step)
        return Minima(here + step, (cost - gain,))

    def _descend(self, start: Floats, gradient_tolerance: float) -> tuple[Floats, float]:
        if not len(start):
            return start, self.terms(start)[0]
        result = minimize(
            lambda raw: self.terms(raw)[0],
            start,
            jac=lambda raw: self.terms(raw)[1],
            hess=lambda raw: self.terms(raw)[2],
            method="trust-exact",
            options={
                "initial_trust_radius": _LONGEST_STEP / 2.0,
                "max_trust_radius": _LONGEST_STEP * math.sqrt(len(start)),
                "maxiter": _MAX_ITERATIONS,
                "gtol": gradient_tolerance,
            },
        )
        return np.asarray(result.x, dtype=np.float64), float(result.fun)

    def _away_from_ends(self, here: Floats) -> Floats | None:
        """Free occupancies drawn towards each other: at 0 and 1 their gradients vanish, and a search stays there."""
        free = [i for i, model in enumerate(self.models) if isinstance(model, occupancy_unrestrained)]
        if not free:
            return None
        inner = here.copy()
        for number in free:
            inner[self._columns[number]] = np.clip(inner[self._columns[number]], -_INNER_LOGIT, _INNER_LOGIT)
        return inner

    def _starts(self, n_starts: int, seed: int) -> list[Floats]:
        """Raw parameters to start from: those here, free occupancies away from their ends, other rate constants."""
        here = self.get()
        starts = [here]
        inner = self._away_from_ends(here)
        if inner is not None:
            starts.append(inner)
        levels = drawn_levels(model for model in self.models if isinstance(model, occupancies_kinetics))
        if not levels or n_starts == 1:
            return starts if inner is None else starts[: max(2, n_starts)]
        draws = qmc.LatinHypercube(len(levels), seed=seed).random(max(n_starts - 2, 1))
        for draw in [None, *draws][: n_starts - 1]:
            for number, level in enumerate(levels):
                value = level.suggested if draw is None else level.at(float(draw[number]))
                if level.parameter.constraint.problem(value) is None:
                    level.parameter.set(value)
            starts.append(self.get())
        self.set(here)
        return starts


def occupancy_jacobian(model: nn.Module) -> tuple[Tensor, Tensor]:
    """Occupancies of a model and their derivatives in its refined numbers.

    Returns
    -------
    value : Tensor
        (n_structures, n_timepoints), float64, detached.
    derivatives : Tensor
        (n_structures, n_timepoints, n_refined).
    """
    if isinstance(model, Float64Module):
        value, derivatives = jacobian(model)
        return value.cpu(), derivatives.cpu()
    # Of a module that somebody else wrote only the reverse mode can be counted on.
    inputs = list(refined_parameters(model).values())
    output: Tensor = model()
    rows = [_flat_gradient(entry, inputs, create_graph=False) for entry in output.flatten()]
    slopes = torch.stack(rows).to(torch.float64) if inputs else output.new_zeros(output.numel(), 0)
    return output.detach().to("cpu", torch.float64), slopes.cpu().reshape(*output.shape, -1).to(torch.float64)


def _loss(model: nn.Module) -> Tensor:
    loss: Any = model.get_regularization_loss
    value: Tensor = loss()
    return value.to("cpu", torch.float64)


def _flat_gradient(output: Tensor, inputs: list[Any], *, create_graph: bool) -> Tensor:
    if not output.requires_grad or not inputs:
        return torch.cat([torch.zeros(p.numel(), dtype=torch.float64) for p in inputs] or [torch.zeros(0)])
    parts = torch.autograd.grad(
        output, inputs, create_graph=create_graph, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return torch.cat([part.flatten() for part in parts])
