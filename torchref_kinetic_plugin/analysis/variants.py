"""An experiment's model with other data: reflections resampled, a dataset left out, or all drawn from the model.

Everything but the data is as in the model given, error model and scales included, and nothing is computed anew.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchref_kinetic_plugin.refinement.experiment import ExperimentData, ExperimentModel, Floats, Nuisances
from torchref_kinetic_plugin.reflections import Grid

#: Reflections of a resolution shell within which resampling stays.
_PER_SHELL = 200


def without(model: ExperimentModel, datasets: Collection[str]) -> ExperimentModel:
    """The model without what some datasets measured; they stay where they are, as datasets without a reflection.

    A reflection that only they have counts nowhere any more.
    """
    grid = model.data.grid
    rows = np.array([name in datasets for name in model.data.datasets])
    gone: dict[str, Any] = {
        name: np.where(rows[:, None], np.nan, getattr(grid, name))
        for name in ("amplitude", "sigma", "intensity", "intensity_sigma")
    }
    return _with_grid(model, replace(grid, **gone))


def resampled(model: ExperimentModel, random: np.random.Generator) -> ExperimentModel:
    """The model with as many reflections drawn from its own with replacement, within shells and sets.

    All datasets of a reflection stay together, since they share the error of the model. Work and free reflections are
    drawn from their own (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 8, on what to resample).
    """
    grid = model.data.grid
    chosen = np.empty(len(grid.hkl), dtype=np.intp)
    filled = 0
    for part in (~grid.free, grid.free):
        rows = np.flatnonzero(part)
        rows = rows[np.argsort(-grid.resolution[rows], kind="stable")]
        for shell in np.array_split(rows, max(1, len(rows) // _PER_SHELL)):
            chosen[filled : filled + len(shell)] = random.choice(shell, size=len(shell))
            filled += len(shell)
    picked: dict[str, Any] = {
        name: np.ascontiguousarray(getattr(grid, name)[..., chosen])
        for name in (
            "amplitude",
            "sigma",
            "intensity",
            "intensity_sigma",
            "free",
            "validation",
            "centric",
            "epsilon",
            "resolution",
        )
    }
    return _with_grid(model, replace(grid, hkl=grid.hkl[chosen], **picked), torch.from_numpy(chosen))


def as_timepoint(model: ExperimentModel, reference: str) -> ExperimentModel:
    """The model with one of its references given as a timepoint, before all others; the other references come first.

    Of experiments whose references stand still.
    """
    data, grid = model.data, model.data.grid
    row, first = data.datasets.index(reference), data.n_references
    order = [*(each for each in range(first) if each != row), row, *range(first, len(data.datasets))]
    moved: dict[str, Any] = {
        name: getattr(grid, name)[order] for name in ("amplitude", "sigma", "intensity", "intensity_sigma")
    }
    for name in ("paths", "cell_changes"):
        moved[name] = tuple(entry for each in order for entry in getattr(grid, name)[each : each + 1])
    rearranged = replace(grid, **moved)
    other = ExperimentModel(
        replace(
            data, datasets=tuple(data.datasets[each] for each in order), times=(-math.inf, *data.times), grid=rearranged
        ),
        model.components,
        model.base_log_scale[order].cpu().numpy(),
        model.reference_occupancies,
        resolution_terms=_resolution_terms(model),
    )
    old = model.nuisances.copy()
    other.nuisances = Nuisances(old.scale[order], old.error, old.inflation[order])
    other.strength = model.strength[order]
    return other


def drawn(model: ExperimentModel, occupancies: Tensor, random: np.random.Generator) -> ExperimentModel:
    """The model with intensities drawn from its own likelihood, at occupancies (K, N) of the timepoints.

    The common error is drawn once for each reflection, the error of measurement for each intensity; amplitudes go
    along, for scales and R factors.
    """
    grid = model.data.grid
    factor, variance = torch.exp(model.log_scale()).cpu().numpy(), model.error_variance().cpu().numpy()
    mixture = model.mixture(model.with_references(occupancies)).detach().cpu().numpy()
    parts = random.normal(size=(2, mixture.shape[1])) * np.sqrt(0.5 * variance)
    error = parts[0] + 1j * parts[1]
    # Of a centric reflection the error lies along the line of the structure factor, with all its variance.
    along = mixture[0] / np.maximum(np.abs(mixture[0]), 1e-300)
    error = np.where(grid.centric, np.sqrt(2.0) * parts[0] * along, error)
    exact = (factor * np.abs(mixture + error)) ** 2
    sigma = grid.intensity_sigma * np.exp(model.log_inflation().cpu().numpy())
    intensity = exact + sigma * random.normal(size=exact.shape)
    present = np.isfinite(grid.intensity)
    amplitude, amplitude_sigma = _amplitudes(intensity, sigma, exact)
    changed: dict[str, Any] = {
        "intensity": intensity,
        "intensity_sigma": grid.intensity_sigma,
        "amplitude": amplitude,
        "sigma": amplitude_sigma,
    }
    changed = {name: np.where(present, values, np.nan) for name, values in changed.items()}
    return _with_grid(model, replace(grid, **changed))


def _amplitudes(intensity: Floats, sigma: Floats, expected: Floats) -> tuple[Floats, Floats]:
    """Amplitudes with the mean and the error that a normal prior about the model's intensity leaves."""
    amplitude = np.sqrt(np.maximum(intensity, 0.25 * sigma))
    error = sigma / (2.0 * np.sqrt(np.maximum(expected, sigma)))
    return amplitude, error


def _with_grid(model: ExperimentModel, grid: Grid, rows: Tensor | None = None) -> ExperimentModel:
    data: ExperimentData = replace(model.data, grid=grid)
    chosen = slice(None) if rows is None else rows.to(model.components.device)
    base = model.base_log_scale[:, chosen]
    other = ExperimentModel(
        data,
        model.components[:, chosen],
        base.cpu().numpy(),
        model.reference_occupancies,
        resolution_terms=_resolution_terms(model),
    )
    # Designs are functions of the reflection; those of a drawn list may span less than the whole.
    other.scale_design, other.error_design = model.scale_design[chosen], model.error_design[chosen]
    other.nuisances = model.nuisances.copy()
    other.strength = model.strength[:, chosen].clone()
    return other


def _resolution_terms(model: ExperimentModel) -> int:
    """How many smooth terms the model's scales have."""
    return model.scale_design.shape[1] - 1 - len(model.data.crystal.symmetric_matrices)
