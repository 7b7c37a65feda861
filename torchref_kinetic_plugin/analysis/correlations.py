"""After a fit: how refined quantities depend on each other, and whether their errors rest on the likelihood alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from torchref_kinetic_plugin.analysis.quantities import IndependentQuantities, Quantity, refined_quantities
from torchref_kinetic_plugin.analysis.scatter import scatter_of_scores
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats
from torchref_kinetic_plugin.refinement.uncertainty import Uncertainty, half_inverse, standard_errors
from torchref_kinetic_plugin.results import Correlations
from torchref_kinetic_plugin.threads import one_thread

#: Correlation beyond which two quantities are hardly told apart: each has three times the error that it would have if
#: the other were known.
_LARGEST = 0.95
#: Standard error from curvature and scatter over that from curvature beyond which the likelihood is doubted. The ratio
#: itself scatters by a tenth to a fifth, since few strong differences carry the information.
_LARGEST_RATIO = 1.5


@one_thread()
def correlations(
    models: Sequence[ExperimentModel],
    provider: SeriesOccupancies,
    uncertainty: Uncertainty,
    *,
    scatter: Floats | None = None,
    seed: int = 1,
) -> Correlations | None:
    """Correlations and standard errors of the independent refined quantities, after a fit; None without any.

    In ln of positive numbers, logit of fractions, values of others. Beside the inverse of the curvature H stands the
    sandwich ``H^-1 J H^-1`` (Huber, Proc. Fifth Berkeley Symp. 1, 221, 1967; White, Econometrica 50, 1, 1982), J the
    scatter of the scores, reflections independent of each other. Where no curvature was differenced, H is what the
    model expects: products of the same scores would hide what the sandwich is to show.

    Parameters
    ----------
    models : sequence of ExperimentModel
        The experiments.
    provider : SeriesOccupancies
        After the fit.
    uncertainty : Uncertainty
        Of its raw parameters.
    scatter : ndarray, optional
        (n_refined, n_refined), J where atoms moved too, as `AtomFreedom` has it.
    seed : int
        Of the data that tell what the model expects.
    """
    found = refined_quantities(models, provider)
    if not found:
        return None
    independent = IndependentQuantities(found)
    errors = standard_errors(independent.slopes, uncertainty.information)
    sandwich = _sandwich(models, provider, independent.slopes, uncertainty, scatter, seed)
    known = np.isfinite(errors)
    half, _ = half_inverse(uncertainty.information)
    ways = independent.slopes @ half.T / np.where(known, errors, np.nan)[:, np.newaxis]
    matrix = ways @ ways.T
    np.fill_diagonal(matrix, 1.0)
    return Correlations(
        tuple(each.label for each in independent.quantities),
        tuple(tuple(float(value) for value in row) for row in np.clip(matrix, -1.0, 1.0)),
        _in_units(independent.quantities, errors),
        _in_units(independent.quantities, np.where(known, sandwich, np.inf)),
    )


def _sandwich(
    models: Sequence[ExperimentModel],
    provider: SeriesOccupancies,
    slopes: Floats,
    uncertainty: Uncertainty,
    scatter: Floats | None,
    seed: int,
) -> Floats:
    """Standard errors (m,) of what depends on the raw parameters by slopes (m, n_refined)."""
    information = uncertainty.held_information
    if scatter is None:
        found = scatter_of_scores(models, provider, seed=seed)
        scatter = found.products
        information = information if uncertainty.from_curvature else found.information
    half, _ = half_inverse(information)
    ways = slopes @ half.T @ half
    variance = np.einsum("ij,jk,ik->i", ways, scatter, ways).clip(min=0.0)
    if uncertainty.by_error_model is not None:
        # Free reflections scatter on their own.
        variance = variance + np.einsum("ij,jk,ik->i", slopes, uncertainty.by_error_model, slopes)
    return np.asarray(np.sqrt(variance))


def correlation_remarks(found: Correlations) -> list[str]:
    """Pairs that are hardly told apart, and errors that the scatter of the data does not bear out, in words."""
    matrix = np.abs(np.array(found.matrix)) - np.eye(len(found.labels))
    # What is not determined compares as false.
    pairs = [(i, j) for i, j in zip(*np.nonzero(matrix > _LARGEST), strict=True) if i < j]
    remarks = [
        f"{found.labels[i]} and {found.labels[j]} are hardly told apart: their correlation is {found.matrix[i][j]:.3f}"
        for i, j in pairs
    ]
    for label, error, other in zip(found.labels, found.std_errors, found.sandwich, strict=True):
        if math.isfinite(error) and other > _LARGEST_RATIO * error:
            remarks.append(
                f"the standard error of {label} is {other / error:.1f} times larger by the scatter of the reflections "
                "than by the curvature: sigmas or the model's errors are not what the likelihood takes them for"
            )
    return remarks


def _in_units(quantities: Sequence[Quantity], errors: Floats) -> tuple[float, ...]:
    """Errors (m,) of the values where the axis is linear, else of the place on it."""
    return tuple(
        each.error_of_value(float(error)) if each.coordinate.form == "linear" else float(error)
        for each, error in zip(quantities, errors, strict=True)
    )
