"""Mean intensity as a function of resolution, as Wilson statistics want it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.reflections.asymmetric_unit import Floats

_PER_SHELL = 150
_MOST_SHELLS = 60
_SIGNIFICANT = 3.0
_SLOPE_KNOTS = 8


@final
@dataclass(frozen=True, eq=False)
class MeanIntensity:
    """Expected intensity of each reflection.

    Attributes
    ----------
    values : ndarray
        (n,), with the multiplicity epsilon; above zero.
    n_without_signal : int
        Reflections in shells whose mean is not three standard errors above zero.
    """

    values: Floats
    n_without_signal: int


def mean_intensity(intensity: Floats, epsilon: Floats, resolution: Floats) -> MeanIntensity:
    """Estimate the mean intensity from shells of equal numbers of reflections.

    The logarithm of the mean of I / epsilon is interpolated linearly in 1/d^2 between the shells. Shells without
    significant signal are left out; beyond the last one that has some, the line falls as it did before (Wilson's
    B factor). The crystal is taken as isotropic and without translational pseudosymmetry.

    Parameters
    ----------
    intensity : ndarray
        (n,).
    epsilon : ndarray
        (n,), multiplicity of the reflection without centring.
    resolution : ndarray
        (n,), d in A.

    Raises
    ------
    InputError
        When no shell has a mean intensity significantly above zero.
    """
    square = 1.0 / resolution**2
    order = np.argsort(square, kind="stable")
    reduced = intensity / epsilon
    shells = np.array_split(order, min(_MOST_SHELLS, max(1, len(order) // _PER_SHELL)))
    centre = np.array([square[shell].mean() for shell in shells])
    mean = np.array([reduced[shell].mean() for shell in shells])
    error = np.array([reduced[shell].std() / np.sqrt(len(shell)) for shell in shells])
    strong = (mean > 0.0) & (mean > _SIGNIFICANT * error)
    if not strong.any():
        raise InputError("no signal: the mean intensity is nowhere significantly above zero")
    knots, heights = centre[strong], np.log(mean[strong])
    fitted = np.interp(square, knots, heights)
    beyond = square > knots[-1]
    fitted[beyond] += _slope(knots, heights) * (square[beyond] - knots[-1])
    weak = sum(len(shell) for shell, kept in zip(shells, strong, strict=True) if not kept)
    return MeanIntensity(np.asarray(np.exp(fitted) * epsilon), weak)


def _slope(knots: Floats, heights: Floats) -> float:
    if len(knots) < 3:
        return 0.0
    last = slice(-_SLOPE_KNOTS, None)
    slope = float(np.polyfit(knots[last], heights[last], 1)[0])
    # Intensities do not rise beyond the last signal; a rising line there is noise.
    return min(slope, 0.0)
