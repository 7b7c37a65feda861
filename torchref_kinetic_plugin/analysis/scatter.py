"""How the scores of reflections scatter, which tells whether the likelihood's assumptions hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from torchref_kinetic_plugin.analysis.expected import N_DRAWS, expected_forms, mean_form
from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats
from torchref_kinetic_plugin.refinement.quadratic import pseudo_inverse, score_rows


@final
@dataclass(frozen=True, eq=False)
class Scatter:
    """Of the scores of all work reflections in the raw parameters, and what the model expects of it.

    Attributes
    ----------
    products : ndarray
        (n_refined, n_refined), sum of the products of each reflection's scores, as they are. Where the likelihood's
        assumptions hold it is the curvature on average; where errors are larger than stated or common to several
        datasets it differs. A prior counts as an observation that scatters as it says.
    information : ndarray
        (n_refined, n_refined), what the model expects, from data drawn from it.
    """

    products: Floats
    information: Floats


def scatter_of_scores(
    models: Sequence[ExperimentModel], provider: SeriesOccupancies, *, seed: int, n_draws: int = N_DRAWS
) -> Scatter:
    """Scatter at the present parameters, scales eliminated by what the model expects of them.

    Eliminated by the products of scores of the data themselves, errors that datasets have in common would vanish in
    the scales, as in a regression on them.

    Parameters
    ----------
    models : sequence of ExperimentModel
        After a fit.
    provider : SeriesOccupancies
        After it.
    seed : int
        Of the drawn data.
    n_draws : int
        How many.
    """
    fit = SecondOrderFit(list(provider.modules_by_experiment), [], regularization_weight=provider.regularization_weight)
    _, _, prior = fit.regularization()
    products, information = prior.copy(), prior.copy()
    for number, (model, (values, slopes)) in enumerate(zip(models, fit.jacobians(), strict=True)):
        expected = mean_form(expected_forms(model, values, seed=[seed, number], n_draws=n_draws))
        information += (slopes.T @ expected.eliminated().information @ slopes).numpy()
        by_occupancies, by_scales = (rows.numpy() for rows in score_rows(model, model.evaluate(values)))
        through = expected.coupling @ pseudo_inverse(expected.scales)
        rows = (by_occupancies - by_scales @ through.T) @ slopes.numpy()
        products += np.asarray(rows.T @ rows)
    return Scatter(products, information)
