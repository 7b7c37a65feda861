"""One experiment: its datasets on one grid, the structures' structure factors there, and all that is not kinetics."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cached_property
from typing import final

import numpy as np
import torch
from torch import Tensor

from torchref_kinetic_plugin.bridge import ScaleForm
from torchref_kinetic_plugin.errors import ShapeError
from torchref_kinetic_plugin.refinement.common_error import CommonErrorLikelihood, Scores, require_sigmas
from torchref_kinetic_plugin.refinement.evaluation import Evaluation, Parts
from torchref_kinetic_plugin.refinement.measured import ExperimentData, Flags, Floats, Nuisances
from torchref_kinetic_plugin.refinement.reflection_blocks import are_few, block_length, kept_dtype, reflection_blocks

__all__ = ["Evaluation", "ExperimentData", "ExperimentModel", "Flags", "Floats", "Nuisances"]

#: Chebyshev polynomials in 1/d^2 that describe ln of the error's variance; the second is the first of the inflation's.
_ERROR_TERMS = 3
#: Smallest starting variance of the common error, as a fraction of the mean intensity.
_LEAST_ERROR = 1e-3
#: Some reflections: a block, or their numbers.
Rows = slice | Tensor
_ALL = slice(None)


@final
class ExperimentModel:
    """Forward model and likelihood of one experiment; structures as given.

    What has a number for each observation beside the data themselves is computed block by block (see
    `reflection_blocks`); where one block holds all reflections it is kept.

    Parameters
    ----------
    data : ExperimentData
        What was measured.
    components : Tensor
        (K, H) complex128, structure factors of the structures with their solvent, in electrons.
    log_scale : ndarray
        (T, H), ln of what takes amplitudes in electrons to those of each dataset.
    reference_occupancies : ndarray
        (K,), of the references; without any, of the first dataset, at the start.
    resolution_terms : int
        See `ScaleForm`.

    Attributes
    ----------
    blocks : tuple of slice
        Of all reflections.
    strength : Tensor
        (T, H), what the sigmas' model depends on beside 1/d^2: ln(1 + I / sigma) of the model, less its mean.
    """

    def __init__(
        self,
        data: ExperimentData,
        components: Tensor,
        log_scale: Floats,
        reference_occupancies: Floats,
        *,
        resolution_terms: int = 3,
    ) -> None:
        grid = data.grid
        n_sets, n_reflections = grid.amplitude.shape
        if components.shape[1] != n_reflections or log_scale.shape != (n_sets, n_reflections):
            raise ShapeError(
                f"structure factors {tuple(components.shape)} and scales {log_scale.shape} do not fit data "
                f"{grid.amplitude.shape}"
            )
        self.data = data
        self.components = components
        self.reference_occupancies = np.asarray(reference_occupancies, dtype=np.float64)
        device = components.device
        self._before = torch.as_tensor(self.reference_occupancies, device=device).unsqueeze(1)
        self._intensities = torch.as_tensor(grid.intensity, device=device)
        self._sigmas = torch.as_tensor(grid.intensity_sigma, device=device)
        self.centric = torch.as_tensor(grid.centric, device=device)
        self.blocks = reflection_blocks(n_sets, n_reflections)
        for rows in self.blocks:
            require_sigmas(self._intensities[:, rows], self._sigmas[:, rows])
        present = grid.mask.any(axis=0)
        self.work: Flags = ~grid.free & present
        self.free: Flags = grid.free & present
        self.free_rows = torch.as_tensor(np.flatnonzero(self.free), device=device)
        self.base_log_scale = torch.as_tensor(log_scale, device=device)
        self.scale_design = torch.as_tensor(
            ScaleForm.over(data.crystal, grid.hkl, resolution_terms).design(grid.hkl), device=device
        )
        squares = grid.resolution**-2.0
        x = 2.0 * (squares - squares.min()) / max(float(np.ptp(squares)), 1e-12) - 1.0
        self.error_design = torch.as_tensor(np.polynomial.chebyshev.chebvander(x, _ERROR_TERMS - 1), device=device)
        self._log_epsilon = torch.as_tensor(np.log(grid.epsilon), device=device)
        start = self.components.T.abs().square().mean(1) * _LEAST_ERROR
        self.nuisances = Nuisances(
            scale=np.zeros((n_sets, self.scale_design.shape[1])),
            error=np.zeros(_ERROR_TERMS),
            inflation=np.zeros((n_sets, 3)),
        )
        self.nuisances.error[0] = float(torch.log(self._starting_variance().clamp(min=start.mean())))
        self.strength = self._strength(self._all_reference())

    @property
    def n_timepoints(self) -> int:
        """N, datasets whose occupancies the provider gives."""
        return len(self.data.datasets) - self.data.n_fixed

    def work_within(self, block: slice) -> Tensor:
        """Numbers (n,) of the work reflections of a block, within it."""
        return torch.as_tensor(np.flatnonzero(self.work[block]), device=self.components.device)

    def present(self, rows: Rows = _ALL) -> Tensor:
        """(T, h) bool, which observations there are."""
        return torch.isfinite(self._intensities[:, rows]) & torch.isfinite(self._sigmas[:, rows])

    @cached_property
    def likelihood(self) -> CommonErrorLikelihood:
        """Of all reflections at once."""
        return self._likelihood_of(_ALL)

    def likelihood_of(self, block: slice) -> CommonErrorLikelihood:
        """Of one of the blocks."""
        if len(self.blocks) == 1:
            return self.likelihood
        return self._likelihoods[block.start] if are_few(*self._intensities.shape) else self._likelihood_of(block)

    @cached_property
    def _likelihoods(self) -> dict[int, CommonErrorLikelihood]:
        return {block.start: self._likelihood_of(block) for block in self.blocks}

    def _likelihood_of(self, rows: Rows) -> CommonErrorLikelihood:
        return CommonErrorLikelihood(
            self._intensities[:, rows], self._sigmas[:, rows], self.centric[rows], sigmas_checked=True
        )

    @cached_property
    def _free_likelihood(self) -> CommonErrorLikelihood:
        return self._likelihood_of(self.free_rows)

    def with_references(self, occupancies: Tensor) -> Tensor:
        """Occupancies (K, T) of all datasets from those (K, N) that the provider gives, on the model's device."""
        before = self._before.expand(-1, self.data.n_fixed)
        return torch.cat([before, occupancies.to(before)], dim=1)

    def _all_reference(self) -> Tensor:
        return self.with_references(self._before.expand(-1, self.n_timepoints))

    def mixture(self, occupancies: Tensor, rows: Rows = _ALL, components: Tensor | None = None) -> Tensor:
        """Structure factors (T, h) of each dataset, in electrons, from occupancies (K, T).

        With the model's components (K, H), or with others that are of these reflections alone.
        """
        parts = self.components[:, rows] if components is None else components
        weights = occupancies.to(parts.device, parts.real.dtype)
        parts = torch.view_as_real(parts).flatten(1)
        return torch.view_as_complex((weights.T @ parts).reshape(len(weights.T), -1, 2))

    def log_scale(self, nuisances: Nuisances | None = None, rows: Rows = _ALL) -> Tensor:
        """(T, h), ln of what takes electrons to each dataset's amplitudes."""
        used = self.nuisances if nuisances is None else nuisances
        return self.scale_at(torch.as_tensor(used.scale).to(self.scale_design), rows)

    def scale_at(self, coefficients: Tensor, rows: Rows = _ALL) -> Tensor:
        """The same at coefficients (T, p) on the model's device, with gradients to them."""
        return self.base_log_scale[:, rows] + coefficients @ self.scale_design[rows].T

    def error_variance(self, nuisances: Nuisances | None = None) -> Tensor:
        """(H,), variance of the common error, electrons squared."""
        used = self.nuisances if nuisances is None else nuisances
        logarithm = self.error_design @ torch.as_tensor(used.error).to(self.error_design)
        return torch.exp(logarithm + self._log_epsilon)

    def log_inflation(self, nuisances: Nuisances | None = None, rows: Rows = _ALL) -> Tensor:
        """(T, h), ln of the factor by which sigmas are too small."""
        used = self.nuisances if nuisances is None else nuisances
        return self.inflation_at(torch.as_tensor(used.inflation).to(self.error_design), rows)

    def inflation_at(self, coefficients: Tensor, rows: Rows = _ALL) -> Tensor:
        """The same at coefficients (T, 3) on the model's device."""
        constant, slope, by_strength = coefficients.unsqueeze(2).unbind(1)
        return (constant + slope * self.error_design[rows, 1]) + by_strength * self.strength[:, rows]

    def inflation_design(self, rows: Rows) -> Tensor:
        """(T, h, 3), derivatives of that in its coefficients."""
        strength = self.strength[:, rows].to(torch.float64)
        return torch.stack([torch.ones_like(strength), self.error_design[rows, 1].expand_as(strength), strength], dim=2)

    def evaluate(self, occupancies: Tensor, nuisances: Nuisances | None = None) -> Evaluation:
        """Log-likelihood at occupancies (K, N) of the timepoints, with all derivatives."""
        everywhere = self.with_references(occupancies)
        used = (self.nuisances if nuisances is None else nuisances).copy()
        if len(self.blocks) == 1:
            kept = self._scores(everywhere, used, self.blocks[0])
            return self._evaluation(everywhere, kept.log_likelihood, lambda: iter([(self.blocks[0], kept)]))
        # What is computed again later is so at this point, wherever the model is by then.
        here = copy.copy(self)
        with torch.no_grad():
            values = torch.cat([here._value(everywhere, used, rows) for rows in self.blocks])
        return self._evaluation(
            everywhere, values, lambda: ((rows, here._scores(everywhere, used, rows)) for rows in here.blocks)
        )

    def _evaluation(self, everywhere: Tensor, log_likelihood: Tensor, parts: Parts) -> Evaluation:
        each = log_likelihood.cpu().numpy()
        return Evaluation(everywhere, log_likelihood, float(each[self.work].sum()), float(each[self.free].sum()), parts)

    def _inputs(self, everywhere: Tensor, nuisances: Nuisances, rows: slice) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return (
            self.mixture(everywhere, rows),
            self.error_variance(nuisances)[rows],
            self.log_scale(nuisances, rows),
            self.log_inflation(nuisances, rows),
        )

    def _value(self, everywhere: Tensor, nuisances: Nuisances, rows: slice) -> Tensor:
        return self.likelihood_of(rows).of_each(*self._inputs(everywhere, nuisances, rows))

    def _scores(self, everywhere: Tensor, nuisances: Nuisances, rows: slice) -> Scores:
        return self.likelihood_of(rows).scores(*self._inputs(everywhere, nuisances, rows))

    def free_parts(self, occupancies: Tensor) -> Iterator[tuple[Tensor, Scores]]:
        """Blocks of the free reflections with their log-likelihoods and derivatives, in the order of `free_rows`.

        At occupancies (K, N) of the timepoints; costs what their share of the reflections is.
        """
        weights = self.with_references(occupancies).to(self.components.device, self.components.dtype)
        length = len(self.free_rows) if len(self.blocks) == 1 else block_length(len(self.data.datasets))
        for rows in torch.split(self.free_rows, max(1, length)):
            likelihood = self._free_likelihood if len(self.blocks) == 1 else self._likelihood_of(rows)
            yield (
                rows,
                likelihood.scores(
                    weights.T @ self.components[:, rows],
                    self.error_variance()[rows],
                    self.log_scale(rows=rows),
                    self.log_inflation(rows=rows),
                ),
            )

    def calculated_amplitudes(self, occupancies: Tensor) -> tuple[Floats, Floats]:
        """Amplitudes (T, H) of the model in electrons, and the factor (T, H) that takes them to the data."""
        with torch.no_grad():
            model = self.mixture(self.with_references(occupancies)).abs()
            return model.cpu().numpy(), torch.exp(self.log_scale()).cpu().numpy()

    def refresh_strength(self, occupancies: Tensor) -> None:
        """Let the sigmas' model depend on the intensities that the model now expects."""
        self.strength = self._strength(self.with_references(occupancies))

    def _strength(self, everywhere: Tensor) -> Tensor:
        """(T, H); from the model's intensities, since those measured would tie a weight to its own noise."""
        shape = self._intensities.shape
        found = torch.empty(shape, dtype=kept_dtype(*shape), device=self._intensities.device)
        total = self.error_design.new_zeros(shape[0], 1)
        for rows in self.blocks:
            expected = self.mixture(everywhere, rows).abs().square() + self.error_variance()[rows]
            sigmas = torch.where(torch.isfinite(self._sigmas[:, rows]), self._sigmas[:, rows], 1.0)
            strength = torch.log1p(expected * torch.exp(2.0 * self.log_scale(rows=rows)) / sigmas)
            found[:, rows] = strength
            total += strength.sum(1, keepdim=True)
        for rows in self.blocks:
            # Of two precisions torch would make copies of the whole.
            found[:, rows] = found[:, rows].to(total) - total / shape[1]
        return found

    def _starting_variance(self) -> Tensor:
        """What the first reference differs from the model, beyond its own error, mean over the free reflections."""
        model = self.mixture(self._before)[0].abs()
        observed = torch.sqrt(self._intensities[0].clamp(min=0.0)) * torch.exp(-self.base_log_scale[0])
        seen = torch.isfinite(self._intensities[0]) & torch.isfinite(self._sigmas[0])
        chosen = torch.as_tensor(self.free, device=model.device) & seen
        # An error shows in an amplitude with one of its two components.
        return 2.0 * (observed - model)[chosen].square().mean()
