"""Before a fit: which parameters a series can determine, how well, and what it leaves open."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from torchref_kinetic_plugin.analysis.exchanges import exchanges
from torchref_kinetic_plugin.analysis.expected import expected_information, settled_at_free_occupancies
from torchref_kinetic_plugin.analysis.likeness import alike_structures
from torchref_kinetic_plugin.analysis.limits import undetermined
from torchref_kinetic_plugin.analysis.quantities import IndependentQuantities, Quantity, refined_quantities
from torchref_kinetic_plugin.analysis.reach import why_unseen
from torchref_kinetic_plugin.analysis.ridges import scaled, weak_directions
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel
from torchref_kinetic_plugin.refinement.uncertainty import standard_errors
from torchref_kinetic_plugin.results import ExpectedError, Identifiability
from torchref_kinetic_plugin.threads import one_thread

_log = logging.getLogger(__name__)


@one_thread()
def analyse_identifiability(
    models: Sequence[ExperimentModel],
    provider: SeriesOccupancies,
    structures: Sequence[str],
    *,
    refine_scale: bool = True,
    structures_refined: bool = False,
    seed: int = 1,
) -> Identifiability | None:
    """Expected errors of the planned fit at the provider's present values, and its weak directions in words.

    The expected information is that of the likelihood of all intensities, scales eliminated, at structures as given;
    noise and scales are those of the data. Priors count in the errors.

    Parameters
    ----------
    models : sequence of ExperimentModel
        Before the fit; they and the provider stay as they are.
    provider : SeriesOccupancies
        At the starting values.
    structures : sequence of str
        (K,) names.
    refine_scale : bool
        Whether scales are refined.
    structures_refined : bool
        Whether structures will be refined too; their freedom makes errors larger, which is not counted here.
    seed : int
        Of the drawn data.

    Returns
    -------
    Identifiability or None
        None where nothing of the provider is refined.
    """
    quantities = refined_quantities(models, provider)
    if not quantities:
        return None
    settled = settled_at_free_occupancies(models, refine_scale=refine_scale, seed=seed)
    expected = expected_information(settled, provider, refine_scale=refine_scale, seed=seed)
    _log.info("expected standard errors are known to %.1f %%", 100.0 * expected.monte_carlo)
    independent = IndependentQuantities(quantities)
    data = independent.information(expected.data, expected.prior)
    whole = independent.information(expected.data + expected.prior)
    modules = dict(zip(provider.names, provider.modules_by_experiment, strict=True))
    weak = [
        *alike_structures(settled, expected.targets, structures),
        *weak_directions(
            independent.quantities, data, whole, lambda quantity: why_unseen(quantity, quantities, modules)
        ),
        *exchanges(provider, expected.targets, structures, structures_refined=structures_refined),
    ]
    slopes = np.array([each.slope for each in quantities])
    errors = standard_errors(slopes, expected.data + expected.prior)
    return Identifiability(
        tuple(_expected(each, float(error)) for each, error in zip(quantities, errors, strict=True)),
        tuple(float(value) for value in np.linalg.eigvalsh(scaled(whole))[::-1]),
        tuple(dict.fromkeys(weak)),
    )


def _expected(quantity: Quantity, error: float) -> ExpectedError:
    """In public units; what is not determined has no limit."""
    experiment, kind, name = quantity.key
    value = quantity.error_of_value(np.inf if undetermined(quantity, error) else error)
    in_ln = None if quantity.log_slope is None else value / quantity.value
    return ExpectedError(experiment, kind, name, quantity.value, quantity.unit, value, in_ln)
