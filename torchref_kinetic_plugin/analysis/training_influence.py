"""How a prediction's likelihood hangs on each reflection that the predicting fit was made with.

The log-likelihood of a timepoint given all others is uncertain twice: by the timepoint's own noise, and by that of the
data which the parameters were fitted to. To first order in the weight w of a reflection the fit moves by

    d(theta, c) / dw = H^-1 (s - mean),    H the curvature, s the reflection's scores in parameters and scales,

and the prediction's log-likelihood by its gradient along that: the infinitesimal jackknife (B. Efron, The Jackknife,
the Bootstrap and Other Resampling Plans, 1982, chapter 6). The mean is 0 at a fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np
import torch
from torch import Tensor

from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.data_loss import DataLoss
from torchref_kinetic_plugin.refinement.experiment import Evaluation, ExperimentModel, Floats
from torchref_kinetic_plugin.refinement.quadratic import QuadraticForm, pseudo_inverse, score_rows


@final
@dataclass(frozen=True, eq=False)
class GivenOthers:
    """Log-likelihood of a dataset given all others, and its gradients.

    Attributes
    ----------
    log_likelihood : ndarray
        (H,), 0 where the dataset has no reflection.
    by_occupancies, by_scales : ndarray
        (K N,) and (T p,), of the sum.
    """

    log_likelihood: Floats
    by_occupancies: Floats
    by_scales: Floats

    @classmethod
    def at(cls, model: ExperimentModel, less: ExperimentModel, occupancies: Tensor) -> Self:
        """At occupancies (K, N) of the timepoints and the scales of ``less``, which is the model without the dataset.

        Both have the same error model.
        """
        scale = torch.as_tensor(less.nuisances.scale)
        together, alone = (
            DataLoss(each, np.ones(len(each.work), dtype=np.bool_))(model.components, occupancies, scale)
            for each in (model, less)
        )
        # Where the dataset has nothing both are the same number.
        return cls(
            (together.log_likelihood - alone.log_likelihood).cpu().numpy(),
            (alone.by_occupancies - together.by_occupancies).cpu().numpy().ravel(),
            (alone.by_scale - together.by_scale).cpu().numpy().ravel(),
        )


def training_influence(
    models: Sequence[ExperimentModel],
    provider: SeriesOccupancies,
    evaluations: Sequence[Evaluation],
    place: int,
    given: GivenOthers,
    *,
    refine_scale: bool = True,
) -> tuple[Floats, ...]:
    """Change of a prediction's log-likelihood with the weight of each reflection in the fit, (H,) of each experiment.

    Parameters
    ----------
    models : sequence of ExperimentModel
        That the fit was made with, without the timepoint.
    provider : SeriesOccupancies
        After that fit.
    evaluations : sequence of Evaluation
        There.
    place : int
        Which experiment the timepoint belongs to.
    given : GivenOthers
        Its log-likelihood there.
    refine_scale : bool
        Whether the fit refined scales.

    Returns
    -------
    tuple of ndarray
        0 for free reflections, which no fit of parameters uses.
    """
    forms = [QuadraticForm.at(model, each) for model, each in zip(models, evaluations, strict=True)]
    search = SecondOrderFit(
        list(provider.modules_by_experiment),
        [form.eliminated(refine_scale) for form in forms],
        regularization_weight=provider.regularization_weight,
    )
    inverse = pseudo_inverse(search.terms(search.get())[2])
    jacobians = [slopes.numpy() for _, slopes in search.jacobians()]
    scales = [pseudo_inverse(form.scales) if refine_scale else np.zeros_like(form.scales) for form in forms]
    along_scales = scales[place] @ given.by_scales
    by_parameters = jacobians[place].T @ (given.by_occupancies - forms[place].coupling @ along_scales)
    direction = inverse @ by_parameters
    found = []
    for number, (model, evaluation, form, slopes, own) in enumerate(
        zip(models, evaluations, forms, jacobians, scales, strict=True)
    ):
        by_occupancies, by_scales = (rows.numpy() for rows in score_rows(model, evaluation))
        in_occupancies = slopes @ direction
        # With the scales eliminated; those of the timepoint's experiment count for themselves too.
        in_scales = (along_scales if number == place else 0.0) - own @ (form.coupling.T @ in_occupancies)
        rows = np.zeros(len(model.data.grid.hkl))
        rows[model.work] = by_occupancies @ in_occupancies + by_scales @ in_scales
        found.append(rows)
    return tuple(found)
