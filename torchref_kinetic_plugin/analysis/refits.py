"""The best fit, and refits with one public value held elsewhere."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np

from torchref_kinetic_plugin.analysis.coordinates import Coordinate
from torchref_kinetic_plugin.analysis.holding import HeldOccupancies, Spring
from torchref_kinetic_plugin.analysis.ranges import RefinedRanges
from torchref_kinetic_plugin.analysis.tracing import TracedPoint, trace
from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.curvature import Curvature
from torchref_kinetic_plugin.refinement.estimates import Key, ProviderParameters
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats, Nuisances
from torchref_kinetic_plugin.refinement.fit_state import FitState
from torchref_kinetic_plugin.refinement.kinetic_fit import iterate
from torchref_kinetic_plugin.refinement.quadratic import QuadraticForm
from torchref_kinetic_plugin.refinement.uncertainty import estimate_uncertainty

_log = logging.getLogger(__name__)

#: Stiffness of the spring over the expected curvature of the profile.
_STIFFNESS = 1e4
#: Part of the distance by which a value may stay behind where it is held, before the spring is made stiffer.
_LAG = 0.01
_STIFFENING, _STIFFEST = 30.0, 1e9
#: Largest standard error, in units of the coordinate, that sets stiffness and first step.
_LARGEST_ERROR = 1.0
#: Longest step of another raw parameter that two neighbouring points suggest.
_LONGEST_STEP = 2.0
#: Searches for a better place where another parameter has run away, and a gain that is none.
_MOST_SEARCHES, _SAME_DROP, _SEARCH_TOLERANCE = 4, 0.01, 0.1
#: A point better than the best by more than this is another minimum, which is then the best; so often at most.
_BETTER, _MOST_MINIMA = 0.05, 4
#: Drop beyond which it does not matter what other parameters do.
_LARGEST_DROP = 4.0


class BetterFitError(Exception):
    """A refit lies below the best fit; raw parameters (n_refined,) and nuisances where it does."""

    def __init__(self, raw: Floats, nuisances: Sequence[Nuisances]) -> None:
        super().__init__()
        self.raw, self.nuisances = raw, nuisances


@final
class BestFit:
    """The minimum of the one likelihood whose error model is that of the models as given.

    A refinement alternates it with the error model's fit, so a little may be left to gain; that is done first.

    Parameters
    ----------
    models : sequence of ExperimentModel
        Their nuisances are changed.
    provider : SeriesOccupancies
        Its parameters are changed.
    refine_scale : bool
        Whether scales are refined.
    """

    def __init__(
        self, models: Sequence[ExperimentModel], provider: SeriesOccupancies, *, refine_scale: bool = True
    ) -> None:
        self.models, self.provider, self.refine_scale = list(models), provider, refine_scale
        self.parameters = ProviderParameters(provider)
        self.vector = SecondOrderFit(list(provider.modules_by_experiment), [])
        self.gained, self._moves = 0.0, 0
        self._curvatures: Sequence[Curvature] | None = None
        self._settle()

    def _settle(self) -> None:
        fit = self.fit(self.provider)
        iterate(fit)
        # Products of scores may leave a gain that they do not see.
        fit.take_curvature()
        self.converged = iterate(fit)[0]
        self.objective, self.raw = fit.objective, self.vector.get()
        self.nuisances = [model.nuisances.copy() for model in self.models]
        self._curvatures = fit.curvatures
        self.uncertainty = estimate_uncertainty(self.models, self.provider)
        self.ranges = RefinedRanges(self.provider)

    def fit(self, occupancies: SeriesOccupancies | HeldOccupancies) -> FitState:
        """A fit of the one likelihood, at the present parameters."""
        state = FitState(
            self.models,
            occupancies,
            refine_provider=True,
            refine_scale=self.refine_scale,
            refine_errors=False,
            curvatures=self._curvatures,
        )
        state.begin()
        return state

    def set(self, raw: Floats, nuisances: Sequence[Nuisances]) -> None:
        """Go to raw parameters (n_refined,) and nuisances."""
        self.vector.set(raw)
        for model, each in zip(self.models, nuisances, strict=True):
            model.nuisances = each.copy()

    def restore(self) -> None:
        """Return to the minimum."""
        self.set(self.raw, self.nuisances)

    @property
    def is_final(self) -> bool:
        """Whether so many better ones were found that another would not be taken."""
        return self._moves >= _MOST_MINIMA

    def move_to(self, better: BetterFitError) -> None:
        """Take another minimum."""
        before = self.objective
        self.set(better.raw, better.nuisances)
        self._settle()
        self._moves += 1
        self.gained += before - self.objective
        _log.info("a profile found a fit better by %.3f", before - self.objective)

    @property
    def remarks(self) -> list[str]:
        """What a user has to know of it, in words."""
        found = [] if self.converged else ["the fit at the best value has not converged"]
        if self.gained > _BETTER:
            found.append(
                f"a fit better by {self.gained:.2f} in the log-likelihood than the one given was found on the way; the "
                "profile is about that one"
            )
        return found


@final
@dataclass(frozen=True, eq=False)
class _Refit:
    """Where a refit has led: raw parameters, nuisances, and what has reached an end of its range."""

    raw: Floats
    nuisances: Sequence[Nuisances]
    ends: Mapping[int, str] = field(default_factory=dict)


@final
class Walk:
    """Refits along one parameter, each from its neighbour.

    Parameters
    ----------
    best : BestFit
        Where the walk begins.
    key : tuple of str
        Experiment, kind and name of what is held.
    coordinate : Coordinate
        On which.
    along : ndarray
        (n_refined,), derivatives of the coordinate in the raw parameters.
    """

    def __init__(self, best: BestFit, key: Key, coordinate: Coordinate, along: Floats) -> None:
        self._best, self._coordinate, self._held = best, coordinate, along != 0.0
        self._spring = Spring(lambda: coordinate(best.parameters.tensors()[key][0]), 0.0, 0.0)
        self._occupancies = HeldOccupancies(best.provider, self._spring)
        self._origin = self._spring.place().item()
        error, self._direction = math.inf, along / (along @ along)
        whole, self._share = best.uncertainty.covariance, 1.0
        if np.isfinite(whole[np.ix_(self._held, self._held)]).all():
            covariance = np.where(np.isfinite(whole), whole, 0.0)
            by_error_model = best.uncertainty.by_error_model
            conditional = covariance if by_error_model is None else covariance - by_error_model
            variance, total = float(along @ conditional @ along), float(along @ covariance @ along)
            error, self._direction = math.sqrt(total), conditional @ along / variance
            # Of the variance, what remains with the error model held: the fall is that much smaller.
            self._share = variance / total
        self._error = min(error, _LARGEST_ERROR)
        self._spring.stiffness = _STIFFNESS / self._error**2
        self._met: dict[str, float] = {}
        self._unsettled: list[float] = []

    def side(self, sign: float) -> list[TracedPoint]:
        """Points on one side of the best value, nearest first."""
        self._best.restore()
        self._fit = self._best.fit(self._occupancies)
        self._known = {0.0: _Refit(self._best.raw, self._best.nuisances)}
        return trace(self._point, sign, self._error, self._coordinate.furthest)

    def _point(self, distance: float) -> TracedPoint:
        """The best of refits with the value at a distance from the best."""
        near = sorted(self._known, key=lambda each: abs(each - distance))
        point, found = self._refit(distance, self._extrapolated(distance, near))
        for _ in range(_MOST_SEARCHES if found.ends else 0):
            other, there = self._refit(distance, self._searched(found, near))
            gained = point.drop - other.drop
            if gained > 0.0:
                point, found = other, there
            if gained < _SAME_DROP or not found.ends:
                break
        if point.drop < -_BETTER and not self._best.is_final:
            raise BetterFitError(found.raw, found.nuisances)
        self._known[point.distance] = found
        if point.drop < _LARGEST_DROP:
            for text in found.ends.values():
                self._met.setdefault(text, point.value)
        if not point.converged:
            self._unsettled.append(point.value)
        return point

    def _refit(self, distance: float, start: _Refit) -> tuple[TracedPoint, _Refit]:
        best, fit, spring = self._best, self._fit, self._spring
        best.set(start.raw, start.nuisances)
        spring.target = self._origin + distance
        fit.begin()
        converged = iterate(fit)[0]
        while abs(spring.place().item() - spring.target) > _LAG * abs(distance) and spring.stiffness < _STIFFEST:
            spring.stiffness *= _STIFFENING
            fit.begin()
            converged = iterate(fit)[0]
        raw, place = best.vector.get(), spring.place().item()
        drop = self._share * (fit.objective - spring.energy().item() - best.objective)
        ends = best.ranges.reached(raw, best.raw, self._held)
        point = TracedPoint(place - self._origin, drop, self._coordinate.value(place), converged)
        return point, _Refit(raw, [model.nuisances.copy() for model in best.models], ends)

    def _extrapolated(self, distance: float, near: Sequence[float]) -> _Refit:
        """On the line through the two nearest points."""
        first = self._known[near[0]]
        gap = distance - near[0]
        if len(near) == 1:
            return _Refit(first.raw + gap * self._direction, first.nuisances)
        change = gap * (first.raw - self._known[near[1]].raw) / (near[0] - near[1])
        # What runs away between two points would run much further on their line.
        change = np.where(self._held, change, np.clip(change, -_LONGEST_STEP, _LONGEST_STEP))
        return _Refit(first.raw + change, first.nuisances)

    def _searched(self, found: _Refit, near: Sequence[float]) -> _Refit:
        """Where a search on the quadratic forms at a refit leads from elsewhere.

        What has run away, as may happen on a long step, feels no gradient any more that would bring it back. The forms
        hold far from where they were made: the search begins with it as it was at the nearest point where it had not.
        """
        best = self._best
        best.set(found.raw, found.nuisances)
        forms = [QuadraticForm.at(*pair) for pair in zip(best.models, self._fit.evaluations, strict=True)]
        search = SecondOrderFit(
            self._occupancies.modules_by_experiment, [form.eliminated(best.refine_scale) for form in forms]
        )
        clean = next(self._known[each] for each in near if not self._known[each].ends)
        raw, places = found.raw.copy(), list(found.ends)
        raw[places] = clean.raw[places]
        search.set(raw)
        return _Refit(search.minimize(1, 1, gradient_tolerance=_SEARCH_TOLERANCE).raw, found.nuisances)

    @property
    def remarks(self) -> list[str]:
        """What happened to other parameters on the way, and where refits did not settle."""
        found = [f"{text} where this is {value:.3g}" for text, value in self._met.items()]
        if self._unsettled:
            found.append(f"refits have not converged at {', '.join(f'{value:.3g}' for value in self._unsettled)}")
        return found
