"""Weights of amplitudes in scaling: measurement error, what scales cannot explain, and outliers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.bridge.crystal import Floats

_MEDIAN_SQUARE = 0.4549364  # median of chi-square with one degree of freedom
_HUBER = 3.0
_PER_SHELL = 200


def measured(amplitudes: Floats, sigmas: Floats) -> NDArray[np.bool_]:
    """Where there is an amplitude with a sigma above 0."""
    return np.asarray(np.isfinite(amplitudes) & np.isfinite(sigmas) & (np.nan_to_num(sigmas) > 0.0))


def robust_weights(residual: Floats, sigma: Floats, leverage: Floats, resolution: Floats) -> Floats:
    """Inverse variances (T, H), smaller where a residual is too large to be believed.

    Datasets differ by more than their errors: they are at different times and of different crystals, and a
    model is wrong. Without that, a few strong reflections with small sigmas would decide everything. The excess
    is the difference of two structure factors, so its size depends on the resolution and not on the amplitude;
    it is estimated per dataset in shells, from the median. (Taken as proportional to the amplitude it would give
    weak reflections weight, where amplitudes of an erroneous model are too small on average, and the scale be 7 %
    too large for R = 0.16.) Residuals beyond three standard deviations count linearly (Huber, Ann. Math. Stat.
    35, 73, 1964).

    Parameters
    ----------
    residual, sigma : ndarray
        (T, H): observed - predicted, NaN where there is no observation, and the error of the observation.
    leverage : ndarray
        (T, H), how far the prediction follows the observation itself, in [0, 1).
    resolution : ndarray
        (H,), A.

    Returns
    -------
    ndarray
        (T, H), 0 where there is no observation.
    """
    squared = residual**2 / (1.0 - leverage)
    weights = np.zeros_like(residual)
    for shell in _shells(resolution, min(20, max(1, len(resolution) // _PER_SHELL))):
        for row in range(len(residual)):
            seen = shell[np.isfinite(squared[row, shell])]
            if not len(seen):
                continue
            variance = sigma[row, seen] ** 2
            excess = float(np.median(squared[row, seen] / _MEDIAN_SQUARE - variance))
            variance = variance + max(0.0, excess)
            deviation = np.sqrt(squared[row, seen] / variance)
            weights[row, seen] = np.minimum(1.0, _HUBER / np.maximum(deviation, _HUBER)) / variance
    return weights


def shell_log_ratios(ratio_weight: Floats, ratio_value: Floats, resolution: Floats, n_shells: int = 10) -> Floats:
    """Logarithm of the weighted mean ratio (T, n_shells) in shells of equal numbers of reflections, low to high.

    Parameters
    ----------
    ratio_weight, ratio_value : ndarray
        (T, H), denominators and numerators of the mean; 0 where there is no observation.
    resolution : ndarray
        (H,), A.
    n_shells : int
        How many.

    Returns
    -------
    ndarray
        NaN where a dataset has nothing in a shell.
    """
    shells = _shells(resolution, n_shells)
    above = np.stack([ratio_value[:, shell].sum(axis=1) for shell in shells], axis=1)
    below = np.stack([ratio_weight[:, shell].sum(axis=1) for shell in shells], axis=1)
    valid = (above > 0.0) & (below > 0.0)
    ratio = np.divide(above, below, out=np.full_like(above, np.nan), where=valid)
    return np.asarray(np.log(ratio))


def _shells(resolution: Floats, n_shells: int) -> list[NDArray[np.intp]]:
    return np.array_split(np.argsort(-resolution, kind="stable"), n_shells)
