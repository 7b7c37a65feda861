"""Schemes of which one contains another, and their likelihood ratios."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from scipy.stats import chi2

from torchref_kinetic_plugin.analysis.scheme_choice import Candidate
from torchref_kinetic_plugin.occupancies import occupancies_kinetics
from torchref_kinetic_plugin.refinement.estimates import ProviderParameters
from torchref_kinetic_plugin.results import LikelihoodRatio

#: Relative difference of structure factors that are the same.
_SAME = 1e-6


def likelihood_ratios(candidates: Sequence[Candidate]) -> list[LikelihoodRatio]:
    """Twice the difference of the work log-likelihoods of every nested pair, against chi-square.

    All have one error model. What fits leave may bring the statistic of a scheme that gains nothing a little below 0;
    its p value is 1.
    """
    found = []
    for smaller, larger in itertools.permutations(candidates, 2):
        freedom = ProviderParameters(larger.provider).n_refined - ProviderParameters(smaller.provider).n_refined
        if freedom > 0 and nested(smaller, larger):
            statistic = 2.0 * (larger.work - smaller.work)
            found.append(
                LikelihoodRatio(smaller.name, larger.name, statistic, freedom, float(chi2.sf(statistic, freedom)))
            )
    return found


def nested(smaller: Candidate, larger: Candidate) -> bool:
    """Whether one scheme is another without some transitions: its states on the same structures, all else alike."""
    for one, other, model, larger_model in zip(
        smaller.provider.modules_by_experiment,
        larger.provider.modules_by_experiment,
        smaller.models,
        larger.models,
        strict=True,
    ):
        if not (isinstance(one, occupancies_kinetics) and isinstance(other, occupancies_kinetics)):
            return False
        here, there = one.scheme, other.scheme
        if not set(here.transitions) <= set(there.transitions) or here.initial != there.initial:
            return False
        if here.light_activated != there.light_activated or here.impulsive != there.impulsive & set(here.transitions):
            return False
        for state, number in one.state_mapping.items():
            place = other.state_mapping.get(state)
            if place is None:
                return False
            ours, theirs = model.components[number], larger_model.components[place]
            if not torch.allclose(ours, theirs, rtol=_SAME, atol=_SAME * float(ours.abs().max())):
                return False
    return _parameters_nested(smaller, larger)


def _parameters_nested(smaller: Candidate, larger: Candidate) -> bool:
    """Whether the larger one refines all that the smaller does, and holds no parameter at another value."""
    theirs = {each[:3]: (each[3], each[5]) for each in ProviderParameters(larger.provider).starting()}
    for experiment, kind, name, value, _, refined in ProviderParameters(smaller.provider).starting():
        there, free = theirs.get((experiment, kind, name), (math.nan, False))
        if not free and (refined or not math.isclose(there, value, rel_tol=1e-9)):
            return False
    return True
