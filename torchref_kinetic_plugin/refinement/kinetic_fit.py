"""The fit of a provider's parameters, of the scales and of the error model to all datasets, structures as given."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from torchref_kinetic_plugin.refinement.error_model import SMALL_CHANGE
from torchref_kinetic_plugin.refinement.experiment import Evaluation, ExperimentModel
from torchref_kinetic_plugin.refinement.fit_state import MAX_HALVINGS, FitState
from torchref_kinetic_plugin.refinement.joint_variables import Occupancies
from torchref_kinetic_plugin.refinement.scale_runaway import scales_ran_off
from torchref_kinetic_plugin.threads import one_thread

_log = logging.getLogger(__name__)

_MAX_ITERATIONS = 60
#: Log-likelihood still to be gained below which the fit has converged.
_TOLERANCE = 0.01
_ROUNDING_GAIN = 0.1
#: Steps after which a fit that still goes on takes the curvature itself.
_SLOW = 8
#: Costs that differ by less are the same minimum.
_SAME_COST = 0.1


@final
@dataclass(frozen=True)
class Iteration:
    """One step of the fit.

    Attributes
    ----------
    number : int
        From 1; 0 is where the amplitudes led.
    objective : float
        Minus the log-likelihood of the work reflections, plus the regularization.
    work, free : float
        Log-likelihoods.
    regularization : float
        Of the provider.
    expected_gain : float
        What the quadratic form promised for the step.
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
        Cost that each start reached on the quadratic form that they were tried on, less the best.
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
    refine_errors: bool = True,
    on_iteration: Callable[[Iteration], None] | None = None,
) -> KineticFit:
    """Fit everything but the structures to all datasets.

    Several starts are tried on a quadratic form of the amplitudes alone (`amplitude_form`), and the best is where the
    fit begins. Each step then takes the log-likelihood to second order in occupancies and scales (`QuadraticForm`),
    finds the provider's best parameters for it, and goes there; a step that makes things worse is undone and halved.
    Where starts ended in different places they are tried once more on the first form of the likelihood. The error
    model is fitted to the free reflections, everything else to the others.

    Parameters
    ----------
    models : sequence of ExperimentModel
        One for each experiment; their nuisances are changed.
    provider : Occupancies
        Its parameters are changed.
    n_starts : int
        Largest number of starts; with 1 the fit begins at the parameters as they are.
    seed : int
        Of the drawn starts.
    refine_provider, refine_scale : bool
        Whether the occupancies' parameters and the scales are refined.
    refine_errors : bool
        Whether the error model is fitted to the free reflections; else it stays as it is, which makes likelihoods of
        several fits comparable.
    on_iteration : callable, optional
        Called after each step.

    Raises
    ------
    ScalingError
        When the likelihood is not finite at the start.
    """
    fit = FitState(
        models, provider, refine_provider=refine_provider, refine_scale=refine_scale, refine_errors=refine_errors
    )
    report = _Report(fit, on_iteration)
    costs: tuple[float, ...] = ()
    if n_starts > 1 and fit.occupancies_move:
        approach = fit.approach(n_starts, seed)
        costs = approach.costs
        report(0, approach.gain, 0)
    else:
        fit.settle_scales()
    # Starts that agree on one place need not be tried again.
    differ = max(costs, default=0.0) - min(costs, default=0.0) > _SAME_COST
    converged, tried = iterate(fit, report, n_starts=n_starts if differ else 1, seed=seed)
    costs = costs or tried
    best = min(costs)
    return KineticFit(tuple(report.iterations), converged, tuple(cost - best for cost in costs), tuple(fit.evaluations))


class _Report:
    """Keeps what happened, and tells of it."""

    def __init__(self, fit: FitState, on_iteration: Callable[[Iteration], None] | None) -> None:
        self.iterations: list[Iteration] = []
        self._fit, self._tell = fit, on_iteration

    def __call__(self, number: int, gain: float, halvings: int) -> None:
        fit = self._fit
        self.iterations.append(Iteration(number, fit.objective, fit.work, fit.free, fit.regularization, gain, halvings))
        _log.info("step %d: objective %.3f, gain %.4f, halved %d times", number, fit.objective, gain, halvings)
        if self._tell is not None:
            self._tell(self.iterations[-1])


def iterate(
    fit: FitState,
    report: Callable[[int, float, int], None] = lambda *_: None,
    *,
    n_starts: int = 1,
    seed: int = 1,
) -> tuple[bool, tuple[float, ...]]:
    """Step until nothing is left to gain; whether that was reached, and what each start of the first step cost.

    It ends too where scales run off, before numbers do.

    ``report`` is told of each step its number, the gain it promised, and how often it was halved.
    """
    costs: tuple[float, ...] = ()
    before = 0.0
    for number in range(1, _MAX_ITERATIONS + 1):
        if number % _SLOW == 0:
            fit.take_curvature()
        proposal = fit.proposal(n_starts if number == 1 else 1, seed)
        trusted = fit.trusts_curvature
        gain, costs = proposal.gain, costs or proposal.costs
        halvings = fit.step(proposal)
        report(number, gain, halvings)
        moved = fit.settle_errors()
        if scales_ran_off(fit.models):
            return False, costs
        # Gains fall in proportion, so what is left after a whole step is its gain times that proportion.
        left = gain * gain / max(gain, before, 1e-300) if halvings == 0 else gain
        # A step that no halving mends, though it trusted all of the curvature, has reached what rounding leaves.
        stuck = halvings > MAX_HALVINGS and trusted
        if moved < SMALL_CHANGE and (left < _TOLERANCE or stuck):
            return left < _TOLERANCE or gain < _ROUNDING_GAIN, costs
        before = gain
    return False, costs
