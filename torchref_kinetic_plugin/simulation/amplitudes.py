"""Amplitudes from noisy intensities, by the posterior of French and Wilson."""

from __future__ import annotations

import numpy as np

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.simulation.structure_factors import Flags, Reals, Reflections

#: Reflections in a resolution shell that estimates the mean intensity.
_SHELL = 200
#: Half width of the integral, in standard deviations of the intensity.
_WIDTH = 9.0
_NODES = 96


def mean_intensity(intensity: Reals, reflections: Reflections) -> Reals:
    """Expected intensity (n,) of each reflection: the mean over its shell, times epsilon.

    Between the centres of shells its logarithm is interpolated; outside the first and last it is that of the shell.

    Raises
    ------
    InputError
        When a shell has a mean of zero or below, i.e. the noise is larger than all signal.
    """
    order = np.argsort(reflections.s_squared, kind="stable")
    shells = np.array_split(order, max(1, len(order) // _SHELL))
    centres = np.array([reflections.s_squared[shell].mean() for shell in shells])
    means = np.array([np.mean(intensity[shell] / reflections.epsilon[shell]) for shell in shells])
    if np.any(means <= 0.0):
        worst = centres[np.argmin(means)] ** -0.5
        raise InputError(f"no signal at {worst:.2f} A: the mean intensity there is not positive; lower the noise")
    return np.asarray(
        np.exp(np.interp(reflections.s_squared, centres, np.log(means))) * reflections.epsilon, dtype=np.float64
    )


def posterior_amplitudes(intensity: Reals, sigma: Reals, expected: Reals, centric: Flags) -> tuple[Reals, Reals]:
    """Mean and standard deviation of the amplitude given a noisy intensity, which may be negative.

    Parameters
    ----------
    intensity, sigma : ndarray
        (n,) measured intensities and their standard deviations.
    expected : ndarray
        (n,) mean intensities of the Wilson prior.
    centric : ndarray
        (n,) whether the prior is that of centric reflections.

    Returns
    -------
    tuple of ndarray
        (n,) amplitudes and (n,) standard deviations, all positive.

    Notes
    -----
    French & Wilson, Acta Cryst. A34, 517 (1978). The posterior of F is ``F exp(-F^2 / S)`` (acentric) or
    ``exp(-F^2 / 2S)`` (centric) times the Gaussian of the intensity; integrated by Gauss-Legendre.
    """
    shift = np.where(centric, 0.5, 1.0) * sigma / expected
    # In units of sigma the exponent is a Gaussian about this mode, which may be far below zero.
    mode = intensity / sigma - shift
    peak = np.maximum(mode, 0.0)
    lower = np.sqrt(np.maximum(peak - _WIDTH, 0.0))
    upper = np.sqrt(peak + np.where(mode < 0.0, _decay(mode), _WIDTH))
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    amplitude = lower[:, None] + (upper - lower)[:, None] * (nodes + 1.0) / 2.0
    exponent = -0.5 * (amplitude**2 - mode[:, None]) ** 2 + 0.5 * (peak - mode)[:, None] ** 2
    density = weights * np.exp(exponent) * np.where(centric[:, None], 1.0, amplitude)
    total = density.sum(axis=1)
    mean = (density * amplitude).sum(axis=1) / total
    variance = (density * (amplitude - mean[:, None]) ** 2).sum(axis=1) / total
    unit = np.sqrt(sigma)
    return np.asarray(mean * unit, dtype=np.float64), np.asarray(np.sqrt(variance) * unit, dtype=np.float64)


def _decay(mode: Reals) -> Reals:
    """Where the tail above zero of a Gaussian centred at a negative mode has fallen by ``exp(-width^2 / 2)``."""
    return np.asarray(np.sqrt(mode**2 + _WIDTH**2) + mode, dtype=np.float64)
