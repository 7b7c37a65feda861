"""The information that a series can be expected to give, from data drawn from its own model."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from torchref_kinetic_plugin.analysis.variants import drawn
from torchref_kinetic_plugin.occupancies import occupancy_unrestrained
from torchref_kinetic_plugin.occupancies.second_order import QuadraticTarget, SecondOrderFit
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats
from torchref_kinetic_plugin.refinement.fit_state import FitState
from torchref_kinetic_plugin.refinement.quadratic import QuadraticForm, pseudo_inverse
from torchref_kinetic_plugin.refinement.uncertainty import half_inverse

#: Draws of all intensities. Information comes from few strong differences, so that one draw has it to a tenth; the
#: standard errors then have a relative error of 1 to 2 %.
N_DRAWS = 16


@final
@dataclass(frozen=True, eq=False)
class ExpectedInformation:
    """What is expected of a fit at the present values.

    Attributes
    ----------
    targets : tuple of QuadraticTarget
        Of each experiment: about the present occupancies, the mean information, scales eliminated.
    data, prior : ndarray
        (n_refined, n_refined), information about the raw parameters by the data and by the regularization.
    monte_carlo : float
        Largest relative standard error that the number of draws leaves in a raw parameter's standard error.
    """

    targets: tuple[QuadraticTarget, ...]
    data: Floats
    prior: Floats
    monte_carlo: float


def expected_information(
    models: Sequence[ExperimentModel],
    provider: SeriesOccupancies,
    *,
    refine_scale: bool,
    seed: int,
    n_draws: int = N_DRAWS,
) -> ExpectedInformation:
    """Mean of the products of scores over data drawn from the model at the provider's present values.

    In expectation these products are the curvature of minus the log-likelihood (Fisher information).

    Parameters
    ----------
    models : sequence of ExperimentModel
        With the error model and the scales that the data will have; see `settled_at_free_occupancies`.
    provider : SeriesOccupancies
        Whose parameters are to be refined.
    refine_scale : bool
        Whether the scales are, and so have to be eliminated.
    seed : int
        Of the draws.
    n_draws : int
        How many.
    """
    fit = SecondOrderFit(list(provider.modules_by_experiment), [], regularization_weight=provider.regularization_weight)
    each_draw = np.zeros((n_draws, fit.size, fit.size))
    targets = []
    for number, (model, (values, slopes)) in enumerate(zip(models, fit.jacobians(), strict=True)):
        forms = expected_forms(model, values, seed=[seed, number], n_draws=n_draws)
        mean = mean_form(forms)
        targets.append(mean.eliminated(refine_scale))
        through = mean.coupling @ pseudo_inverse(mean.scales) if refine_scale else np.zeros_like(mean.coupling)
        for draw, form in enumerate(forms):
            mixed = form.coupling @ through.T
            information = form.occupancies - mixed - mixed.T + through @ form.scales @ through.T
            each_draw[draw] += slopes.T.numpy() @ information @ slopes.numpy()
    _, _, prior = fit.regularization()
    return ExpectedInformation(tuple(targets), each_draw.mean(axis=0), prior, _monte_carlo(each_draw, prior))


def expected_forms(
    model: ExperimentModel, occupancies: Tensor, *, seed: Sequence[int], n_draws: int
) -> list[QuadraticForm]:
    """Quadratic forms of data drawn from the model at occupancies (K, N), scores as they are."""
    drawings = (drawn(model, occupancies, np.random.default_rng([*seed, draw])) for draw in range(n_draws))
    return [QuadraticForm.at(each, each.evaluate(occupancies), largest_residual=None) for each in drawings]


def mean_form(forms: Sequence[QuadraticForm]) -> QuadraticForm:
    """The expected form; its gradients are zero."""
    first = forms[0]
    return replace(
        first,
        by_occupancies=np.zeros_like(first.by_occupancies),
        by_scales=np.zeros_like(first.by_scales),
        occupancies=np.mean([each.occupancies for each in forms], axis=0),
        coupling=np.mean([each.coupling for each in forms], axis=0),
        scales=np.mean([each.scales for each in forms], axis=0),
    )


def _monte_carlo(draws: Floats, prior: Floats) -> float:
    """Largest relative standard error of standard errors from the scatter of draws (d, n, n), to first order."""
    if len(draws) < 2 or not draws.shape[1]:
        return 0.0
    half, _ = half_inverse(draws.mean(axis=0) + prior)
    covariance = half.T @ half
    variances = np.diag(covariance)
    changes = np.einsum("ij,djk,ki->di", covariance, draws - draws.mean(axis=0), covariance)
    scatter = 0.5 * changes.std(axis=0, ddof=1) / np.where(variances > 0.0, variances, np.inf)
    return float(scatter.max()) / float(np.sqrt(len(draws)))


@final
class _FreeOccupancies:
    """Occupancies of all experiments that obey no scheme; see `Occupancies`."""

    def __init__(self, models: Sequence[ExperimentModel]) -> None:
        self.modules_by_experiment: Any = [
            occupancy_unrestrained(len(model.components), np.arange(model.n_timepoints, dtype=np.float64))
            for model in models
        ]
        self.regularization_weight = 1.0

    def __call__(self) -> list[Tensor]:
        return [module() for module in self.modules_by_experiment]

    def get_regularization_loss(self) -> Tensor:
        return torch.zeros((), dtype=torch.float64)


def settled_at_free_occupancies(
    models: Sequence[ExperimentModel], *, refine_scale: bool, seed: int
) -> list[ExperimentModel]:
    """The models with scales and error model as the data have them, whatever a scheme starts from.

    At starting rates that are wrong, their misfit would pass for noise; so occupancies are fitted to the amplitudes,
    free at every timepoint, and the error model there.
    """
    settled = [copy.copy(model) for model in models]
    for model in settled:
        model.nuisances = model.nuisances.copy()
    fit = FitState(settled, _FreeOccupancies(settled), refine_provider=True, refine_scale=refine_scale)
    fit.approach(1, seed)
    return settled
