"""Which of several schemes the data prefer: by what each says of timepoints that it was not fitted to.

Schemes are ranked by the sum over timepoints of the log-likelihood given all others (`left_out`), which needs no count
of parameters and cannot be raised by adding any. Whether two can be told apart is asked of their difference, reflection
by reflection, summed over the timepoints, which share an error. A reflection enters twice: with the difference of what
it measured at the timepoint left out (Q. H. Vuong, Econometrica 57, 1989, 307-333), and by its influence on the fits
that predict (`training_influence`). For n reflections with sums d_h of both the standard error is sqrt(n) times their
standard deviation. It is of the reflections as drawn, at the timepoints as chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from torchref_kinetic_plugin.analysis.left_out import Prediction, predict_left_out
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.occupancies import occupancies_kinetics
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.estimates import ProviderParameters
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.refinement.scale_runaway import scale_remarks
from torchref_kinetic_plugin.results import ComparedScheme

#: Standard errors below which a difference is none.
_TELLING = 2.0
#: Difference of log-likelihoods that fits leave: each ends so far from its best.
_LEFT_BY_FITS = 0.1


@final
@dataclass(frozen=True, eq=False)
class Entry:
    """A scheme to be fitted.

    Attributes
    ----------
    name : str
        By which it is told from the others.
    models : sequence of ExperimentModel
        Its own; of the same data as all others'.
    provider : SeriesOccupancies
        Where its fit begins.
    n_starts, seed, refine_scale
        As of `fit_kinetics`.
    """

    name: str
    models: Sequence[ExperimentModel]
    provider: SeriesOccupancies
    n_starts: int = 4
    seed: int = 1
    refine_scale: bool = True


@final
@dataclass(frozen=True, eq=False)
class Candidate:
    """A scheme after its fit.

    Attributes
    ----------
    name : str
        By which it is told from the others.
    models : tuple of ExperimentModel
        With its scales and error models.
    provider : SeriesOccupancies
        With its parameters.
    n_parameters : int
        Of provider and scales.
    n_observations : int
        Of the work set.
    work, free : float
        Log-likelihoods.
    converged : bool
        Whether the fit left no gain.
    held_out : mapping
        Place of the experiment and row of the dataset -> its prediction by all others.
    remarks : tuple of str
        Of the fits.
    """

    name: str
    models: tuple[ExperimentModel, ...]
    provider: SeriesOccupancies
    n_parameters: int
    n_observations: int
    work: float
    free: float
    converged: bool
    held_out: Mapping[tuple[int, int], Prediction]
    remarks: tuple[str, ...]

    @property
    def scheme(self) -> str:
        """Flow chart; empty for a provider that has none."""
        module = self.provider.modules_by_experiment[0]
        return module.scheme.chart.text if isinstance(module, occupancies_kinetics) else ""

    def over(self, timepoints: Sequence[tuple[int, int]]) -> tuple[Floats, Floats]:
        """Log-likelihood of each reflection of all experiments (n,), summed over timepoints, and influence on it."""
        values = [np.zeros(len(model.data.grid.hkl)) for model in self.models]
        influences = [np.zeros(len(each)) for each in values]
        for place, row in timepoints:
            found = self.held_out[place, row]
            values[place] += found.log_likelihood
            influences = [total + own for total, own in zip(influences, found.influence, strict=True)]
        return np.concatenate(values), np.concatenate(influences)


def fit_candidates(entries: Sequence[Entry], announce: Callable[[str], None] = lambda _: None) -> list[Candidate]:
    """Fit each scheme and let it predict each timepoint; models and providers are changed.

    Each is fitted with an error model of its own first. That of the highest likelihood on the free reflections is then
    given to all, and everything else fitted again, so that likelihoods differ by what the schemes say alone: error
    models of a few hundred reflections differ by more than nested schemes do.

    Parameters
    ----------
    entries : sequence of Entry
        Of the same data.
    announce : callable
        Told what is being done.

    Raises
    ------
    InputError
        When one predicts no timepoint.
    """
    fits = []
    for entry in entries:
        announce(f"fitting {entry.name}")
        fits.append(
            fit_kinetics(
                entry.models,
                entry.provider,
                n_starts=entry.n_starts,
                seed=entry.seed,
                refine_scale=entry.refine_scale,
            )
        )
    best = max(range(len(entries)), key=lambda number: fits[number].iterations[-1].free)
    errors = [
        (model.nuisances.error.copy(), model.nuisances.inflation.copy(), model.strength.clone())
        for model in entries[best].models
    ]
    found = []
    for entry in entries:
        announce(f"leaving out each timepoint: {entry.name}")
        for model, (error, inflation, design) in zip(entry.models, errors, strict=True):
            model.nuisances.error, model.nuisances.inflation = error.copy(), inflation.copy()
            model.strength = design.clone()
        found.append(_candidate(entry))
    return found


def _candidate(entry: Entry) -> Candidate:
    models, provider = entry.models, entry.provider
    fit = fit_kinetics(models, provider, n_starts=1, refine_scale=entry.refine_scale, refine_errors=False)
    found = predict_left_out(models, provider, refine_scale=entry.refine_scale)
    if not found.predictions:
        raise InputError(f"{entry.name} predicts no timepoint from the others, so that it cannot be compared")
    rows = {
        (model.data.name, dataset): (place, row)
        for place, model in enumerate(models)
        for row, dataset in enumerate(model.data.datasets)
    }
    scales = sum(model.nuisances.scale.size for model in models) if entry.refine_scale else 0
    return Candidate(
        entry.name,
        tuple(models),
        provider,
        ProviderParameters(provider).n_refined + scales,
        sum(int(model.present()[:, model.work].sum()) for model in models),
        fit.iterations[-1].work,
        fit.iterations[-1].free,
        fit.converged,
        {rows[each.summary.experiment, each.summary.timepoint]: each for each in found.predictions},
        (*([] if fit.converged else scale_remarks(models) or ["the fit has not converged"]), *found.remarks),
    )


def held_out_timepoints(candidates: Sequence[Candidate]) -> list[tuple[int, int]]:
    """Place and row of the timepoints that all candidates predict.

    Raises
    ------
    InputError
        When there is none.
    """
    common = set(candidates[0].held_out).intersection(*(each.held_out for each in candidates[1:]))
    if not common:
        raise InputError("no timepoint is predicted by all schemes, so that they cannot be compared")
    return sorted(common)


def ranked(candidates: Sequence[Candidate]) -> list[ComparedScheme]:
    """The candidates in the order of their held-out prediction, each held against the first."""
    timepoints = held_out_timepoints(candidates)
    predicted = {each.name: each.over(timepoints) for each in candidates}
    # Those that are equal keep the order in which they were given.
    order = sorted(candidates, key=lambda each: -float(predicted[each.name][0].sum()))
    best = predicted[order[0].name]
    return [_compared(each, predicted[each.name], best) for each in order]


def _compared(candidate: Candidate, own: tuple[Floats, Floats], best: tuple[Floats, Floats]) -> ComparedScheme:
    values, difference = own[0], float((own[0] - best[0]).sum())
    std_error = standard_error_of_sum(own[0] + own[1] - best[0] - best[1])
    k, n = candidate.n_parameters, candidate.n_observations
    deviance = -2.0 * candidate.work
    return ComparedScheme(
        candidate.name,
        candidate.scheme,
        k,
        n,
        candidate.converged,
        candidate.work,
        candidate.free,
        float(values.sum()),
        difference,
        std_error,
        tied=-difference <= max(_TELLING * std_error, _LEFT_BY_FITS),
        aicc=deviance + 2.0 * k + 2.0 * k * (k + 1) / (n - k - 1) if n > k + 1 else math.inf,
        bic=deviance + k * math.log(n),
    )


def standard_error_of_sum(values: Floats) -> float:
    """Standard error of the sum of independent values (n,) of one distribution."""
    return math.sqrt(len(values)) * float(values.std(ddof=1))


def choice_remarks(compared: Sequence[ComparedScheme]) -> list[str]:
    """What the data choose, in words."""
    best, *others = compared
    tied = [each for each in others if each.tied]
    worse = [each for each in others if not each.tied]
    found = []
    if tied:
        found.append(
            f"these cannot be told apart by what they say of timepoints left out: {_listed([best, *tied], best)}; "
            "fewer parameters are then the better reason"
        )
    else:
        found.append(f"{best.name} says best what is measured at timepoints left out")
    if worse:
        found.append(f"worse by more than two standard errors: {_listed(worse, best)}")
    return found


def _listed(schemes: Sequence[ComparedScheme], best: ComparedScheme) -> str:
    return "; ".join(
        each.name if each is best else f"{each.name} (lower by {-each.difference:.1f} ± {each.std_error:.1f})"
        for each in schemes
    )
