"""Intensities to amplitudes (French & Wilson, Acta Cryst. A34, 517, 1978).

A true intensity J >= 0 with Wilson's distribution, mean S, was measured as I with a normal error sigma. Given the
measurement, J is distributed as a normal density of mean m = I - sigma^2/S (acentric) or I - sigma^2/(2 S) (centric)
and standard deviation sigma, times J^0 (acentric) or J^(-1/2) (centric), cut off at zero. The amplitude is the mean of
sqrt(J), its error the standard deviation. All moments are parabolic cylinder functions (DLMF 12.5.1):

    integral_0^inf J^(s-1) exp(-(J-m)^2 / (2 sigma^2)) dJ = sigma^s Gamma(s) exp(-x^2/4) D_(-s)(-x),  x = m/sigma.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gamma, pbdv, poch

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.reflections.asymmetric_unit import Flags, Floats

# Between these the functions themselves, beyond them their asymptotic series (DLMF 12.9.1, and the binomial series
# of the moments of a normal distribution, whose mass below zero is then below 1e-22).
_SERIES_FROM = 10.0
_POSITIVE_TERMS = 24
_NEGATIVE_TERMS = 40
# From here the variance of sqrt(J), a difference of nearly equal numbers, is taken from its own series.
_VARIANCE_SERIES_FROM = 300.0


def french_wilson(intensity: Floats, sigma: Floats, mean: Floats, centric: Flags) -> tuple[Floats, Floats]:
    """Amplitudes and their standard deviations, given intensities.

    For strong reflections these are sqrt(I) and sigma / (2 sqrt(I)).

    Parameters
    ----------
    intensity, sigma : ndarray
        (n,), the latter above zero.
    mean : ndarray
        (n,), expected intensity of each reflection, with its multiplicity epsilon; above zero.
    centric : ndarray
        (n,) bool.

    Returns
    -------
    tuple of ndarray
        F and its standard deviation, (n,) each, above zero.

    Raises
    ------
    InputError
        For a sigma or a mean that is not above zero, or a value that is not finite.
    """
    if not (np.isfinite(intensity).all() and np.isfinite(sigma).all() and np.isfinite(mean).all()):
        raise InputError("French-Wilson: intensities, sigmas and means have to be finite")
    if not ((sigma > 0.0).all() and (mean > 0.0).all()):
        raise InputError("French-Wilson: sigmas and mean intensities have to be above zero")
    amplitude, error = np.empty(len(intensity)), np.empty(len(intensity))
    for flag, power, width in ((False, 1.0, 1.0), (True, 0.5, 2.0)):
        rows = np.asarray(centric, dtype=np.bool_) == flag
        x = intensity[rows] / sigma[rows] - sigma[rows] / (width * mean[rows])
        first, deviation = moments(x, power)
        root = np.sqrt(sigma[rows])
        amplitude[rows], error[rows] = root * first, root * deviation
    return amplitude, error


def moments(x: Floats, power: float) -> tuple[Floats, Floats]:
    """Mean and standard deviation of sqrt(J) for sigma = 1.

    Parameters
    ----------
    x : ndarray
        (n,), m/sigma.
    power : float
        s of the factor J^(s-1): 1 for acentric, 1/2 for centric reflections.

    Returns
    -------
    tuple of ndarray
        (n,) each.
    """
    first, second = np.empty_like(x), np.empty_like(x)
    high, low = x > _SERIES_FROM, x < -_SERIES_FROM
    middle = ~(high | low)
    for rows, evaluate in ((middle, _function), (high, _positive_series), (low, _negative_series)):
        norm = evaluate(power, x[rows])
        first[rows] = evaluate(power + 0.5, x[rows]) / norm
        second[rows] = evaluate(power + 1.0, x[rows]) / norm
    variance = second - first**2
    far = x > _VARIANCE_SERIES_FROM
    # Var sqrt(1 + e/x) for normal e, with the factor: 1/(4 x^2) + c/x^4, in units of J = x.
    variance[far] = (0.25 + (0.21875 if power == 1.0 else 0.46875) / x[far] ** 2) / x[far]
    return first, np.sqrt(variance)


def _function(s: float, x: Floats) -> Floats:
    # The factor exp(-x^2/4) is common to norm and moments.
    return np.asarray(gamma(s) * pbdv(-s, -x)[0])


def _positive_series(s: float, x: Floats) -> Floats:
    """E[J^(s-1)] of a normal J with mean x and deviation 1: x^(s-1) sum_k binom(s-1, 2k) (2k-1)!! x^(-2k)."""
    total, term = np.ones_like(x), np.ones_like(x)
    for k in range(1, _POSITIVE_TERMS):
        # Ratio of binom(s-1, 2k) (2k-1)!! to the one before.
        term = term * ((s - 2 * k + 1) * (s - 2 * k) / (2 * k)) / x**2
        total += term
    return np.asarray(x ** (s - 1.0) * total)


def _negative_series(s: float, x: Floats) -> Floats:
    """Gamma(s) D_(-s)(z) exp(z^2/4) for large z = -x: Gamma(s) z^(-s) sum_k (-1)^k (s)_2k / (k! (2 z^2)^k)."""
    z = -x
    total, term = np.ones_like(z), np.ones_like(z)
    for k in range(1, _NEGATIVE_TERMS):
        term = term * (-poch(s + 2 * k - 2, 2) / (2.0 * k)) / z**2
        total += term
    return np.asarray(gamma(s) * z**-s * total)
