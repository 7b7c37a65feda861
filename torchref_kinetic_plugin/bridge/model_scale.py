"""Scale and anisotropic B of datasets against amplitudes of a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.bridge.anisotropy import AnisotropicScales, ScaleForm
from torchref_kinetic_plugin.bridge.crystal import Crystal, Floats, Indices
from torchref_kinetic_plugin.bridge.normal_equations import Solution, coupled, largest_change, solve
from torchref_kinetic_plugin.bridge.robust_weights import measured, robust_weights, shell_log_ratios
from torchref_kinetic_plugin.errors import ScalingError, ShapeError
from torchref_kinetic_plugin.threads import one_thread

_WEIGHT_STEPS = 10
_MAX_STEPS = 60
_TOLERANCE = 1e-9


@one_thread()
def fit_scales_to_model(
    amplitudes: Floats,
    sigmas: Floats,
    model: Floats,
    hkl: Indices,
    crystal: Crystal,
    *,
    resolution_terms: int = 3,
    use: NDArray[np.bool_] | None = None,
    names: Sequence[str] | None = None,
    max_residual: float = 0.6,
) -> AnisotropicScales:
    """Fit F_t(h) = k_t(h) M_t(h), each dataset by itself, by robust least squares in float64.

    Parameters
    ----------
    amplitudes, sigmas, model : ndarray
        (T, H); NaN where missing. The model may be (H,), the same for all.
    hkl, crystal, resolution_terms, use, names, max_residual
        As of `fit_relative_scales`.

    Returns
    -------
    AnisotropicScales
        Of the T datasets, relative to the model.

    Raises
    ------
    ScalingError
        When a dataset does not determine its scale, or is not described by the model.
    """
    names = [f"dataset {i + 1}" for i in range(len(amplitudes))] if names is None else names
    model = np.broadcast_to(np.asarray(model, dtype=np.float64), amplitudes.shape)
    if amplitudes.ndim != 2 or amplitudes.shape != sigmas.shape or amplitudes.shape[1] != len(hkl):
        raise ShapeError(f"amplitudes {amplitudes.shape} and sigmas {sigmas.shape} are not (T, H) with H = {len(hkl)}")
    columns = np.arange(len(hkl)) if use is None else np.flatnonzero(use)
    form = ScaleForm.over(crystal, hkl, resolution_terms)
    design, resolution = form.design(np.asarray(hkl)[columns]), crystal.resolution(np.asarray(hkl)[columns])
    fits = [
        _fit(name, row[columns], sigma[columns], prediction[columns], design, resolution)
        for name, row, sigma, prediction in zip(names, amplitudes, sigmas, model, strict=True)
    ]
    theta = np.stack([fit[0] for fit in fits])
    predicted = np.exp(theta @ design.T) * model[:, columns]
    weights = np.concatenate([fit[1] for fit in fits])
    observed = np.where(weights > 0.0, amplitudes[:, columns], 0.0)
    expected = np.where(weights > 0.0, predicted, 0.0)
    residual = np.abs(observed - expected).sum(axis=1) / observed.sum(axis=1)
    for name, value in zip(names, residual, strict=True):
        if not value <= max_residual:
            raise ScalingError(
                f"the model does not describe {name}: R = {value:.2f}, allowed {max_residual:.2f}; another "
                "crystal form, or indexed differently?"
            )
    return AnisotropicScales(
        form,
        theta,
        np.stack([fit[2].inverse for fit in fits]),
        max(fit[2].condition for fit in fits),
        max(fit[3] for fit in fits),
        residual,
        shell_log_ratios(weights * expected**2, weights * expected * observed, resolution),
    )


def _fit(
    name: str, amplitudes: Floats, sigmas: Floats, model: Floats, design: Floats, resolution: Floats
) -> tuple[Floats, Floats, Solution, int]:
    seen = measured(amplitudes, sigmas) & np.isfinite(model)
    positive = seen & (np.nan_to_num(amplitudes) > 0.0) & (np.nan_to_num(model) > 0.0)
    if not positive.any():
        raise ScalingError(f"no data determine the scale of {name}")
    theta = np.zeros(design.shape[1])
    theta[0] = np.median(np.log(amplitudes[positive] / model[positive]))
    sigma, zero = np.where(seen, sigmas, 1.0)[None], np.zeros((1, len(seen)))
    weights = np.zeros((1, len(seen)))
    alone = np.array([0])
    for step in range(1, _MAX_STEPS + 1):
        predicted = (np.exp(design @ theta) * np.where(seen, model, 0.0))[None]
        residual = np.where(seen, amplitudes, np.nan)[None] - predicted
        if step <= _WEIGHT_STEPS:
            weights = robust_weights(residual, sigma, zero, resolution)
        force = weights * predicted * np.where(seen, residual, 0.0)
        solution = solve(*coupled(design, weights * predicted**2, zero, force, alone), [name], alone)
        change = largest_change(solution.change[None], design)
        theta = theta + solution.change * min(1.0, 1.0 / max(change, 1e-300))
        if step > _WEIGHT_STEPS and change < _TOLERANCE:
            return theta, weights, solution, step
    raise ScalingError(f"scaling of {name} to the model did not converge in {_MAX_STEPS} steps")
