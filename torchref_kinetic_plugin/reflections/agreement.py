"""Two datasets against each other: their scale, and whether sigmas match how far they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.optimize import least_squares

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.reflections.asymmetric_unit import Floats, find_keys
from torchref_kinetic_plugin.reflections.observations import FEWEST, Observations

_MEDIAN_SQUARE = 0.4549364  # median of chi-square with one degree of freedom
_MOST_ROUNDS = 20
_TOO_FAR, _TOO_CLOSE = 1.5, 0.67


@final
@dataclass(frozen=True)
class RelativeScale:
    """Factor k exp(-b s^2), s = 1/(2 d), that puts one dataset on the scale of another.

    Attributes
    ----------
    k : float
        Factor of the amplitudes.
    b : float
        Difference of B factors, A^2.
    """

    k: float
    b: float

    def factors(self, resolution: Floats) -> Floats:
        """Factor (n,) of each amplitude at spacing d (n,), A."""
        return np.asarray(self.k * np.exp(-self.b / (4.0 * resolution**2)))


@final
@dataclass(frozen=True)
class SpreadShell:
    """One shell: limits in A, reflections, and the robust r.m.s. of difference over sigma."""

    d_max: float
    d_min: float
    n: int
    spread: float


@final
@dataclass(frozen=True)
class Spread:
    """How far two datasets differ, in units of what their sigmas say.

    Attributes
    ----------
    overall : float
        Robust r.m.s. of difference over sigma; 1 when sigmas are right and nothing else differs.
    n_common : int
        Reflections.
    scale : RelativeScale
        Of the second dataset to the first.
    shells : tuple of SpreadShell
        Of equal numbers of reflections, low resolution first.
    text : str
        In words.
    """

    overall: float
    n_common: int
    scale: RelativeScale
    shells: tuple[SpreadShell, ...]
    text: str


def relative_scale(reference: Observations, other: Observations) -> RelativeScale:
    """Fit scale and B of a dataset to a reference by least squares on their common reflections.

    Residuals beyond three robust standard deviations count linearly, since a few strong reflections that really
    changed should not decide.

    Raises
    ------
    InputError
        When fewer than 50 reflections are common, or the fit fails.
    """
    mine, theirs = common_reflections(reference, other)
    return _fitted(reference, other, mine, theirs)


def spread_against_sigma(reference: Observations, other: Observations, n_shells: int = 10) -> Spread:
    """Compare the difference of two datasets, put on one scale, with its sigma.

    The r.m.s. is taken from the median of squares, so that real changes of some reflections hardly count.

    Parameters
    ----------
    reference, other : Observations
        Two datasets of one crystal form.
    n_shells : int
        How many shells at most; each has 50 reflections or more.

    Raises
    ------
    InputError
        When fewer than 50 reflections are common, or they cannot be scaled.
    """
    mine, theirs = common_reflections(reference, other)
    scale = _fitted(reference, other, mine, theirs)
    resolution = reference.resolution[mine]
    factors = scale.factors(resolution)
    difference = reference.amplitude[mine] - factors * other.amplitude[theirs]
    ratio = difference**2 / (reference.sigma[mine] ** 2 + (factors * other.sigma[theirs]) ** 2)
    order = np.argsort(-resolution, kind="stable")
    shells = tuple(
        SpreadShell(float(resolution[shell[0]]), float(resolution[shell[-1]]), len(shell), _robust(ratio[shell]))
        for shell in np.array_split(order, max(1, min(n_shells, len(order) // FEWEST)))
    )
    overall = _robust(ratio)
    text = f"differences of {other.path!r} and {reference.path!r} are {overall:.2f} times what their sigmas say"
    if overall > _TOO_FAR:
        text += "; sigmas are too small, or the crystals differ in every reflection"
    elif overall < _TOO_CLOSE:
        text += "; sigmas are too large, or the datasets share observations"
    return Spread(overall, len(mine), scale, shells, text)


def common_reflections(first: Observations, second: Observations) -> tuple[np.ndarray, np.ndarray]:
    """Where the common reflections (n,) stand in each of two datasets.

    Raises
    ------
    InputError
        When they are fewer than 50.
    """
    place, found = find_keys(first.keys, second.keys)
    if found.sum() < FEWEST:
        raise InputError(
            f"{first.path!r} and {second.path!r} have {int(found.sum())} common reflections; at least "
            f"{FEWEST} are needed"
        )
    return place[found], np.flatnonzero(found)


def _robust(squares: Floats) -> float:
    return float(np.sqrt(np.median(squares) / _MEDIAN_SQUARE))


def _fitted(reference: Observations, other: Observations, mine: np.ndarray, theirs: np.ndarray) -> RelativeScale:
    target, values = reference.amplitude[mine], other.amplitude[theirs]
    exponent = 1.0 / (4.0 * reference.resolution[mine] ** 2)
    norm = float(values @ values)
    start = float(target @ values) / norm if norm > 0.0 else 0.0
    if start <= 0.0:
        raise InputError(f"{other.path!r} cannot be scaled to {reference.path!r}: amplitudes are zero")
    sigma = np.sqrt(reference.sigma[mine] ** 2 + (start * other.sigma[theirs]) ** 2)

    def residuals(parameters: Floats) -> Floats:
        return np.asarray((target - np.exp(parameters[0] - parameters[1] * exponent) * values) / sigma)

    def jacobian(parameters: Floats) -> Floats:
        slope = np.exp(parameters[0] - parameters[1] * exponent) * values / sigma
        return np.stack([-slope, exponent * slope], axis=1)

    solution = np.array([np.log(start), 0.0])
    # Huber's threshold is three times the spread, which the fit gives; each threshold makes the next spread smaller,
    # until the two agree.
    threshold = np.inf
    for _ in range(_MOST_ROUNDS):
        before, threshold = threshold, 3.0 * max(_robust(residuals(solution) ** 2), 1e-6)
        if threshold > 0.99 * before:
            break
        fit = least_squares(residuals, solution, jac=jacobian, loss="huber", f_scale=threshold)
        if not fit.success or not np.isfinite(fit.x).all():
            raise InputError(f"{other.path!r} cannot be scaled to {reference.path!r}: {fit.message}")
        solution = fit.x
    return RelativeScale(float(np.exp(solution[0])), float(solution[1]))
