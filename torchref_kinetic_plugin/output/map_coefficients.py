"""Map coefficients of one timepoint, from amplitudes on an absolute scale and the error of the model."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import final

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.special import i0e, i1e

from torchref_kinetic_plugin.errors import ShapeError

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
Flags = NDArray[np.bool_]

#: How much a difference loses that lies far out, k of `difference_weights`.
OUTLIER_WEIGHT = 0.05
#: Least excited fraction for which amplitudes are extrapolated: below, their errors are multiplied by over 50.
LEAST_FRACTION = 0.02


@final
@dataclass(frozen=True, eq=False)
class MapData:
    """What the maps of a timepoint are made of; all amplitudes in electrons, on the scale of the model.

    Attributes
    ----------
    hkl : ndarray
        (H, 3) int, in the asymmetric unit.
    cell : gemmi.UnitCell
        A and degrees.
    spacegroup : gemmi.SpaceGroup
        Of the data.
    f_obs, sigma : ndarray
        (H,), amplitudes of the timepoint and their standard deviations; NaN where missing.
    f_obs_reference, sigma_reference : ndarray
        (H,), the same of the reference (of the mean, when there are several).
    f_calc : ndarray
        (H,) complex, the mixture of structures at the timepoint, with solvent.
    f_calc_reference : ndarray
        (H,) complex, the state before the trigger, with solvent.
    f_calc_excited : ndarray or None
        (H,) complex, the excited structures alone, mixed to an occupancy of 1 in all; None when there are none.
    excited_fraction : float
        Their occupancy at the timepoint: 1 less that of the state before the trigger.
    error_variance : ndarray
        (H,), ``<|E|^2>`` of the model's error E, electrons squared, with the symmetry factor epsilon.
    centric, free : ndarray
        (H,) bool.

    Raises
    ------
    ShapeError
        When arrays do not have H values each.
    """

    hkl: NDArray[np.int32]
    cell: gemmi.UnitCell
    spacegroup: gemmi.SpaceGroup
    f_obs: Floats = field(repr=False)
    sigma: Floats = field(repr=False)
    f_obs_reference: Floats = field(repr=False)
    sigma_reference: Floats = field(repr=False)
    f_calc: Complexes = field(repr=False)
    f_calc_reference: Complexes = field(repr=False)
    f_calc_excited: Complexes | None = field(repr=False)
    excited_fraction: float
    error_variance: Floats = field(repr=False)
    centric: Flags = field(repr=False)
    free: Flags = field(repr=False)

    def __post_init__(self) -> None:
        if self.hkl.ndim != 2 or self.hkl.shape[1] != 3:
            raise ShapeError(f"hkl has shape {self.hkl.shape}; (H, 3) is wanted")
        arrays = {
            "f_obs": self.f_obs,
            "sigma": self.sigma,
            "f_obs_reference": self.f_obs_reference,
            "sigma_reference": self.sigma_reference,
            "f_calc": self.f_calc,
            "f_calc_reference": self.f_calc_reference,
            "f_calc_excited": self.f_calc if self.f_calc_excited is None else self.f_calc_excited,
            "error_variance": self.error_variance,
            "centric": self.centric,
            "free": self.free,
        }
        for name, values in arrays.items():
            if values.shape != (len(self.hkl),):
                raise ShapeError(f"{name} has shape {values.shape}; ({len(self.hkl)},) as hkl is wanted")

    @property
    def difference(self) -> tuple[Floats, Floats]:
        """F_obs(t) - F_obs(reference) (H,) and its standard deviation; NaN where either lacks amplitude or sigma."""
        difference = self.f_obs - self.f_obs_reference
        sigma = np.hypot(self.sigma, self.sigma_reference)
        known = np.isfinite(difference) & np.isfinite(sigma)
        return np.where(known, difference, np.nan), np.where(known, sigma, np.nan)


@final
@dataclass(frozen=True, eq=False)
class Coefficients:
    """Coefficients of a map.

    Attributes
    ----------
    values : ndarray
        (H,) complex, electrons; NaN where a reflection takes no part.
    """

    values: Complexes

    @property
    def amplitude(self) -> Floats:
        """(H,), electrons, never negative."""
        return np.abs(self.values)

    @property
    def phase(self) -> Floats:
        """(H,), degrees, in [-180, 180)."""
        return degrees(self.values)


@final
@dataclass(frozen=True, eq=False)
class ModelMaps:
    """The maps against the mixture of structures.

    Attributes
    ----------
    best : Coefficients
        2mFo-DFc; mFo of centric reflections, DFc of those without an observation.
    residual : Coefficients
        mFo-DFc; nothing without an observation.
    figure_of_merit : ndarray
        (H,), m; NaN without an observation.
    """

    best: Coefficients
    residual: Coefficients
    figure_of_merit: Floats = field(repr=False)


@final
@dataclass(frozen=True, eq=False)
class Extrapolation:
    """The timepoint as it would be if every molecule were excited.

    Attributes
    ----------
    amplitude, sigma : ndarray
        (H,), electrons; NaN where timepoint or reference has no observation. Noise makes some amplitudes negative.
    phase : ndarray
        (H,), degrees, in [-180, 180), of the excited structures.
    best : Coefficients
        2mFext-DFc against the excited structures; mFext of centric reflections, DFc where there is no amplitude.
    """

    amplitude: Floats = field(repr=False)
    sigma: Floats = field(repr=False)
    phase: Floats = field(repr=False)
    best: Coefficients


def figure_of_merit(f_obs: Floats, sigma: Floats, f_calc: Floats, error_variance: Floats, centric: Flags) -> Floats:
    """Expected cosine of the error of a calculated phase, m.

    The true structure factor is F_calc + E with E normal and ``<|E|^2>`` = V, so that the phase follows a von Mises
    distribution and the sign of a centric reflection two points of a normal one:

        acentric  m = I1(X) / I0(X),   X = 2 F_obs F_calc / (V + 2 sigma^2)      (Sim, Acta Cryst. 12, 813, 1959)
        centric   m = tanh(X),         X = F_obs F_calc / (V + sigma^2)          (Woolfson, Acta Cryst. 9, 804, 1956)

    with D = 1, which the scale carries (Read, Acta Cryst. A42, 140, 1986). The error of measurement lies along
    F_calc, where E has V/2 of its variance, all of V when centric: hence 2 sigma^2 and sigma^2 (Murshudov et al.,
    Acta Cryst. D53, 240, 1997).

    Parameters
    ----------
    f_obs, sigma, f_calc : ndarray
        (H,), amplitudes 0 or above, and the standard deviation of the first; electrons.
    error_variance : ndarray
        (H,), V, electrons squared.
    centric : ndarray
        (H,) bool.

    Returns
    -------
    ndarray
        (H,) in [0, 1]; NaN where an argument is.
    """
    product = np.where(centric, 1.0, 2.0) * f_obs * f_calc
    variance = error_variance + np.where(centric, 1.0, 2.0) * sigma**2
    # Without any error the phase is that of the model, unless there is nothing to have a phase.
    exact = np.where(product > 0.0, np.inf, 0.0 * product)
    x = np.divide(product, variance, out=exact, where=~(variance <= 0.0))
    finite = np.where(np.isinf(x), 0.0, x)
    merit = np.where(centric, np.tanh(finite), i1e(finite) / i0e(finite))
    return np.asarray(np.where(np.isinf(x), 1.0, merit))


def difference_weights(difference: Floats, sigma: Floats, *, outlier: float = OUTLIER_WEIGHT) -> Floats:
    """Weights of amplitude differences: small where the error is large, or the difference an outlier.

        q = 1 / (1 + sigma^2 / <sigma^2> + k dF^2 / <dF^2>)

    Ursby & Bourgeois (Acta Cryst. A53, 564, 1997) weigh by the error against the signal expected; this form of it, with
    the term against outliers, is that of Ren et al. (Biochemistry 40, 13788, 2001), k that of Hekstra et al. (Nature
    540, 400, 2016).

    Parameters
    ----------
    difference, sigma : ndarray
        (H,), electrons; means are over the reflections that have both.
    outlier : float
        k, 0 or above.

    Returns
    -------
    ndarray
        (H,) in (0, 1]; NaN where a difference or its sigma is.
    """
    known = np.isfinite(difference) & np.isfinite(sigma)
    errors, squares = _over_mean(sigma, known), _over_mean(difference, known)
    weights = 1.0 / (1.0 + errors + outlier * squares)
    return np.asarray(np.where(known, weights, np.nan))


def model_maps(data: MapData) -> ModelMaps:
    """2mFo-DFc and mFo-DFc against the mixture, with its phases.

    D is 1: the scale was fitted to the model. Of centric reflections the first is mFo (Read, Acta Cryst. A42, 140,
    1986). Unobserved reflections have DFc in the first, so that it does not sink where they are many.
    """
    observed = np.isfinite(data.f_obs) & np.isfinite(data.sigma)
    f_obs = np.where(observed, data.f_obs, np.nan)
    calculated, direction = np.abs(data.f_calc), _direction(data.f_calc)
    merit = figure_of_merit(f_obs, data.sigma, calculated, data.error_variance, data.centric)
    residual = merit * f_obs - calculated
    best = np.where(observed, _twice_less(merit * f_obs, calculated, data.centric), calculated)
    return ModelMaps(Coefficients(np.asarray(best * direction)), Coefficients(np.asarray(residual * direction)), merit)


def difference_map(data: MapData) -> Coefficients:
    """Weighted F_obs(t) - F_obs(reference) on the phases of the reference.

    Weights are `difference_weights` over their mean, so that the map stays in electrons. A change shows with half its
    density, since only its component along the reference is seen (Henderson & Moffat, Acta Cryst. B27, 1414, 1971);
    with all of it where reflections are centric.
    """
    weighted = _normalized_weights(data) * data.difference[0]
    return Coefficients(np.asarray(weighted * _direction(data.f_calc_reference)))


def why_not_extrapolated(data: MapData) -> str | None:
    """Say why amplitudes of the excited structures cannot be extrapolated; None where they can."""
    if data.f_calc_excited is None:
        return "there is no excited structure at this timepoint"
    if not math.isfinite(data.excited_fraction):
        return f"the excited fraction is {data.excited_fraction}"
    if data.excited_fraction < LEAST_FRACTION:
        return f"excited fraction {data.excited_fraction:.3f}, at least {LEAST_FRACTION:g} is wanted"
    if not np.isfinite(data.difference[0]).any():
        return "timepoint and reference have no reflection in common"
    return None


def extrapolate(data: MapData) -> Extrapolation | None:
    """Amplitudes of the excited structures alone, and their map.

    With the excited fraction a and the weights q of `difference_weights` over their mean,

        F_ext = F_ref + (q / <q>) (F_obs - F_ref) / a

    (Genick et al., Science 275, 1471, 1997; weighted as in De Zitter et al., Commun. Biol. 5, 640, 2022). Its
    standard deviation counts the reference once: with s = q / (<q> a) it is that of s F_obs + (1 - s) F_ref. The
    map takes the size of F_ext where noise has made it negative.

    Returns
    -------
    Extrapolation or None
        None where `why_not_extrapolated` has a reason.
    """
    if data.f_calc_excited is None or why_not_extrapolated(data) is not None:
        return None
    slope = _normalized_weights(data) / data.excited_fraction
    amplitude = np.asarray(data.f_obs_reference + slope * data.difference[0])
    sigma = np.asarray(np.hypot(slope * data.sigma, (1.0 - slope) * data.sigma_reference))
    size = np.abs(amplitude)
    calculated = np.abs(data.f_calc_excited)
    merit = figure_of_merit(size, sigma, calculated, data.error_variance, data.centric)
    best = np.where(np.isfinite(amplitude), _twice_less(merit * size, calculated, data.centric), calculated)
    coefficients = Coefficients(np.asarray(best * _direction(data.f_calc_excited)))
    return Extrapolation(amplitude, sigma, degrees(data.f_calc_excited), coefficients)


def degrees(values: Complexes) -> Floats:
    """Phases (H,) of complex values, degrees, in [-180, 180) also when rounded to single precision."""
    phases = np.degrees(np.angle(values))
    return np.asarray(np.where(phases.astype(np.float32) >= 180.0, -180.0, phases))


def _twice_less(weighted: Floats, calculated: Floats, centric: Flags) -> Floats:
    """2mFo-DFc; mFo where centric."""
    return np.asarray(np.where(centric, weighted, 2.0 * weighted - calculated))


def _normalized_weights(data: MapData) -> Floats:
    """`difference_weights` (H,) of mean 1."""
    weights = difference_weights(*data.difference)
    known = np.isfinite(weights)
    return np.asarray(weights / weights[known].mean()) if known.any() else weights


def _over_mean(values: Floats, known: Flags) -> Floats:
    """Squares (H,) over their mean; 0 where all are."""
    squares = np.where(known, values, 0.0) ** 2
    mean = float(squares[known].mean()) if known.any() else 0.0
    return np.asarray(squares / mean) if mean > 0.0 else np.zeros_like(squares)


def _direction(values: Complexes) -> Complexes:
    """exp(i phi) (H,)."""
    return np.asarray(np.exp(1j * np.angle(values)))
