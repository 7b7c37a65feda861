"""Fits from many starts: whether there is one minimum, and how many starts find it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.stats import norm, qmc

from torchref_kinetic_plugin.occupancies import occupancies_kinetics
from torchref_kinetic_plugin.occupancies.drawing import drawn_levels
from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.estimates import Key, ProviderParameters
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Nuisances
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.results import SAME_MINIMUM

#: Shares of a range, or quantiles, closer to its ends than this are not drawn.
_MARGIN = 1e-3


@final
@dataclass(frozen=True)
class StartFit:
    """Where a fit from one start began and ended: objective, and parameters by experiment, kind and name."""

    objective: float
    converged: bool
    start: dict[Key, float]
    values: dict[Key, float]


def fit_from_start(
    fitted: Sequence[ExperimentModel],
    provider: SeriesOccupancies,
    number: int,
    *,
    seed: int,
    refine_scale: bool = True,
) -> StartFit:
    """A whole fit from one drawn start, then judged by one likelihood.

    The fit finds an error model of its own, and objectives of different error models do not compare. So it goes on,
    for the few steps that this takes, with the error model of the refinement held.

    Parameters
    ----------
    fitted : sequence of ExperimentModel
        One for each experiment, after the refinement's fit; they stay as they are.
    provider : SeriesOccupancies
        As the refinement file has it; it is left where the fit ends.
    number : int
        Of the start; with the seed it decides where the fit begins, however many starts there are. 0 is the start
        that the provider has.
    seed : int
        Of all starts.
    refine_scale : bool
        Whether scales are refined.
    """
    parameters = ProviderParameters(provider)
    if number:
        _draw(provider, number, seed)
    start = parameters.values()
    models = [
        ExperimentModel(each.data, each.components, each.base_log_scale.cpu().numpy(), each.reference_occupancies)
        for each in fitted
    ]
    free = fit_kinetics(models, provider, n_starts=1, refine_scale=refine_scale)
    for model, judge in zip(models, fitted, strict=True):
        errors = judge.nuisances.copy()
        model.nuisances = Nuisances(model.nuisances.scale, errors.error, errors.inflation)
        model.strength = judge.strength
    held = fit_kinetics(models, provider, n_starts=1, refine_scale=refine_scale, refine_errors=False)
    return StartFit(held.iterations[-1].objective, free.converged and held.converged, start, parameters.values())


def _draw(provider: SeriesOccupancies, number: int, seed: int) -> None:
    """Rate constants over what the delays can observe; all else a normal number of raw units, which matter, away.

    The points are those of one scrambled Halton sequence, so they fill the space evenly and each is what it is without
    the others.
    """
    modules = list(provider.modules_by_experiment)
    levels = drawn_levels(module for module in modules if isinstance(module, occupancies_kinetics))
    vector = SecondOrderFit(modules, [])
    raw, place = vector.get(), 0
    rates = {id(level.parameter.raw) for level in levels}
    others = []
    for parameter in vector.parameters.values():
        if id(parameter) not in rates:
            others += list(range(place, place + parameter.numel()))
        place += parameter.numel()
    shares = np.clip(
        qmc.Halton(len(levels) + len(others), seed=seed).fast_forward(number).random(1)[0], _MARGIN, 1.0 - _MARGIN
    )
    raw[others] += norm.ppf(shares[len(levels) :])
    vector.set(raw)
    for level, share in zip(levels, shares, strict=False):
        value = level.at(float(share))
        # Bounds may leave out a part of what the delays can observe; there the start stays that of the file.
        if level.parameter.constraint.problem(value) is None:
            level.parameter.set(value)


def minima_of(objectives: Sequence[float]) -> list[int]:
    """Number of the minimum, from 1, of each objective, best first; those within 0.1 of a minimum's best are it."""
    found: list[int] = []
    best = -np.inf
    for objective in objectives:
        if not found or objective - best > SAME_MINIMUM:
            found.append(found[-1] + 1 if found else 1)
            best = objective
        else:
            found.append(found[-1])
    return found
