"""Amplitudes to intensities: French-Wilson amplitudes inverted, others squared.

French & Wilson's amplitude and its standard deviation (see `french_wilson`) depend on the measured I, sigma_I and the
mean intensity S through x = I/sigma_I - sigma_I/(w S), w = 1 for acentric and 2 for centric reflections, and through
the scale sqrt(sigma_I). Their ratio depends on x alone and rises with it, from the ratio of the prior (sigma_I without
bounds) upwards, so that

    F / sigma_F -> x,    sigma_I = (F / m(x))^2,    I = sigma_I (x + sigma_I / (w S)),

m(x) being the mean of sqrt(J) at sigma_I = 1. Where sigma_I is small against S, the mean takes hardly any part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import final

import numpy as np
from scipy.interpolate import CubicSpline

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.reflections.asymmetric_unit import Flags, Floats
from torchref_kinetic_plugin.reflections.french_wilson import moments
from torchref_kinetic_plugin.reflections.mean_intensity import mean_intensity

#: F / sigma_F of the prior alone, which no French-Wilson amplitude goes below: the mean over the standard deviation
#: of sqrt(J) for Wilson's distribution.
ACENTRIC_LIMIT = float(np.sqrt(np.pi / (4.0 - np.pi)))
CENTRIC_LIMIT = float(np.sqrt(2.0 / (np.pi - 2.0)))
# More reflections below the limit than this are no accident of rounding.
_MOST_BELOW = 0.005
# x is tabulated from here; below, the ratio differs from that of the prior in the fourth digit.
_LOWEST, _HIGHEST, _KNOTS = -20.0, 300.0, 3000
# Programs that make amplitudes refuse what lies further below zero. It comes out where the amplitude is mostly prior,
# and S is not known well enough, or the program's table (of three digits) not exact enough, to say more.
_MOST_SIGMAS = 4.0


@final
@dataclass(frozen=True, eq=False)
class Intensities:
    """Intensities behind amplitudes.

    Attributes
    ----------
    intensity : ndarray
        (n,), negative ones too.
    sigma : ndarray
        (n,), above zero.
    text : str
        How they were made, in words.
    """

    intensity: Floats = field(repr=False)
    sigma: Floats = field(repr=False)
    text: str


def below_limit(amplitude: Floats, sigma: Floats, centric: Flags) -> Flags:
    """Which amplitudes (n,) cannot be French & Wilson's: those less certain than the prior alone."""
    return np.asarray(amplitude < np.where(centric, CENTRIC_LIMIT, ACENTRIC_LIMIT) * sigma)


def squared(amplitude: Floats, sigma: Floats) -> tuple[Floats, Floats]:
    """F^2 (n,) and its standard deviation (n,), exact for a normal F: sqrt(4 F^2 sigma^2 + 2 sigma^4)."""
    return amplitude**2, np.sqrt(4.0 * (amplitude * sigma) ** 2 + 2.0 * sigma**4)


def inverse_french_wilson(amplitude: Floats, sigma: Floats, mean: Floats, centric: Flags) -> tuple[Floats, Floats]:
    """Intensities and their standard deviations, of which `french_wilson` makes these amplitudes.

    Parameters
    ----------
    amplitude, sigma : ndarray
        (n,), above zero.
    mean : ndarray
        (n,), expected intensity of each reflection, with its multiplicity epsilon; above zero.
    centric : ndarray
        (n,) bool.

    Returns
    -------
    tuple of ndarray
        I and sigma_I, (n,) each. Below x = -20 the measurement has said nothing, and x is not determined by the
        ratio: there sigma_I, at least some 20 times the mean, is a lower bound, and I = F^2.

    Raises
    ------
    InputError
        For an amplitude below `ACENTRIC_LIMIT` or `CENTRIC_LIMIT` times its sigma, or a sigma or a mean that is not
        above zero.
    """
    if not ((sigma > 0.0).all() and (mean > 0.0).all()):
        raise InputError("inverse of French-Wilson: sigmas and mean intensities have to be above zero")
    if (below := below_limit(amplitude, sigma, centric)).any():
        raise InputError(
            f"inverse of French-Wilson: {int(below.sum()):,} amplitudes are less than {ACENTRIC_LIMIT:.4f} (acentric) "
            f"or {CENTRIC_LIMIT:.4f} (centric) times their sigma"
        )
    x, intensity, width = _inverted(amplitude, sigma, mean, centric)
    return np.where(x > _LOWEST, intensity, amplitude**2), width


