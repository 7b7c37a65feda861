"""Curvature of the log-likelihood itself, and not its expectation, in occupancies and scales.

Products of scores have the curvature as their expectation, but a few dozen coefficients against some thousand noisy
reflections are too many for an average: single directions come out up to ten times too flat or too steep. The
likelihood of a reflection depends on its own structure factors and scales alone, so moving those of one dataset at all
reflections at once shows a row of the curvature of each reflection: two evaluations for each number of a dataset.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats
from torchref_kinetic_plugin.refinement.reflection_blocks import summed

#: Datasets of an experiment up to which the whole curvature is worth its evaluations.
MOST_DATASETS = 24
#: Step of a difference, in ln k and in parts of a structure factor: small beside what a measurement says, large
#: beside rounding.
_STEP = 3e-3


@final
@dataclass(frozen=True, eq=False)
class Curvature:
    """Minus the second derivatives of the work log-likelihood of one experiment.

    Attributes
    ----------
    occupancies, coupling, scales : ndarray
        (K N, K N), (K N, T p) and (T p, T p), as of `QuadraticForm`.
    """

    occupancies: Floats
    coupling: Floats
    scales: Floats


@torch.no_grad()
def scale_curvature(model: ExperimentModel, occupancies: Tensor) -> Floats:
    """Curvature (T p, T p) in the scales' coefficients alone, at occupancies (K, N); 2 T evaluations."""
    return _symmetric(summed(_scale_rows(block) for block in _differences(model, occupancies))[0])


def _scale_rows(differences: _Differences) -> list[Tensor]:
    rows = [differences.by_scale(dataset)[1] for dataset in range(differences.n_datasets)]
    design = differences.design
    return [torch.cat([torch.einsum("un,ni,nj->iuj", row, design, design).flatten(1) for row in rows])]


@torch.no_grad()
def full_curvature(model: ExperimentModel, occupancies: Tensor) -> Curvature:
    """Curvature in occupancies (K, N) and in the scales' coefficients; 6 T evaluations."""
    own, mixed, scales = summed(_full_rows(block) for block in _differences(model, occupancies))
    return Curvature(_symmetric(own), mixed.cpu().numpy(), _symmetric(scales))


def _full_rows(differences: _Differences) -> list[Tensor]:
    design, parts = differences.design, torch.view_as_real(differences.components)
    k, first = len(parts), differences.first
    n = differences.n_datasets - first
    scales, coupling = [], []
    for dataset in range(differences.n_datasets):
        by_mixture, by_scale = differences.by_scale(dataset)
        scales.append(torch.einsum("un,ni,nj->iuj", by_scale, design, design).flatten(1))
        # (K, N) occupancies against this dataset's coefficients.
        coupling.append(torch.einsum("una,kna,ni->kui", by_mixture, parts, design).flatten(0, 1))
    # All occupancies against those of one dataset at a time.
    own = design.new_zeros(k, n, k, n)
    for timepoint in range(n):
        along = [differences.by_mixture(first + timepoint, direction) for direction in (1.0, 1.0j)]
        own[..., timepoint] = torch.einsum("unab,kna,lnb->kul", torch.stack(along, dim=-1), parts, parts)
    return [own.flatten(2).flatten(0, 1), torch.cat(coupling, dim=1), torch.cat(scales)]


@torch.no_grad()
def error_coupling(model: ExperimentModel, occupancies: Tensor) -> tuple[Floats, Floats]:
    """Curvature of occupancies (K N, m), and of scales (T p, m), with the m = q + 3 T coefficients of the error model.

    The q of the common error's variance come first, then three of each dataset's inflation; 2 T + 2 evaluations.
    """
    found = summed(_error_rows(block) for block in _differences(model, occupancies))
    return found[0].cpu().numpy(), found[1].cpu().numpy()


