"""Extrapolated amplitudes, and occupancies from amplitude differences: the arithmetic of the usual way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.output.map_coefficients import difference_weights

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

#: Occupancies that are tried.
TRIALS = np.arange(0.02, 0.801, 0.01)


@dataclass(frozen=True)
class Extrapolated:
    """Amplitudes (H,) as they would be at an occupancy of 1, with their sigmas; NaN where not known."""

    amplitude: Floats
    sigma: Floats


def normalized_weights(difference: Floats, sigma: Floats) -> Floats:
    """q-weights (H,) over their mean; NaN where a difference is not known."""
    weights = difference_weights(difference, sigma)
    return np.asarray(weights / np.nanmean(weights))


def extrapolated(
    reference: Floats, difference: Floats, sigma: Floats, occupancy: float, known: Floats | float = 0.0
) -> Extrapolated:
    """Extrapolate amplitudes to an occupancy of 1.

    ``F = |F_ref| + alpha q / <q> (dF - known)``, alpha = 1 / occupancy.

    Parameters
    ----------
    reference : ndarray
        (H,), amplitudes of the reference, observed or calculated.
    difference, sigma : ndarray
        (H,), observed difference to the reference and its standard deviation.
    occupancy : float
        Of the structure at this delay.
    known : ndarray or float
        What other structures contribute to the difference.

    Returns
    -------
    Extrapolated
        Amplitudes that noise makes negative are left out.
    """
    slope = normalized_weights(difference, sigma) / occupancy
    amplitude = reference + slope * (difference - known)
    usable = np.nan_to_num(amplitude) > 0.0
    return Extrapolated(np.where(usable, amplitude, np.nan), np.where(usable, slope * sigma, np.nan))


def calculated_difference(components: Complexes, occupancies: Floats) -> Floats:
    """``|F| - |F_dark|`` (H,) of a mixture; occupancies (K - 1,) of all structures (K, H) but the first."""
    return np.asarray(np.abs(_mixture(components, occupancies)) - np.abs(components[0]))


def projected(difference: Floats, weights: Floats, components: Complexes) -> tuple[Floats, Floats]:
    """Occupancies (K - 1,) at which calculated differences match those observed, and their covariance.

    Weighted least squares of the amplitudes, so with the phase that each mixture has; the covariance is scaled to the
    residuals. NaN differences take no part.
    """
    seen = np.isfinite(difference) & np.isfinite(weights)
    observed, root, parts = difference[seen], np.sqrt(weights[seen]), components[:, seen]
    found = np.zeros(len(components) - 1)
    for _ in range(20):
        mixture = _mixture(parts, found)
        slopes = np.real(np.exp(-1j * np.angle(mixture)) * (parts[1:] - parts[0])).T * root[:, None]
        residual = root * (observed - calculated_difference(parts, found))
        step = np.linalg.lstsq(slopes, residual, rcond=None)[0]
        found = found + step
        if np.abs(step).max() < 1e-8:
            break
    variance = float(residual @ residual) / (len(observed) - len(found))
    return found, np.asarray(np.linalg.inv(slopes.T @ slopes) * variance)


def scanned(difference: Floats, weights: Floats, components: Complexes, shares: Floats) -> float:
    """Occupancy among `TRIALS` of all excited structures together, at their shares (K - 1,), that fits best."""
    misfit = [
        np.nansum(weights * (difference - calculated_difference(components, trial * shares)) ** 2) for trial in TRIALS
    ]
    return float(TRIALS[int(np.argmin(misfit))])


def _mixture(components: Complexes, occupancies: Floats) -> Complexes:
    return np.asarray(components[0] + np.tensordot(occupancies, components[1:] - components[0], axes=1))
