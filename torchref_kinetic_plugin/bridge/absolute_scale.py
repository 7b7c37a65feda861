"""Absolute scale and bulk solvent of a dataset, by robust least squares that are brought to convergence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares
from torch import Tensor

from torchref_kinetic_plugin.bridge.anisotropy import ScaleForm
from torchref_kinetic_plugin.bridge.crystal import Crystal, Floats, Indices
from torchref_kinetic_plugin.bridge.robust_weights import measured, robust_weights
from torchref_kinetic_plugin.errors import ScalingError, ShapeError
from torchref_kinetic_plugin.threads import one_thread

#: Smooth resolution dependence of the scale beyond an anisotropic B, as TorchRef's six coefficients have it.
_RESOLUTION_TERMS = 4
#: Density of the solvent, e/A^3; (2 d)^-2 where its term is halved; exponent of the falloff; the last two TorchRef's.
_LOWEST, _HIGHEST = np.array([0.0, 0.0025, 1.0]), np.array([2.0, 0.04, 20.0])
#: A Debye-Waller factor of 46 A^2 and TorchRef's own start, a mask that ends at 3.6 A: a fit can be caught in either.
_STARTS = np.array([[0.35, math.log(2.0) / 46.0, 1.01], [0.35, 0.25 * 3.59**-2.0, 5.0]])
_WEIGHT_STEPS = 12
_ROUGH, _TOLERANCE = 1e-4, 1e-12
_FEWEST = 100


@final
@dataclass(frozen=True)
class AbsoluteScale:
    """F(h) = scale(h) | F_atoms(h) + mask_scale(h) F_mask(h) |.

    Attributes
    ----------
    scale, mask_scale : ndarray
        (H,) float64; for every reflection asked for, those without an observation included. Beyond the
        resolution of the data the polynomial is continued with its last value.
    k_sol : float
        Density of the bulk solvent, e/A^3.
    b_sol : float
        B that falls off most like the solvent term, A^2.
    r_work, r_free : float
        Of the dataset; R-free is NaN without a free set.
    """

    scale: Floats
    mask_scale: Floats
    k_sol: float
    b_sol: float
    r_work: float
    r_free: float


@one_thread()
def fit_absolute_scale(
    amplitudes: Floats,
    sigmas: Floats,
    hkl: Indices,
    crystal: Crystal,
    *,
    atoms: Tensor,
    masks: Tensor,
    free: NDArray[np.bool_] | None = None,
) -> AbsoluteScale:
    """Scale a model with bulk solvent to a dataset.

    The scale is that of `ScaleForm`; the solvent k exp(-ln 2 (s / s_half)^(2 n)), as in TorchRef: for n = 1 a
    Debye-Waller factor. TorchRef's own fit stops where the rounding of sums leads it, in the third digit of k, and
    two runs of one file part ways there; this one ends at its minimum, in float64.

    Parameters
    ----------
    amplitudes, sigmas : ndarray
        (H,), NaN where missing.
    hkl : ndarray
        (H, 3).
    crystal : Crystal
        Cell and space group.
    atoms, masks : Tensor
        (H,) complex, of the model of this dataset: one structure, or the sum over structures with the
        occupancies of the state that was measured.
    free : ndarray of bool, optional
        (H,), the free set; neither fitted nor counted in R-work.

    Returns
    -------
    AbsoluteScale
        On all H reflections.

    Raises
    ------
    ScalingError
        When too few reflections are left, or the fit does not end at finite numbers.
    """
    n = len(hkl)
    if not n == len(amplitudes) == len(sigmas) == len(atoms) == len(masks):
        raise ShapeError(f"arrays for {n} reflections differ in length")
    free = np.zeros(n, dtype=np.bool_) if free is None else np.asarray(free, dtype=np.bool_)
    seen = measured(amplitudes, sigmas) & (np.nan_to_num(amplitudes) > 0.0)
    work = np.flatnonzero(seen & ~free)
    if len(work) < _FEWEST:
        raise ScalingError(f"only {len(work)} reflections to find scale and bulk solvent with")
    hkl = np.asarray(hkl)
    form = ScaleForm.over(crystal, hkl[seen], _RESOLUTION_TERMS)
    model = _Model(
        form.design(hkl),
        0.25 * crystal.resolution(hkl) ** -2.0,
        atoms.detach().cpu().numpy().astype(np.complex128),
        masks.detach().cpu().numpy().astype(np.complex128),
    )
    found = _fit(model.of(work), amplitudes[work], sigmas[work], crystal.resolution(hkl[work]))
    calculated = model.amplitudes(found)
    k_sol, half, power = found[-3:]
    return AbsoluteScale(
        np.exp(model.design @ found[:-3]),
        k_sol * _damping(model.squares, half, power),
        float(k_sol),
        _equivalent_b(model.squares[seen], half, power),
        r_factor(amplitudes[work], calculated[work]),
        r_factor(amplitudes[seen & free], calculated[seen & free]),
    )


def r_factor(observed: Floats, calculated: Floats) -> float:
    """R, sum |F_obs - F_calc| / sum F_obs; NaN without reflections."""
    total = float(np.abs(observed).sum())
    return float(np.abs(observed - calculated).sum()) / total if total else math.nan


@final
@dataclass(frozen=True)
class _Model:
    """Amplitudes as a function of the coefficients of the scale and the three numbers of the solvent."""

    design: Floats
    squares: Floats  # (2 d)^-2
    atoms: NDArray[np.complex128]
    masks: NDArray[np.complex128]

    def of(self, rows: NDArray[np.intp]) -> _Model:
        return _Model(self.design[rows], self.squares[rows], self.atoms[rows], self.masks[rows])

    def amplitudes(self, numbers: Floats) -> Floats:
        k_sol, half, power = numbers[-3:]
        total = self.atoms + k_sol * _damping(self.squares, half, power) * self.masks
        return np.asarray(np.exp(self.design @ numbers[:-3]) * np.abs(total))

    def jacobian(self, numbers: Floats) -> Floats:
        """(H, p + 3), derivatives of the amplitudes."""
        k_sol, half, power = numbers[-3:]
        damping = _damping(self.squares, half, power)
        total = self.atoms + k_sol * damping * self.masks
        size = np.maximum(np.abs(total), 1e-300)
        scale = np.exp(self.design @ numbers[:-3])
        of_mask = scale * (total.conj() * self.masks).real / size
        # d ln(damping) = -ln2 r^n (n d ln r + ln r dn), r = squares / half.
        ratio = self.squares / half
        exponent = math.log(2.0) * ratio**power
        of_half = of_mask * k_sol * damping * exponent * power / half
        of_power = -of_mask * k_sol * damping * exponent * np.log(ratio)
        return np.column_stack([(scale * size)[:, None] * self.design, of_mask * damping, of_half, of_power])


def _damping(squares: Floats, half: float, power: float) -> Floats:
    return np.asarray(np.exp(-math.log(2.0) * (squares / half) ** power))


def _fit(model: _Model, amplitudes: Floats, sigmas: Floats, resolution: Floats) -> Floats:
    """Coefficients of the scale, then of the solvent: weights a few times anew, then held to convergence."""
    ends = [_reweighted(model, amplitudes, sigmas, resolution, start) for start in _STARTS]
    # Each has weights of its own; one set of them says which is better.
    weights = ends[0][1]
    best, weights = min(ends, key=lambda end: float((weights * (amplitudes - model.amplitudes(end[0])) ** 2).sum()))
    result = _solve(model, amplitudes, weights, best, _TOLERANCE)
    if not (result.success and np.isfinite(result.x).all()):
        raise ScalingError(f"the fit of scale and bulk solvent did not converge: {result.message}")
    return np.asarray(result.x)


def _reweighted(
    model: _Model, amplitudes: Floats, sigmas: Floats, resolution: Floats, solvent: Floats
) -> tuple[Floats, Floats]:
    numbers = np.concatenate([np.zeros(model.design.shape[1]), solvent])
    unscaled = model.amplitudes(numbers)
    positive = unscaled > 0.0
    if not positive.any():
        raise ScalingError("the model has no structure factors to find scale and bulk solvent with")
    numbers[0] = np.median(np.log(amplitudes[positive] / unscaled[positive]))
    weights = np.zeros_like(amplitudes)
    for _ in range(_WEIGHT_STEPS):
        residual = amplitudes - model.amplitudes(numbers)
        weights = robust_weights(residual[None], sigmas[None], np.zeros((1, len(residual))), resolution)[0]
        numbers = _solve(model, amplitudes, weights, numbers, _ROUGH).x
    return numbers, weights


def _solve(model: _Model, amplitudes: Floats, weights: Floats, start: Floats, tolerance: float) -> OptimizeResult:
    root = np.sqrt(weights)
    free = np.full(model.design.shape[1], np.inf)
    return least_squares(
        lambda numbers: root * (model.amplitudes(numbers) - amplitudes),
        start,
        jac=lambda numbers: root[:, None] * model.jacobian(numbers),
        bounds=(np.concatenate([-free, _LOWEST]), np.concatenate([free, _HIGHEST])),
        x_scale="jac",
        xtol=tolerance,
        ftol=tolerance,
        gtol=tolerance,
        max_nfev=200,
    )


def _equivalent_b(squares: Floats, half: float, power: float) -> float:
    """B by least squares in the logarithm of the damping, weighted by it: over the range where there is solvent."""
    damping = _damping(squares, half, power)
    log_damping = -math.log(2.0) * (squares / half) ** power
    return float(-(damping * squares * log_damping).sum() / (damping * squares**2).sum())
