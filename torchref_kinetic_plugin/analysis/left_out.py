"""Each timepoint predicted by all others: what no scheme can be tuned to.

A timepoint is left out, the provider is refitted to all other datasets from the best parameters, and what it then says
of the timepoint is held against its data: by the correlation of differences to the reference, and by

    log p(timepoint | all others) = log p(all) - log p(all others),

both at the parameters of the refit and the scales it gives to the others. Held from the fit that had the timepoint are
its scale and the error model: the variance of the common error and the factors of all sigmas, of free reflections. They
come with a dataset, whatever the scheme. References are never left out. Structures are as given: where they were
refined, the timepoint took part in that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from torchref_kinetic_plugin.analysis.preserved import preserved
from torchref_kinetic_plugin.analysis.training_influence import GivenOthers, training_influence
from torchref_kinetic_plugin.analysis.variants import without
from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.agreement import correlation, differences
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.refinement.quadratic import QuadraticForm
from torchref_kinetic_plugin.refinement.uncertainty import standard_errors
from torchref_kinetic_plugin.results import LeftOut
from torchref_kinetic_plugin.threads import one_thread


@final
@dataclass(frozen=True, eq=False)
class Prediction:
    """What all other datasets say of a timepoint.

    Attributes
    ----------
    summary : LeftOut
        In figures.
    occupancies : ndarray
        (K,), predicted.
    log_likelihood : ndarray
        (H,) of each reflection's datum given all other datasets, work and free; 0 where the timepoint lacks it.
    influence : tuple of ndarray
        (H,) of each experiment: see `training_influence`.
    converged : bool
        Whether the refit left no gain.
    """

    summary: LeftOut
    occupancies: Floats
    log_likelihood: Floats
    influence: tuple[Floats, ...]
    converged: bool


@final
@dataclass(frozen=True, eq=False)
class LeftOutPredictions:
    """Those that can be had, and in words those that cannot.

    Attributes
    ----------
    predictions : tuple of Prediction
        In the order of experiments and timepoints.
    remarks : tuple of str
        Timepoints whose occupancies the others do not determine, which have no prediction, and refits that did not end.
    """

    predictions: tuple[Prediction, ...]
    remarks: tuple[str, ...]


@one_thread()
def predict_left_out(
    models: Sequence[ExperimentModel], provider: SeriesOccupancies, *, refine_scale: bool = True
) -> LeftOutPredictions:
    """Leave out each timepoint in turn; models and provider are as before afterwards.

    Parameters
    ----------
    models : sequence of ExperimentModel
        After the fit.
    provider : SeriesOccupancies
        After the fit.
    refine_scale : bool
        Whether the fit refined scales.
    """
    with torch.no_grad():
        fitted = provider()
    predictions: list[Prediction] = []
    open_ended: list[str] = []
    unfinished: list[str] = []
    for place, model in enumerate(models):
        for row in range(model.data.n_references, len(model.data.datasets)):
            with preserved(models, provider):
                found = _predicted(models, provider, place, row, fitted[place], refine_scale)
            name = f"{model.data.name} {model.data.datasets[row]}"
            if found is None:
                open_ended.append(name)
                continue
            predictions.append(found)
            if not found.converged:
                unfinished.append(name)
    remarks = []
    if open_ended:
        remarks.append(f"left out, {', '.join(open_ended)} cannot be predicted: the other timepoints leave it open")
    if unfinished:
        remarks.append(f"the fit without {', '.join(unfinished)} has not converged")
    return LeftOutPredictions(tuple(predictions), tuple(remarks))


def _predicted(
    models: Sequence[ExperimentModel],
    provider: SeriesOccupancies,
    place: int,
    row: int,
    fitted: Tensor,
    refine_scale: bool,
) -> Prediction | None:
    """Of one dataset; None where the others do not determine its occupancies."""
    model = models[place]
    less = without(model, [model.data.datasets[row]])
    others = [less if number == place else each for number, each in enumerate(models)]
    column = row - model.data.n_fixed
    if not _determined(others, provider, place, column):
        return None
    fit = fit_kinetics(others, provider, n_starts=1, refine_scale=refine_scale, refine_errors=False)
    with torch.no_grad():
        occupancies = provider()[place]
    given = GivenOthers.at(model, less, occupancies)
    included, alone = (differences(model, values, row) for values in (fitted, occupancies))
    summary = LeftOut(
        model.data.name,
        model.data.datasets[row],
        len(alone[0]),
        correlation(*alone, np.ones(len(alone[0]), dtype=np.bool_)),
        correlation(*included, np.ones(len(included[0]), dtype=np.bool_)),
        float(given.log_likelihood.sum()),
    )
    influence = training_influence(others, provider, fit.evaluations, place, given, refine_scale=refine_scale)
    return Prediction(
        summary, occupancies[:, column].numpy().copy(), given.log_likelihood, influence, converged=fit.converged
    )


def _determined(models: Sequence[ExperimentModel], provider: SeriesOccupancies, place: int, column: int) -> bool:
    """Whether data and priors say anything of every occupancy of one timepoint."""
    with torch.no_grad():
        values = provider()
    targets = [
        QuadraticForm.at(model, model.evaluate(each)).eliminated() for model, each in zip(models, values, strict=True)
    ]
    search = SecondOrderFit(
        list(provider.modules_by_experiment), targets, regularization_weight=provider.regularization_weight
    )
    hessian = search.terms(search.get())[2]
    value, slopes = search.jacobians()[place]
    own = slopes.reshape(*value.shape, -1)[:, column]
    return bool(np.isfinite(standard_errors(own.numpy(), hessian)).all())