def _error_rows(differences: _Differences) -> list[Tensor]:
    design, parts = differences.design, torch.view_as_real(differences.components)
    by_occupancies, by_scales = [], []
    for number in range(-1, differences.n_datasets):
        by_mixture, by_scale = differences.by_error(number)
        own = differences.error_design if number < 0 else differences.inflation_design[number]
        by_occupancies.append(torch.einsum("una,kna,nj->kuj", by_mixture, parts, own).flatten(0, 1))
        by_scales.append(torch.einsum("un,ni,nj->uij", by_scale, design, own).flatten(0, 1))
    return [torch.cat(by_occupancies, dim=1), torch.cat(by_scales, dim=1)]


def _symmetric(whole: Tensor) -> Floats:
    matrix = whole.cpu().numpy()
    return np.asarray(0.5 * (matrix + matrix.T))


def _differences(model: ExperimentModel, occupancies: Tensor) -> Iterator[_Differences]:
    """Of each block of reflections."""
    everywhere = model.with_references(occupancies)
    n_reflections = len(model.work)
    square = 0.0
    for rows in model.blocks:
        of_block = float(model.mixture(everywhere, rows).abs().square().mean())
        square += of_block * ((rows.stop - rows.start) / n_reflections)
    length = _STEP * math.sqrt(square)
    for rows in model.blocks:
        yield _Differences(model, everywhere, rows, length)


@final
class _Differences:
    """Differences of scores of the work reflections of a block when one number of one dataset moves."""

    def __init__(self, model: ExperimentModel, everywhere: Tensor, rows: slice, length: float) -> None:
        self._likelihood = model.likelihood_of(rows)
        self.first, self.n_datasets = model.data.n_fixed, len(model.data.datasets)
        self._work = model.work_within(rows)
        self._mixture = model.mixture(everywhere, rows)
        self._variance, self._log_scale = model.error_variance()[rows], model.log_scale(rows=rows)
        self._inflation = model.log_inflation(rows=rows)
        self._length = length
        work = self._work + (rows.start or 0)
        self.design, self.components = model.scale_design[work], model.components[:, work]
        self.error_design = model.error_design[work]
        self.inflation_design = model.inflation_design(work)

    def by_scale(self, dataset: int) -> tuple[Tensor, Tensor]:
        """Curvature (N, n, 2) of mixtures with, and (T, n) of ln k with, ln k of a dataset."""
        found = []
        for step in (-_STEP, _STEP):
            moved = self._log_scale.clone()
            moved[dataset] += step
            found.append(self._scores(self._mixture, moved))
        (mixture, scale), (mixture_ahead, scale_ahead) = found
        return (mixture - mixture_ahead) / (2.0 * _STEP), (scale - scale_ahead) / (2.0 * _STEP)

    def by_mixture(self, dataset: int, direction: complex) -> Tensor:
        """Curvature (N, n, 2) of mixtures with that of a dataset, along 1 or i."""
        found = []
        for sign in (-1.0, 1.0):
            moved = self._mixture.clone()
            moved[dataset] += sign * direction * self._length
            found.append(self._scores(moved, self._log_scale)[0])
        return (found[0] - found[1]) / (2.0 * self._length)

    def by_error(self, number: int) -> tuple[Tensor, Tensor]:
        """Curvature of mixtures (N, n, 2) and ln k (T, n) with a dataset's ln inflation; with -1, with ln variance."""
        found = []
        for step in (-_STEP, _STEP):
            variance, inflation = self._variance, self._inflation.clone()
            if number < 0:
                variance = variance * math.exp(step)
            else:
                inflation[number] += step
            found.append(self._scores(self._mixture, self._log_scale, variance, inflation))
        (mixture, scale), (mixture_ahead, scale_ahead) = found
        return (mixture - mixture_ahead) / (2.0 * _STEP), (scale - scale_ahead) / (2.0 * _STEP)

    def _scores(
        self, mixture: Tensor, log_scale: Tensor, variance: Tensor | None = None, inflation: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        scores = self._likelihood.scores(
            mixture,
            self._variance if variance is None else variance,
            log_scale,
            self._inflation if inflation is None else inflation,
        )
        return torch.view_as_real(scores.mixture[self.first :, self._work]), scores.log_scale[:, self._work]
