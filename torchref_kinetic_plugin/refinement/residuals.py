"""What the model leaves of each dataset, by resolution."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from torchref_kinetic_plugin.refinement.agreement import scaled_amplitudes, weighted_mean
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats
from torchref_kinetic_plugin.results import ShellResidual

#: Shells of resolution at most, and the fewest reflections of one.
_SHELLS, _FEWEST = 8, 100


def shell_residuals(model: ExperimentModel, occupancies: Tensor) -> list[ShellResidual]:
    """R and normalized differences of each dataset, references first, at occupancies (K, N) of the timepoints.

    Shells hold equal numbers of the reflections of all datasets together. Differences are to the weighted mean of the
    references; the error that all datasets share cancels in them to first order, so that their standard deviation is
    that of the measurements, with the factor by which the free reflections find sigmas too small.
    """
    scaled = scaled_amplitudes(model, occupancies)
    observed, calculated = scaled.observed, scaled.calculated
    sigmas = scaled.sigmas * np.exp(model.log_inflation().cpu().numpy())
    grid, first = model.data.grid, model.data.n_references
    differences = np.full(observed.shape, np.nan)
    if first:
        reference, reference_sigma = weighted_mean(observed[:first], sigmas[:first]), mean_sigma(sigmas[:first])
        left = observed - reference - (calculated - calculated[0])
        differences[first:] = (left / np.hypot(sigmas, reference_sigma))[first:]
    order = np.argsort(-grid.resolution, kind="stable")
    shells = np.array_split(order, max(1, min(_SHELLS, len(order) // _FEWEST)))
    rows = []
    for row, name in enumerate(model.data.datasets):
        for shell in shells:
            amplitude, model_amplitude, difference = (each[row, shell] for each in (observed, calculated, differences))
            seen, compared = np.isfinite(amplitude), np.isfinite(difference)
            total = float(amplitude[seen].sum())
            rows.append(
                ShellResidual(
                    model.data.name,
                    name,
                    float(grid.resolution[shell].max()),
                    float(grid.resolution[shell].min()),
                    int(seen.sum()),
                    int(compared.sum()),
                    float(np.abs(amplitude - model_amplitude)[seen].sum()) / total if total else None,
                    math.sqrt(float(np.mean(difference[compared] ** 2))) if compared.any() else None,
                )
            )
    return rows


def mean_sigma(sigmas: Floats) -> Floats:
    """Standard error (H,) of the weighted mean of (n, H) measurements; NaN where there is none."""
    weights = np.where(np.isfinite(sigmas), sigmas, np.inf) ** -2.0
    total = weights.sum(axis=0)
    result: Floats = np.full(total.shape, np.nan)
    result[total > 0.0] = total[total > 0.0] ** -0.5
    return result
