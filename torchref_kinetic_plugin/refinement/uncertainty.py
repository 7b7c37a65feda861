"""Covariance of a provider's parameters, from the curvature of the likelihood of all data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from torchref_kinetic_plugin.occupancies.covariance import covariance_of, rounding_of
from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.curvature import error_coupling, scale_curvature
from torchref_kinetic_plugin.refinement.error_model import error_model_covariance
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats
from torchref_kinetic_plugin.refinement.quadratic import QuadraticForm, pseudo_inverse, score_sums
from torchref_kinetic_plugin.threads import one_thread

#: Up to so many parameters the curvature itself is computed, two evaluations of the likelihood for each.
_MOST_DIFFERENCED = 12
#: Datasets of an experiment up to which that of the scales is: two evaluations for each, of all of them.
_MOST_DATASETS = 200
#: Step of a difference, in standard errors, and its limits in units of the raw parameter.
_STEP = 0.2
_SMALLEST_STEP, _LARGEST_STEP = 1e-4, 0.1
#: Information below this, about a parameter of order 1, is none: its standard error would exceed 1,000.
_NO_INFORMATION = 1e-6
#: Change of an occupancy per unit of an undetermined raw parameter that is none.
_NO_CHANGE = 1e-4


@final
@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What the data leave open.

    Attributes
    ----------
    names : tuple of str
        Raw parameters that were refined, in the order of the covariance.
    covariance : ndarray
        (n_refined, n_refined) of the raw parameters; infinite variances where nothing is determined. Scales are
        marginalized.
    occupancies : tuple of ndarray
        (K, N) standard errors of the occupancies of each experiment, to first order.
    from_curvature : bool
        Whether the curvature itself was used, or the products of scores in its place.
    information : ndarray
        (n_refined, n_refined), of which the covariance is the inverse where there is one.
    by_error_model : ndarray
        (n_refined, n_refined), the part of the covariance that comes from the error model, which is itself known from
        the free reflections only; None where it is not computed.
    """

    names: tuple[str, ...]
    covariance: Floats
    occupancies: tuple[Floats, ...]
    from_curvature: bool
    information: Floats
    by_error_model: Floats | None = None

    @property
    def held_information(self) -> Floats:
        """(n_refined, n_refined), the information with the error model taken as known."""
        if self.by_error_model is None:
            return self.information
        return np.asarray(np.linalg.inv(self.covariance - self.by_error_model))


@one_thread()
def estimate_uncertainty(
    models: Sequence[ExperimentModel], provider: SeriesOccupancies, *, lost: Floats | None = None
) -> Uncertainty:
    """Covariance at the present parameters, which should be those of the best fit.

    The inverse of the second derivatives of the objective, with the scales' coefficients eliminated: differences of
    exact gradients for up to 12 parameters and 200 datasets, else the products of scores, equal to them in expectation.
    To that comes what the error model leaves open, which other reflections determine: with the slopes J of the best
    parameters in its coefficients, and their covariance S, J S J' (Murphy & Topel, J. Bus. Econ. Stat. 3, 370-379,
    1985).

    Parameters
    ----------
    models : sequence of ExperimentModel
        After the fit.
    provider : SeriesOccupancies
        After the fit.
    lost : ndarray, optional
        (n_refined, n_refined), information that the freedom of the structures takes away.
    """
    curvature = _Curvature(models, provider)
    size = curvature.fit.size
    if not size:
        shapes = [model.components.shape[0] for model in models]
        none = tuple(np.zeros((k, m.n_timepoints)) for k, m in zip(shapes, models, strict=True))
        return Uncertainty((), np.zeros((0, 0)), none, from_curvature=True, information=np.zeros((0, 0)))
    taken = np.zeros((size, size)) if lost is None else lost
    hessian = curvature.from_scores() - taken
    covariance = covariance_of(hessian, _NO_INFORMATION)
    exact, differenced, by_error_model = hessian, False, None
    few = size <= _MOST_DIFFERENCED and max(len(model.data.datasets) for model in models) <= _MOST_DATASETS
    if few and np.isfinite(covariance).all():
        whole, turns = curvature.from_differences(np.sqrt(np.diag(covariance)))
        exact = whole - taken
        # At the very end of a range the curvature may be no maximum's; the products of scores always are.
        if np.linalg.eigvalsh(exact)[0] > 0.0:
            covariance, differenced = covariance_of(exact, _NO_INFORMATION), True
    information = exact if differenced else hessian
    if differenced and np.isfinite(covariance).all():
        by_error_model = covariance @ turns @ covariance
        covariance = covariance + by_error_model
        information = np.asarray(np.linalg.inv(covariance))
    spread = tuple(
        standard_errors(slopes.numpy(), information).reshape(tuple(value.shape))
        for value, slopes in curvature.fit.jacobians()
    )
    return Uncertainty(tuple(curvature.fit.parameters), covariance, spread, differenced, information, by_error_model)


