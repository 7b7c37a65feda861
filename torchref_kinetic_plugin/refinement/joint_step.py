"""One step over everything that moves: quasi-Newton steps in variables that are all of one size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.optimize import minimize

from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.refinement.experiment import Floats
from torchref_kinetic_plugin.refinement.joint_objective import JointObjective, Terms
from torchref_kinetic_plugin.refinement.quadratic import QuadraticForm

#: Steps whose gradients the quasi-Newton method remembers.
_MEMORY = 20
#: Random directions that measure the curvature of atoms, and how far they go: A, and in ln B.
_PROBES = 4
_PROBE = 1e-3
#: An atom's curvature, in units of the median of its kind, is taken as no more and no less than this.
_MOST_UNLIKE = 4.0
#: Gain of one quasi-Newton step below which the others are not taken: the last ones only search for rounding.
_SMALL_GAIN = 0.01
#: Information about a scaled variable that nothing else determines.
_LEAST = 1e-3


@final
@dataclass(frozen=True)
class StepResult:
    """What a step achieved.

    Attributes
    ----------
    before, after : Terms
        The objective.
    n_evaluations : int
        Of the objective.
    n_undone : int
        Trials among them that led where the objective is no number; each was undone and shortened.
    """

    before: Terms
    after: Terms
    n_evaluations: int
    n_undone: int


def joint_step(objective: JointObjective, *, iterations: int, seed: int) -> StepResult:
    """Move everything by up to so many quasi-Newton steps (L-BFGS), while they gain, and leave it at the best point.

    A log rate and a coordinate differ by orders of magnitude in what they change: atoms are scaled by the curvature
    that random probes measure, rates, yields and scales by the inverse of their common information. A step that makes
    things worse is shortened by the line search, and nothing is ever left worse than it was.

    Parameters
    ----------
    objective : JointObjective
        Its variables are moved.
    iterations : int
        Largest number of steps.
    seed : int
        Of the probes.
    """
    variables = objective.variables
    start = variables.get()
    before = objective(start)
    atoms, others = variables.atoms, slice(variables.kinetics.start, variables.size)
    scale = _atom_scales(objective, start, before.gradient, seed)
    transform = _whitening(objective)

    def at(y: Floats) -> Floats:
        x = start.copy()
        x[atoms] += scale * y[atoms]
        x[others] += transform @ y[others]
        return x

    best: tuple[float, Floats, Terms] = (before.total, start, before)
    count = undone = 0

    def evaluate(y: Floats) -> tuple[float, Floats]:
        nonlocal best, count, undone
        count += 1
        x = at(y)
        terms = objective(x)
        if not terms.finite:
            undone += 1
            # As far above the best point as the slope there promised to go below it: the line search then comes back to
            # a quarter of the way. Of an enormous value it would learn nothing, and give up where it began.
            promised = abs(float(best[2].gradient @ (x - best[1])))
            return best[0] + max(promised, _SMALL_GAIN), np.zeros_like(y)
        if terms.total < best[0]:
            best = (terms.total, x, terms)
        return terms.total, np.concatenate([terms.gradient[atoms] * scale, transform.T @ terms.gradient[others]])

    minimize(
        evaluate,
        np.zeros(variables.size),
        jac=True,
        method="L-BFGS-B",
        options={
            "maxiter": iterations,
            "maxcor": _MEMORY,
            "ftol": _SMALL_GAIN / max(abs(before.total), 1.0),
            "gtol": 1e-3,
        },
    )
    variables.set(best[1])
    return StepResult(before, best[2], count, undone)


def _atom_scales(objective: JointObjective, start: Floats, gradient: Floats, seed: int) -> Floats:
    """One over the square root of the curvature of each coordinate and displacement, by Hutchinson's probes."""
    variables = objective.variables
    size = variables.atoms.stop
    if not size:
        return np.zeros(0)
    random = np.random.default_rng(seed)
    curvature = np.zeros(size)
    for _ in range(_PROBES):
        sign = random.choice([-1.0, 1.0], size)
        ahead = start.copy()
        ahead[:size] += _PROBE * sign
        curvature += sign * (objective(ahead).gradient[:size] - gradient[:size]) / (_PROBE * _PROBES)
    kinds = ((variables.xyz, 3), (variables.b, 1), (variables.u, 6))
    for kind, width in kinds:
        # Three coordinates of an atom have nearly one curvature; their mean is the better known.
        each = curvature[kind].reshape(-1, width).mean(1)
        if len(each):
            middle = max(float(np.median(each)), _LEAST)
            curvature[kind] = np.repeat(np.clip(each, middle / _MOST_UNLIKE, middle * _MOST_UNLIKE), width)
    return 1.0 / np.sqrt(curvature)


def _whitening(objective: JointObjective) -> Floats:
    """Matrix that takes independent variables of unit curvature to rates, yields and scales."""
    variables = objective.variables
    n_kinetics = variables.kinetics.stop - variables.kinetics.start
    information = np.zeros((variables.size - variables.kinetics.start,) * 2)
    own = SecondOrderFit(list(variables.provider.modules_by_experiment) if n_kinetics else [], [])
    slopes: list[Floats | None] = [slope.numpy() for _, slope in own.jacobians()]
    slopes = slopes or [None] * len(objective.experiments)
    first = n_kinetics
    for number, experiment in enumerate(objective.experiments):
        model = experiment.model
        occupancies = variables.provider()[number].detach()
        form = QuadraticForm.at(model, model.evaluate(occupancies))
        slope = slopes[number]
        if slope is not None:
            information[:n_kinetics, :n_kinetics] += slope.T @ form.occupancies @ slope
        if variables.refine_scale:
            last = first + len(form.scales)
            information[first:last, first:last] = form.scales
            if slope is not None:
                information[:n_kinetics, first:last] = slope.T @ form.coupling
                information[first:last, :n_kinetics] = information[:n_kinetics, first:last].T
            first = last
    if not len(information):
        return information
    size = np.sqrt(np.maximum(np.diag(information), _LEAST))
    values, vectors = np.linalg.eigh(information / np.outer(size, size))
    result: Floats = vectors / np.sqrt(np.maximum(values, _LEAST)) / size[:, None]
    return result
