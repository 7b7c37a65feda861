"""Rate constants, and structures, that may change places unnoticed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter
from torchref_kinetic_plugin.occupancies import occupancies_kinetics
from torchref_kinetic_plugin.occupancies.second_order import Floats, QuadraticTarget, SecondOrderFit
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.uncertainty import standard_errors

#: Log-likelihood that an exchange may cost at most to pass unnoticed: half the 95 % point of chi-square of one freedom.
_UNNOTICED = 1.92
#: Gradient at which a search ends; costs of less than this matter are alike.
_SEARCH_TOLERANCE = 1e-2

Pair = tuple[str, ScalarParameter, str, ScalarParameter]


def exchanges(
    provider: SeriesOccupancies,
    targets: Sequence[QuadraticTarget],
    structures: Sequence[str],
    *,
    structures_refined: bool,
) -> list[str]:
    """Exchanges after which all else can be refined so that the data hardly notice, one sentence each.

    The data are taken to second order about the present occupancies. Rate constants of transitions that have a state in
    common are exchanged; where structures are refined, which structure is which is no fixed thing either.

    Parameters
    ----------
    provider : SeriesOccupancies
        Left as it is.
    targets : sequence of QuadraticTarget
        Of each experiment about its present occupancies.
    structures : sequence of str
        (K,) names.
    structures_refined : bool
        Whether structures may change places.
    """
    weight = provider.regularization_weight
    search = SecondOrderFit(list(provider.modules_by_experiment), targets, regularization_weight=weight)
    here = search.get()
    if not len(here):
        return []
    base, pairs = search.terms(here)[0], list(_pairs(provider))
    found = []
    for one, first, other, second in pairs:
        before = math.log(first.number / second.number)
        cost = _after_exchange(search, here, (first, second)) - base
        apart = math.log(first.number / second.number)
        search.set(here)
        if cost < _UNNOTICED and before * apart < 0.0 and _distinct(search, here, first, second):
            found.append(
                f"k({one}) and k({other}) may swap: exchanged, and all else refined, the data fit as well (expected "
                f"loss of log-likelihood {max(cost, 0.0):.1f})"
            )
    if structures_refined:
        found += _structures(provider, targets, structures, [(p[1], p[3]) for p in pairs], here, base)
    return found


def _structures(
    provider: SeriesOccupancies,
    targets: Sequence[QuadraticTarget],
    structures: Sequence[str],
    pairs: Sequence[tuple[ScalarParameter, ScalarParameter]],
    here: Floats,
    base: float,
) -> list[str]:
    """Pairs of structures but the first, the reference's, that may change places."""
    found = []
    for i, j in itertools.combinations(range(1, len(structures)), 2):
        order = list(range(len(structures)))
        order[i], order[j] = j, i
        exchanged = [_permuted(target, order) for target in targets]
        modules, weight = list(provider.modules_by_experiment), provider.regularization_weight
        search = SecondOrderFit(modules, exchanged, regularization_weight=weight)
        cost = min(_after_exchange(search, here, pair) for pair in [None, *pairs]) - base
        search.set(here)
        if cost < _UNNOTICED:
            found.append(
                f"{structures[i]} and {structures[j]} may swap: with their rate constants exchanged they have the same "
                "occupancies, so that only the structures they start from say which is which"
            )
    return found


def _permuted(target: QuadraticTarget, order: list[int]) -> QuadraticTarget:
    """What the data say where structures have changed places."""
    n_structures, n_timepoints = target.centre.shape
    table = target.information.reshape(n_structures, n_timepoints, n_structures, n_timepoints)
    information = table[order][:, :, order].reshape(target.information.shape)
    return replace(target, centre=target.centre[order], information=information)


def _after_exchange(
    search: SecondOrderFit, here: Floats, pair: tuple[ScalarParameter, ScalarParameter] | None
) -> float:
    """Lowest cost from where two parameters have changed places; the search is left there."""
    search.set(here)
    if pair is not None:
        first, second = pair
        values = first.number, second.number
        if first.constraint.problem(values[1]) or second.constraint.problem(values[0]):
            return math.inf
        first.set(values[1])
        second.set(values[0])
    return search.minimize(1, 1, gradient_tolerance=_SEARCH_TOLERANCE).cost


def _distinct(search: SecondOrderFit, here: Floats, first: ScalarParameter, second: ScalarParameter) -> bool:
    """Whether the data tell two rate constants apart, so that to exchange them is another solution."""
    slope = search.gradient(torch.log(first.value) - torch.log(second.value))
    (error,) = standard_errors(slope[np.newaxis], search.terms(here)[2])
    return 0.5 * (math.log(first.number / second.number) / float(error)) ** 2 > _UNNOTICED


def _pairs(provider: SeriesOccupancies) -> Iterator[Pair]:
    """Refined rate constants of transitions with a state in common, each pair of parameters once."""
    seen: set[tuple[int, int]] = set()
    for module in provider.modules_by_experiment:
        if not isinstance(module, occupancies_kinetics):
            continue
        levels = {n: p for n, p in module.kinetics.network.rate_parameters().items() if not p.frozen}
        steps = {step.name: step for step in module.scheme.finite_steps}
        for one, other in itertools.combinations(levels, 2):
            first, second = levels[one], levels[other]
            states = [{steps[name].source, steps[name].target} for name in (one, other)]
            key = (id(first), id(second))
            if first is not second and states[0] & states[1] and key not in seen:
                seen.add(key)
                yield one, first, other, second