def standard_errors(slopes: Floats, information: Floats) -> Floats:
    """Standard errors (k,) of what depends on the parameters by slopes (k, n_refined), each of order 1.

    Combinations of parameters that nothing determines do not matter where they change nothing, as a constant added
    to all logits; where they do, the error is infinite.
    """
    half, unknown = half_inverse(information)
    errors: Floats = np.sqrt(((slopes @ half.T) ** 2).sum(axis=1))
    open_ended = (np.abs(slopes @ unknown) > _NO_CHANGE).any(axis=1)
    return np.where(open_ended, np.inf, errors)


def half_inverse(information: Floats) -> tuple[Floats, Floats]:
    """A matrix (r, n) whose square, transposed first, is the inverse where something is known; directions (n, u) else.

    Parameters
    ----------
    information : ndarray
        (n, n), symmetric, about parameters of order 1.
    """
    values, vectors = np.linalg.eigh(information)
    known = values > max(_NO_INFORMATION, rounding_of(values))
    return (vectors[:, known] / np.sqrt(values[known])).T, vectors[:, ~known]


class _Curvature:
    def __init__(self, models: Sequence[ExperimentModel], provider: SeriesOccupancies) -> None:
        self.models = list(models)
        self.provider = provider
        forms = [
            QuadraticForm.at(model, model.evaluate(values.detach()))
            for model, values in zip(self.models, provider(), strict=True)
        ]
        targets = [form.eliminated() for form in forms]
        self.fit = SecondOrderFit(
            list(provider.modules_by_experiment), targets, regularization_weight=provider.regularization_weight
        )

    def from_scores(self) -> Floats:
        """(n, n), from the products of scores."""
        return self.fit.terms(self.fit.get())[2]

    def from_differences(self, errors: Floats) -> tuple[Floats, Floats]:
        """Curvature (n, n) over steps in proportion to the standard errors (n,), and the variance of the gradient.

        The latter (n, n) is what the uncertainty of the error model makes of it. Scales are eliminated in both.
        """
        here = self.fit.get()
        columns, couplings = [], []
        for number, error in enumerate(errors):
            step = float(np.clip(_STEP * error, _SMALLEST_STEP, _LARGEST_STEP))
            ahead, behind = here.copy(), here.copy()
            ahead[number] += step
            behind[number] -= step
            (gradient_ahead, scales_ahead), (gradient_behind, scales_behind) = map(self._gradient, (ahead, behind))
            columns.append((gradient_ahead - gradient_behind) / (2.0 * step))
            couplings.append([(a - b) / (2.0 * step) for a, b in zip(scales_ahead, scales_behind, strict=True)])
        self.fit.set(here)
        hessian, turns = np.stack(columns, axis=1), np.zeros((len(here), len(here)))
        for place, (model, (values, slopes)) in enumerate(zip(self.models, self.fit.jacobians(), strict=True)):
            coupling = np.stack([each[place] for each in couplings], axis=1)
            through = coupling.T @ pseudo_inverse(scale_curvature(model, values))
            hessian = hessian - through @ coupling
            by_occupancies, by_scales = error_coupling(model, values)
            turn = slopes.numpy().T @ by_occupancies - through @ by_scales
            turns += turn @ error_model_covariance(model, values) @ turn.T
        return np.asarray(0.5 * (hessian + hessian.T)), turns

    def _gradient(self, raw: Floats) -> tuple[Floats, list[Floats]]:
        """Gradient of the objective in the parameters, and of each experiment's scales."""
        self.fit.set(raw)
        _, gradient, _ = self.fit.regularization()
        by_scales = []
        for model, (value, slopes) in zip(self.models, self.fit.jacobians(), strict=True):
            occupancies, scales = score_sums(model, model.evaluate(value))
            gradient = gradient - (slopes.T @ torch.from_numpy(occupancies)).numpy()
            by_scales.append(-scales)
        return gradient, by_scales
