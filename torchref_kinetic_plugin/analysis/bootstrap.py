"""The bootstrap: refits to reflections drawn from the data, or to intensities drawn from the model.

Reflections drawn with replacement (Efron & Tibshirani, An Introduction to the Bootstrap, 1993) ask the data themselves
how much they scatter, whatever their errors are like; intensities drawn from the model ask what the likelihood says,
without taking it to be normal in the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from torchref_kinetic_plugin.analysis.preserved import preserved
from torchref_kinetic_plugin.analysis.variants import drawn, resampled
from torchref_kinetic_plugin.errors import KineticsError
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.estimates import Key, ProviderParameters
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.results import SIGNED_KINDS, BootstrapEstimate, Estimate

#: Quantiles at the ends of a 95 % interval.
_ENDS = (0.025, 0.975)


def refit_draw(
    models: Sequence[ExperimentModel],
    provider: SeriesOccupancies,
    number: int,
    *,
    seed: int,
    parametric: bool = False,
    refine_scale: bool = True,
    error_model: bool = True,
) -> dict[Key, float]:
    """A provider's parameters refined against one draw, from where they are; nothing is changed.

    Parameters
    ----------
    models : sequence of ExperimentModel
        One for each experiment, after the fit.
    provider : SeriesOccupancies
        After the fit.
    number : int
        Of the draw; with the seed it decides what is drawn, whatever was drawn before.
    seed : int
        Of all draws.
    parametric : bool
        Whether intensities are drawn from the model; else reflections from the data.
    refine_scale, error_model : bool
        Whether scales and error model are refined too.

    Returns
    -------
    dict
        Values by experiment, kind and name.

    Raises
    ------
    KineticsError
        When the fit does not converge.
    """
    random = np.random.default_rng([seed, number])
    with preserved(models, provider):
        if parametric:
            values = [each.detach() for each in provider()]
            variants = [drawn(model, each, random) for model, each in zip(models, values, strict=True)]
        else:
            variants = [resampled(model, random) for model in models]
        fit = fit_kinetics(variants, provider, n_starts=1, refine_scale=refine_scale, refine_errors=error_model)
        if not fit.converged:
            raise KineticsError("the fit has not converged")
        return ProviderParameters(provider).values()


def bootstrap_estimates(best: Sequence[Estimate], draws: Sequence[Mapping[Key, float]]) -> list[BootstrapEstimate]:
    """Percentile intervals and standard errors of what was refined.

    Parameters
    ----------
    best : sequence of Estimate
        From the data themselves.
    draws : sequence of mapping
        Values of each draw, at least two.
    """
    found = []
    for each in best:
        if not each.refined:
            continue
        values = np.array([draw[each.experiment, each.kind, each.name] for draw in draws])
        lower, upper = np.quantile(values, _ENDS)
        error = None
        if each.kind not in SIGNED_KINDS and (values > 0.0).all():
            error = float(np.log(values).std(ddof=1))
        found.append(
            BootstrapEstimate(
                each.experiment,
                each.kind,
                each.name,
                each.unit,
                each.value,
                tuple(values.tolist()),
                float(lower),
                float(upper),
                error,
            )
        )
    return found
