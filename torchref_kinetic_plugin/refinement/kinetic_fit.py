"""The fit of a provider's parameters, of the scales and of the error model to all datasets, structures as given."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from torchref_kinetic_plugin.errors import ScalingError
from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.refinement.error_model import SMALL_CHANGE, settle_error_model
from torchref_kinetic_plugin.refinement.experiment import Evaluation, ExperimentModel, Floats
from torchref_kinetic_plugin.refinement.joint_variables import Occupancies
from torchref_kinetic_plugin.refinement.quadratic import QuadraticForm
from torchref_kinetic_plugin.threads import one_thread

_log = logging.getLogger(__name__)

#: Rounds of the scales before the occupancies move.
_SCALE_ROUNDS = 2
_MAX_ITERATIONS = 60
#: Log-likelihood still to be gained below which the fit has converged.
_TOLERANCE = 0.01
_ROUNDING_GAIN = 0.1
#: Gradient at which a search on the quadratic form ends: far below what a step of the fit leaves.
_SEARCH_TOLERANCE = 0.1
#: Gain of a step below which the best parameters are so near that the next step needs no search.
_NEAR = 100.0
#: Halvings of a step that made things worse before the fit gives up on it.
_MAX_HALVINGS = 8
#: Products of scores overstate the curvature far from the best point, where scores are large because they are not yet
#: 0: by how much at most a step may lower the fraction of it that is believed, and how far.
_FASTEST_FALL = 0.25
_LEAST_CURVATURE = 0.1
#: Steps whose changes of the gradient correct the curvature.
_REMEMBERED = 3


@final
@dataclass(frozen=True)
class Iteration:
    """One step of the fit.

    Attributes
    ----------
    number : int
        From 1.
    objective : float
        Minus the log-likelihood of the work reflections, plus the regularization.
    work, free : float
        Log-likelihoods.
    regularization : float
        Of the provider.
    expected_gain : float
        What the quadratic form promised for the next step.
    halvings : int
        How often the step had to be shortened.
    """

    number: int
    objective: float
    work: float
    free: float
    regularization: float
    expected_gain: float
    halvings: int


@final
@dataclass(frozen=True, eq=False)
class KineticFit:
    """Result of `fit_kinetics`; the provider, and the models' nuisances, are left at the best point.

    Attributes
    ----------
    iterations : tuple of Iteration
        What happened.
    converged : bool
        Whether no gain was left.
    start_costs : tuple of float
        Cost that each start reached on the first quadratic form, less the best.
    evaluations : tuple of Evaluation
        Of each experiment at the end.
    """

    iterations: tuple[Iteration, ...]
    converged: bool
    start_costs: tuple[float, ...]
    evaluations: tuple[Evaluation, ...]

    @property
    def work(self) -> float:
        """Log-likelihood of the work reflections."""
        return self.iterations[-1].work

    @property
    def free(self) -> float:
        """Log-likelihood of the free reflections."""
        return self.iterations[-1].free


@one_thread()
def fit_kinetics(
    models: Sequence[ExperimentModel],
    provider: Occupancies,
    *,
    n_starts: int = 4,
    seed: int = 1,
    refine_provider: bool = True,
    refine_scale: bool = True,
    on_iteration: Callable[[Iteration], None] | None = None,
) -> KineticFit:
    """Fit everything but the structures to all datasets.

    Each step takes the log-likelihood to second order in occupancies and scales (`QuadraticForm`), finds the
    provider's best parameters for it, and goes there; a step that makes things worse is undone and halved. Before the
    first step several starts are tried on the quadratic form alone. The error model is fitted to the free
    reflections, everything else to the others.

    Parameters
    ----------
    models : sequence of ExperimentModel
        One for each experiment; their nuisances are changed.
    provider : Occupancies
        Its parameters are changed.
    n_starts : int
        Largest number of starts.
    seed : int
        Of the drawn starts.
    refine_provider, refine_scale : bool
        Whether the occupancies' parameters and the scales are refined.
    on_iteration : callable, optional
        Called after each step.

    Raises
    ------
    ScalingError
        When the likelihood is not finite at the start.
    """
    fit = _Fit(models, provider, refine_provider=refine_provider, refine_scale=refine_scale)
    fit.settle_scales()
    iterations, converged, start_costs = fit.run(n_starts, seed, on_iteration)
    best = min(start_costs, default=0.0)
    return KineticFit(tuple(iterations), converged, tuple(cost - best for cost in start_costs), tuple(fit.evaluations))


@final
@dataclass(frozen=True, eq=False)
class Proposal:
    """A step that the quadratic forms suggest.

    Attributes
    ----------
    forms : list of QuadraticForm
        Of each experiment.
    search : SecondOrderFit
        Sets and reads the provider's raw parameters.
    target : ndarray
        (n_refined,), the best ones for the forms.
    gain : float
        Log-likelihood that the step promises.
    costs : tuple of float
        What each start reached.
    """

    forms: list[QuadraticForm]
    search: SecondOrderFit
    target: Floats
    gain: float
    costs: tuple[float, ...]


class _Fit:
    """The state of a fit: parameters in the provider, nuisances in the models, and the evaluation there."""

    def __init__(
        self,
        models: Sequence[ExperimentModel],
        provider: Occupancies,
        *,
        refine_provider: bool,
        refine_scale: bool,
    ) -> None:
        self.models = list(models)
        self.provider = provider
        self.refine_provider = refine_provider
        self.refine_scale = refine_scale
        self._curvature = 1.0
        self._last_gain = math.inf
        self._forget_steps()
        self.evaluations = self._evaluate()
        if not np.isfinite(self.work):
            raise ScalingError("the likelihood of the data is not finite; look for outliers among them")

    @property
    def work(self) -> float:
        return sum(each.work for each in self.evaluations)

    @property
    def free(self) -> float:
        return sum(each.free for each in self.evaluations)

    @property
    def regularization(self) -> float:
        return float(self.provider.get_regularization_loss().detach())

    @property
    def objective(self) -> float:
        return self.regularization - self.work

    @torch.no_grad()
    def _evaluate(self) -> list[Evaluation]:
        return [model.evaluate(values) for model, values in zip(self.models, self.provider(), strict=True)]

    def settle_errors(self) -> float:
        """Fit the error model at the present occupancies and scales; return how far it moved."""
        with torch.no_grad():
            values = self.provider()
        before = [model.nuisances.copy() for model in self.models]
        moved = max(settle_error_model(model, each) for model, each in zip(self.models, values, strict=True))
        if moved < SMALL_CHANGE:
            # Not worth an evaluation of all reflections.
            for model, old in zip(self.models, before, strict=True):
                model.nuisances = old
            return moved
        self.evaluations = self._evaluate()
        self._forget_steps()
        return moved

    def settle_scales(self) -> None:
        """Fit scales and error model to each other at the present occupancies, before the objective is compared."""
        self.settle_errors()
        for _ in range(_SCALE_ROUNDS):
            if self.refine_scale:
                moves = self._scale_steps(self._forms())
                self._move_scales([model.nuisances.scale for model in self.models], moves, 1.0)
            self._refresh_designs()
            if self.settle_errors() < SMALL_CHANGE:
                self.evaluations = self._evaluate()

    def run(
        self,
        n_starts: int,
        seed: int,
        on_iteration: Callable[[Iteration], None] | None,
    ) -> tuple[list[Iteration], bool, tuple[float, ...]]:
        """Steps, whether they end with no gain left, and what each start cost on the first quadratic form."""
        iterations: list[Iteration] = []
        costs: tuple[float, ...] = ()
        before = 0.0
        for number in range(1, _MAX_ITERATIONS + 1):
            proposal = self.proposal(n_starts if number == 1 else 1, seed)
            gain, costs = proposal.gain, costs or proposal.costs
            trusted = self._curvature == 1.0
            halvings = self.step(proposal)
            iterations.append(
                Iteration(number, self.objective, self.work, self.free, self.regularization, gain, halvings)
            )
            _log.info("step %d: objective %.3f, gain %.4f, halved %d times", number, self.objective, gain, halvings)
            if on_iteration is not None:
                on_iteration(iterations[-1])
            moved = self.settle_errors()
            # Gains fall in proportion, so what is left after a step is its gain times that proportion.
            left = gain * gain / max(gain, before, 1e-300)
            # A step that no halving mends, though it trusted all of the curvature, has reached what rounding leaves.
            stuck = halvings > _MAX_HALVINGS and trusted
            if moved < SMALL_CHANGE and (left < _TOLERANCE or stuck):
                return iterations, gain < _ROUNDING_GAIN, costs
            before = gain
        return iterations, False, costs

    def proposal(self, n_starts: int, seed: int) -> Proposal:
        """Where the quadratic forms here have their best parameters."""
        forms = self._forms()
        gain = 0.0
        costs: tuple[float, ...] = (0.0,)
        search = SecondOrderFit(
            list(self.provider.modules_by_experiment) if self.refine_provider else [],
            [form.eliminated() for form in forms] if self.refine_provider else [],
        )
        target = here = search.get()
        if search.size:
            cost_here = search.terms(here)[0]
            if n_starts > 1 or self._last_gain > _NEAR:
                minima = search.minimize(n_starts, seed, gradient_tolerance=_SEARCH_TOLERANCE)
            else:
                minima = search.newton()
            search.set(here)
            gain, costs, target = cost_here - minima.cost, minima.costs, minima.raw
        if self.refine_scale:
            gain += sum(0.5 * float(form.by_scales @ form.scale_step(form.centre)) for form in forms)
        self._last_gain = gain
        return Proposal(forms, search, target, gain, costs)

    def step(self, proposal: Proposal) -> int:
        """Go where a proposal leads, or part of the way; return how often the step was halved."""
        start, before = self.objective, self.evaluations
        scales = [model.nuisances.scale for model in self.models]
        here = proposal.search.get()
        proposal.search.set(proposal.target)
        moves = self._scale_steps(proposal.forms) if self.refine_scale else [np.zeros_like(each) for each in scales]
        for halvings in range(_MAX_HALVINGS + 1):
            fraction = 0.5**halvings
            proposal.search.set(here + fraction * (proposal.target - here))
            self._move_scales(scales, moves, fraction)
            self.evaluations = self._evaluate()
            if self.objective <= start:
                # With a curvature f times the one assumed, a step gains 2 - f times what it promised.
                surplus = (start - self.objective) / max(proposal.gain, 1e-12)
                factor = min(2.0, max(_FASTEST_FALL, 2.0 - surplus)) if halvings == 0 else 2.0**halvings
                self._curvature = min(1.0, max(_LEAST_CURVATURE, factor * self._curvature))
                return halvings
        proposal.search.set(here)
        self._move_scales(scales, moves, 0.0)
        self.evaluations = before
        self._curvature = 1.0
        return _MAX_HALVINGS + 1

    def _forget_steps(self) -> None:
        """Another error model is another likelihood."""
        self._last: list[tuple[Floats, Floats]] = []
        self._steps: list[list[tuple[Floats, Floats]]] = []

    def _forms(self) -> list[QuadraticForm]:
        """The quadratic forms here, with what the last steps have shown of their curvature."""
        forms = [QuadraticForm.at(m, e) for m, e in zip(self.models, self.evaluations, strict=True)]
        here = [
            (np.r_[form.centre.ravel(), model.nuisances.scale.ravel()], np.r_[form.by_occupancies, form.by_scales])
            for form, model in zip(forms, self.models, strict=True)
        ]
        if self._last:
            self._steps.append([(x - y, g - f) for (x, f), (y, g) in zip(here, self._last, strict=True)])
        self._last = here
        forms = [form.with_curvature(self._curvature) for form in forms]
        for steps in self._steps[-_REMEMBERED:]:
            forms = [form.corrected(*step) for form, step in zip(forms, steps, strict=True)]
        return forms

    @torch.no_grad()
    def _scale_steps(self, forms: list[QuadraticForm]) -> list[Floats]:
        """The best changes of the scales' coefficients (T, p) at the provider's present occupancies."""
        return [
            form.scale_step(values.cpu().numpy()).reshape(model.nuisances.scale.shape)
            for model, form, values in zip(self.models, forms, self.provider(), strict=True)
        ]

    def _move_scales(self, before: list[Floats], moves: list[Floats], fraction: float) -> None:
        for model, old, move in zip(self.models, before, moves, strict=True):
            model.nuisances.scale = old + fraction * move

    @torch.no_grad()
    def _refresh_designs(self) -> None:
        for model, values in zip(self.models, self.provider(), strict=True):
            model.refresh_inflation_design(values)
