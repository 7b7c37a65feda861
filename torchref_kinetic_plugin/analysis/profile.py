"""Profile likelihoods: how far a parameter can go while all others follow.

The likelihood is that of the standard errors: error model as at the best fit, scales and all else refined anew at every
point. What the error model itself leaves open widens a profile as it widens the covariance: its fall is multiplied by
the share of the variance that remains with the error model held. Where the likelihood is normal a profile is a parabola
and its interval that of the covariance; where it is not, the interval has ends of its own, or none (Venzon &
Moolgavkar, Applied Statistics 37, 87-94, 1988; Raue et al., Bioinformatics 25, 1923-1929, 2009, on flat profiles).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import final

import numpy as np

from torchref_kinetic_plugin.analysis.coordinates import Coordinate
from torchref_kinetic_plugin.analysis.preserved import preserved
from torchref_kinetic_plugin.analysis.refits import BestFit, BetterFitError, Walk
from torchref_kinetic_plugin.analysis.tracing import DROP, TracedPoint, limit_of
from torchref_kinetic_plugin.errors import UnknownNameError
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.estimates import Key, ProviderParameters
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats
from torchref_kinetic_plugin.results import Profile, ProfilePoint
from torchref_kinetic_plugin.threads import one_thread


@one_thread()
def profiles(
    models: Sequence[ExperimentModel],
    provider: SeriesOccupancies,
    *,
    keys: Collection[Key] | None = None,
    refine_scale: bool = True,
    on_profile: Callable[[Profile], None] = lambda _: None,
) -> list[Profile]:
    """Profile likelihoods of a provider's parameters about the best fit; nothing is changed.

    Parameters
    ----------
    models : sequence of ExperimentModel
        One for each experiment, after the fit.
    provider : SeriesOccupancies
        After the fit.
    keys : collection of Key, optional
        Experiment, kind and name of those wanted, as `ProviderParameters` has them; by default all that are refined.
    refine_scale : bool
        Whether scales are refined at every point.
    on_profile : callable
        Told of each finished profile; where a better fit is found on the way, of all of them again.

    Raises
    ------
    UnknownNameError
        For a key that is not of a refined parameter.
    """
    refined = ProviderParameters(provider).slopes()
    wanted = list(refined) if keys is None else list(dict.fromkeys(keys))
    for key in wanted:
        if key not in refined:
            raise UnknownNameError("refined parameter", " ".join(key), [" ".join(each) for each in refined])
    with preserved(models, provider):
        best = BestFit(models, provider, refine_scale=refine_scale)
        while True:
            about, found = _Profiling(best), []
            try:
                for key in wanted:
                    found.append(about.profile(key))
                    on_profile(found[-1])
            except BetterFitError as better:
                best.move_to(better)
            else:
                return found


@final
class _Profiling:
    """Profiles about one best fit."""

    def __init__(self, best: BestFit) -> None:
        self._best = best
        self._done: list[tuple[str, float, Floats, Profile]] = []

    def profile(self, key: Key) -> Profile:
        """Profile of one parameter; one that is the same in another experiment is computed once."""
        best = self._best
        best.restore()
        value, unit = best.parameters.tensors()[key]
        number, slope = value.item(), best.parameters.slopes()[key]
        experiment, kind, name = key
        for same_kind, same_number, same_slope, found in self._done:
            if same_kind == kind and same_number == number and np.array_equal(same_slope, slope):
                return replace(found, experiment=experiment, name=name)
        coordinate = Coordinate.of(key, number, slope)
        walk = Walk(best, key, coordinate, slope * coordinate.slope(number))
        sides = [walk.side(sign) for sign in (-1.0, 1.0)]
        limits = [limit_of(side) for side in sides]
        lower, upper = (
            None if limit is None else coordinate.value(coordinate.place(number) + limit) for limit in limits
        )
        remarks = [
            _open_ended(side, word, unit)
            for limit, side, word in zip(limits, sides, ("lower", "upper"), strict=True)
            if limit is None
        ]
        points = [ProfilePoint(point.value, point.drop) for side in sides for point in side]
        points = sorted([*points, ProfilePoint(number, 0.0)], key=lambda point: point.value)
        found = Profile(
            experiment, kind, name, unit, number, tuple(points), lower, upper, (*remarks, *best.remarks, *walk.remarks)
        )
        self._done.append((kind, number, slope, found))
        return found


def _open_ended(side: Sequence[TracedPoint], word: str, unit: str) -> str:
    """Why a profile has no limit on a side, in words."""
    end = f"{'down' if word == 'lower' else 'up'} to {side[-1].value:.3g} {unit}".rstrip() if side else "at its end"
    fall = max([0.0, *(point.drop for point in side)])
    return f"not determined, no {word} limit: {end} the log-likelihood falls by {fall:.2f}, less than {DROP:.2f}"
