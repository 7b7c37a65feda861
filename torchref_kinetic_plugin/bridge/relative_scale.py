"""Scale and anisotropic B between datasets, from what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.bridge.anisotropy import AnisotropicScales, ScaleForm
from torchref_kinetic_plugin.bridge.crystal import Crystal, Floats, Indices
from torchref_kinetic_plugin.bridge.normal_equations import Solution, coupled, largest_change, solve
from torchref_kinetic_plugin.bridge.robust_weights import measured, robust_weights, shell_log_ratios
from torchref_kinetic_plugin.errors import ScalingError, ShapeError
from torchref_kinetic_plugin.threads import one_thread

Mask = NDArray[np.bool_]
_WEIGHT_STEPS = 16
_MAX_STEPS = 60
_TOLERANCE = 1e-9


@one_thread()
def fit_relative_scales(
    amplitudes: Floats,
    sigmas: Floats,
    hkl: Indices,
    crystal: Crystal,
    *,
    reference: int = 0,
    resolution_terms: int = 3,
    use: Mask | None = None,
    names: Sequence[str] | None = None,
    max_residual: float = 0.4,
) -> AnisotropicScales:
    """Fit F_t(h) = k_t(h) G(h), with k_reference = 1 and G(h) the common amplitude, unknown.

    Least squares in all scales and all G together: G is projected out of the normal equations (variable
    projection; Golub & Pereyra, SIAM J. Numer. Anal. 10, 413, 1973), so they have the size of the scales alone.
    As errors of every dataset are taken into account, weak data do not pull a scale towards 0, as they do when
    one dataset is regressed on another. All in float64.

    Parameters
    ----------
    amplitudes, sigmas : ndarray
        (T, H), NaN where missing.
    hkl : ndarray
        (H, 3).
    crystal : Crystal
        Cell and space group.
    reference : int
        The dataset whose scale is kept.
    resolution_terms : int
        Smooth resolution dependence beyond a B factor, see `ScaleForm`; 0 for scale and anisotropic B alone. Real
        sets of one crystal form differ by 5 % in shells after those.
    use : ndarray of bool, optional
        (H,), reflections to use, e.g. those not in the free set; default all.
    names : sequence of str, optional
        What messages call the datasets.
    max_residual : float
        Largest allowed sum |F - k G| / sum F of a dataset against the others. Unrelated data have 0.5 and more.

    Returns
    -------
    AnisotropicScales
        Of the T datasets, relative to the reference.

    Raises
    ------
    ScalingError
        When datasets have too little in common, the reflections do not determine the scales (the message names
        the dataset), the fit does not converge, or a dataset does not agree with the others.
    """
    names = [f"dataset {i + 1}" for i in range(len(amplitudes))] if names is None else list(names)
    form = ScaleForm.over(crystal, hkl, resolution_terms)
    data = _prepare(amplitudes, sigmas, hkl, form, use)
    theta = np.zeros((len(data.values), data.design.shape[1]))
    theta[:, 0] = _start(data, reference, names)
    weights = data.inverse_variance
    free = np.array([row for row in range(len(theta)) if row != reference])
    solution, step = Solution(np.zeros((0, 0)), np.zeros(0), 1.0), 0
    for step in range(1, _MAX_STEPS + 1):
        state = _State.of(data, theta, weights)
        # Weights are held after a few steps: what is left is a smooth problem that converges fast.
        if step <= _WEIGHT_STEPS:
            weights = state.new_weights(data)
            state = _State.of(data, theta, weights)
        if not len(free):
            break
        solution = solve(*coupled(data.design, state.diagonal, state.coupling, state.force, free), names, free)
        change = solution.change.reshape(len(free), -1)
        theta[free] += change * min(1.0, 1.0 / max(largest_change(change, data.design), 1e-300))
        if not np.isfinite(theta).all():
            raise ScalingError("scaling of the datasets ran away; look for wrong units or outliers among them")
        if step > _WEIGHT_STEPS and largest_change(change, data.design) < _TOLERANCE:
            break
    else:
        raise ScalingError(f"scaling of the datasets did not converge in {_MAX_STEPS} steps")
    return _result(data, theta, weights, solution, free, form, step, names, max_residual)


@final
@dataclass(frozen=True)
class _Data:
    values: Floats  # 0 where missing, so that sums need no masks
    sigmas: Floats
    inverse_variance: Floats
    present: Mask
    design: Floats
    resolution: Floats


@final
@dataclass(frozen=True)
class _State:
    """Everything the normal equations need at one set of scales; (T, H) each."""

    predicted: Floats
    leverage: Floats
    residual: Floats
    diagonal: Floats
    coupling: Floats
    force: Floats

    @classmethod
    def of(cls, data: _Data, theta: Floats, weights: Floats) -> _State:
        scale = np.exp(theta @ data.design.T)
        squared = weights * scale**2
        norm = squared.sum(axis=0)
        safe = np.where(norm > 0.0, norm, 1.0)
        common = (weights * scale * data.values).sum(axis=0) / safe
        predicted = scale * common
        residual = np.where(data.present, data.values - predicted, 0.0)
        return cls(
            predicted,
            squared / safe,
            residual,
            weights * predicted**2,
            squared * common / np.sqrt(safe),
            weights * predicted * residual,
        )

    def new_weights(self, data: _Data) -> Floats:
        residual = np.where(data.present, self.residual, np.nan)
        leverage = np.minimum(self.leverage, 1.0 - 1e-6)
        return robust_weights(residual, data.sigmas, leverage, data.resolution)


def _prepare(amplitudes: Floats, sigmas: Floats, hkl: Indices, form: ScaleForm, use: Mask | None) -> _Data:
    if amplitudes.ndim != 2 or amplitudes.shape != sigmas.shape or amplitudes.shape[1] != len(hkl):
        raise ShapeError(f"amplitudes {amplitudes.shape} and sigmas {sigmas.shape} are not (T, H) with H = {len(hkl)}")
    present = measured(amplitudes, sigmas)
    if use is not None:
        present &= use
    # A reflection in one dataset alone says nothing about scales between them.
    shared = present.sum(axis=0) >= min(2, len(amplitudes))
    columns = np.flatnonzero(shared)
    present = present[:, columns]
    values = np.where(present, amplitudes[:, columns], 0.0).astype(np.float64)
    errors = np.where(present, sigmas[:, columns], 1.0).astype(np.float64)
    indices = np.asarray(hkl)[columns]
    return _Data(
        values,
        errors,
        present / errors**2,
        present,
        form.design(indices),
        form.crystal.resolution(indices),
    )


def _start(data: _Data, reference: int, names: Sequence[str]) -> Floats:
    """Logarithms of the overall scales (T,) from median ratios, along the strongest chain of common reflections."""
    common = data.present.astype(np.float64) @ data.present.T.astype(np.float64)
    logs = np.log(np.where(data.values > 0.0, data.values, np.nan))
    start = np.full(len(names), np.nan)
    start[reference] = 0.0
    for _ in range(len(names) - 1):
        done = np.isfinite(start)
        links = np.where(done[:, None] & ~done[None, :], common, 0.0)
        known, new = np.unravel_index(int(links.argmax()), links.shape)
        ratio = logs[new] - logs[known]
        if links[known, new] == 0.0 or not np.isfinite(ratio).any():
            missing = ", ".join(name for name, ok in zip(names, done, strict=True) if not ok)
            raise ScalingError(
                f"no reflections in common with {names[reference]}, directly or through others: {missing}; "
                "their scale is not determined"
            )
        start[new] = start[known] + float(np.nanmedian(ratio))
    return start


def _result(
    data: _Data,
    theta: Floats,
    weights: Floats,
    solution: Solution,
    free: NDArray[np.intp],
    form: ScaleForm,
    steps: int,
    names: Sequence[str],
    max_residual: float,
) -> AnisotropicScales:
    state = _State.of(data, theta, weights)
    alone = 1.0 - np.minimum(state.leverage, 1.0 - 1e-6)
    # Against the common amplitude of the other datasets, else the strongest would agree with itself.
    differences = np.where(weights > 0.0, np.abs(state.residual) / alone, 0.0).sum(axis=1)
    residual = differences / np.where(weights > 0.0, data.values, 0.0).sum(axis=1)
    for name, value in zip(names, residual, strict=True):
        if len(names) > 1 and not value <= max_residual:
            raise ScalingError(
                f"{name} does not agree with the other datasets after scaling: R = {value:.2f}, allowed "
                f"{max_residual:.2f}; another crystal form, or indexed differently?"
            )
    width = theta.shape[1]
    covariance = np.zeros((len(theta), width, width))
    scatter = (weights * state.residual**2).sum(axis=1) / np.maximum((weights * alone > 0.0).sum(axis=1), 1)
    freedom = np.maximum((alone * (weights > 0.0)).mean(axis=1), 1e-6)
    for place, row in enumerate(free):
        block = slice(place * width, (place + 1) * width)
        covariance[row] = solution.inverse[block, block] * max(1.0, scatter[row] / freedom[row])
    shells = shell_log_ratios(weights * state.predicted**2, weights * state.predicted * data.values, data.resolution)
    return AnisotropicScales(form, theta, covariance, solution.condition, steps, residual, shells)