def from_amplitudes(
    amplitude: Floats, sigma: Floats, epsilon: Floats, resolution: Floats, centric: Flags
) -> Intensities:
    """Intensities of a dataset of amplitudes.

    They are taken for French & Wilson's, with the mean of F^2 + sigma^2 in shells of resolution (which is what the
    mean intensity they were made with comes out as) unless more than 0.5 % are below the limit; then, and for single
    ones below it, I = F^2. Where the inverse is mostly prior and I comes out more than 4 sigma from zero, the mean
    is not known well enough to tell I: only sigma_I is kept, which is then several times the mean, and I = F^2.

    Parameters
    ----------
    amplitude, sigma : ndarray
        (n,), finite; sigma above zero.
    epsilon : ndarray
        (n,), multiplicity of the reflection without centring.
    resolution : ndarray
        (n,), d in A.
    centric : ndarray
        (n,) bool.
    """
    intensity, width = squared(amplitude, sigma)
    below = below_limit(amplitude, sigma, centric)
    n_below, total = int(below.sum()), len(amplitude)
    shown = f"{n_below:,} of {total:,} amplitudes are less certain than French & Wilson's can be"
    if n_below > _MOST_BELOW * total:
        return Intensities(intensity, width, f"{shown}: intensities are their squares")
    try:
        mean = mean_intensity(amplitude**2 + sigma**2, epsilon, resolution).values
    except InputError as error:
        return Intensities(intensity, width, f"intensities are squares of amplitudes: {error}")
    kept = ~below
    x, inverted, width[kept] = _inverted(amplitude[kept], sigma[kept], mean[kept], centric[kept])
    unknown = (x <= _LOWEST) | ((x < -_MOST_SIGMAS) & (np.abs(inverted) > _MOST_SIGMAS * width[kept]))
    intensity[kept] = np.where(unknown, intensity[kept], inverted)
    text = f"{total - n_below:,} amplitudes taken for French & Wilson's and inverted to intensities"
    if n_below:
        text += f"; {shown}: the intensities of these are their squares"
    if n_unknown := int(unknown.sum()):
        text += f"; {n_unknown:,} are mostly prior: of these only the sigma of the intensity is known"
    return Intensities(intensity, width, text)


def _inverted(amplitude: Floats, sigma: Floats, mean: Floats, centric: Flags) -> tuple[Floats, Floats, Floats]:
    """Argument x, not below the table, I and sigma_I, (n,) each."""
    x, width = np.empty(len(amplitude)), np.empty(len(amplitude))
    centric = np.asarray(centric, dtype=np.bool_)
    for power, rows in ((1.0, ~centric), (0.5, centric)):
        ratio = amplitude[rows] / sigma[rows]
        x[rows] = _argument(ratio, power)
        width[rows] = (amplitude[rows] / moments(x[rows], power)[0]) ** 2
    return x, width * (x + width / (np.where(centric, 2.0, 1.0) * mean)), width


def _argument(ratio: Floats, power: float) -> Floats:
    """Argument x (n,) at which mean over deviation of sqrt(J) is a ratio (n,): a table, then a step of Newton's."""
    inverse, lowest, highest = _inverse_ratio(power)
    limit = _limit(power)
    # Beyond the table the ratio is 2 x, up to a term in 1/x.
    x, slope = ratio / 2.0, np.full(len(ratio), 2.0)
    inside = ratio <= highest
    level = np.log(np.maximum(ratio[inside], lowest) - limit)
    stretched = inverse(level)
    x[inside] = np.sinh(stretched)
    slope[inside] = np.exp(level) / (np.cosh(stretched) * inverse(level, 1))
    # One step brings the start, good to 0.005, to 1e-7, which is how well the moments themselves are known.
    mean, deviation = moments(x, power)
    x = x - (mean / deviation - ratio) / slope
    x[ratio <= lowest] = _LOWEST
    return np.asarray(np.maximum(x, _LOWEST))


@cache
def _inverse_ratio(power: float) -> tuple[CubicSpline, float, float]:
    """asinh(x) as a function of log(ratio - limit), and the lowest and highest ratio."""
    stretched = np.linspace(np.arcsinh(_LOWEST), np.arcsinh(_HIGHEST), _KNOTS)
    mean, deviation = moments(np.sinh(stretched), power)
    ratio = mean / deviation
    return CubicSpline(np.log(ratio - _limit(power)), stretched), float(ratio[0]), float(ratio[-1])


def _limit(power: float) -> float:
    return ACENTRIC_LIMIT if power == 1.0 else CENTRIC_LIMIT
