"""What the data say of the occupancies, to second order, with the scales eliminated.

Every parameter of a provider acts through the occupancies W of a few structures at the timepoints. About any W the
log-likelihood of all reflections is a quadratic form in W and in the coefficients c of the scales; eliminating c
leaves one in W alone, a small matrix that stands for all the data. A search over rate constants from many starts then
costs no structure factors, and only its end needs the data again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np
import torch

from torchref_kinetic_plugin.occupancies.second_order import QuadraticTarget
from torchref_kinetic_plugin.refinement.common_error import Scores
from torchref_kinetic_plugin.refinement.curvature import Curvature
from torchref_kinetic_plugin.refinement.experiment import Evaluation, ExperimentModel, Floats
from torchref_kinetic_plugin.refinement.reflection_blocks import summed

#: Relative size of an eigenvalue of the scales' information below which it is a rounding error.
_RANK_TOLERANCE = 1e-10
#: Residual beyond which a score is scaled down where it stands for a curvature; few are beyond it at the best point.
LARGEST_RESIDUAL = 2.5
#: Curvature along a step, over the one expected there, or its inverse, below which a step shows nothing of use.
_LEAST_RATIO = 0.1


@final
@dataclass(frozen=True, eq=False)
class QuadraticForm:
    """Gradient and information of the work log-likelihood of one experiment.

    Attributes
    ----------
    centre : ndarray
        (K, N), occupancies of the timepoints where it was taken.
    by_occupancies, by_scales : ndarray
        (K N,) and (T p,), gradients.
    occupancies, coupling, scales : ndarray
        (K N, K N), (K N, T p) and (T p, T p), information: sums over reflections of products of scores, whose
        expectation is that of the curvature.
    """

    centre: Floats
    by_occupancies: Floats
    by_scales: Floats
    occupancies: Floats
    coupling: Floats
    scales: Floats

    @classmethod
    def at(
        cls, model: ExperimentModel, evaluation: Evaluation, *, largest_residual: float | None = LARGEST_RESIDUAL
    ) -> QuadraticForm:
        """Form the sums over the work reflections; ``largest_residual`` as of `score_rows`, for the information."""

        def of_block(part: tuple[slice, Scores]) -> list[torch.Tensor]:
            by_occupancies, by_scales = part_rows(model, part, None)
            tempered, tempered_scales = part_rows(model, part, largest_residual)
            return [
                by_occupancies.sum(0),
                by_scales.sum(0),
                tempered.T @ tempered,
                tempered.T @ tempered_scales,
                tempered_scales.T @ tempered_scales,
            ]

        sums = summed(of_block(part) for part in evaluation.parts())
        centre = evaluation.occupancies[:, model.data.n_fixed :].cpu().numpy()
        return cls(centre, *(each.cpu().numpy() for each in sums))

    def with_information(self, curvature: Curvature) -> QuadraticForm:
        """The same form with a curvature that is known in place of the products of scores."""
        return replace(self, occupancies=curvature.occupancies, coupling=curvature.coupling, scales=curvature.scales)

    def with_curvature(self, factor: float) -> QuadraticForm:
        """The same form with all its information multiplied by a factor."""
        if factor == 1.0:
            return self
        return replace(
            self,
            occupancies=factor * self.occupancies,
            coupling=factor * self.coupling,
            scales=factor * self.scales,
        )

    def corrected(self, step: Floats, lost: Floats) -> QuadraticForm:
        """The same form with its information corrected (BFGS) by what a step has shown.

        Products of scores are the curvature only on average. A step (K N + T p,) over which the gradient fell by
        ``lost`` tells what it is along the step.
        """
        whole = np.block([[self.occupancies, self.coupling], [self.coupling.T, self.scales]])
        expected = whole @ step
        along, found = float(step @ expected), float(step @ lost)
        if not _LEAST_RATIO * along < found < along / _LEAST_RATIO:
            return self
        whole = whole - np.outer(expected, expected) / along + np.outer(lost, lost) / found
        n = len(self.by_occupancies)
        return replace(self, occupancies=whole[:n, :n], coupling=whole[:n, n:], scales=whole[n:, n:])

    @cached_property
    def _scales_inverse(self) -> Floats:
        """(T p, T p), which costs more than all else where there are many datasets."""
        return pseudo_inverse(self.scales)

    def eliminated(self, refine_scale: bool = True) -> QuadraticTarget:
        """The form in the occupancies alone, at the best scales for each of them, or at the scales as they are."""
        inverse = self._scales_inverse if refine_scale else np.zeros_like(self.scales)
        through = self.coupling @ inverse
        gradient = self.by_occupancies - through @ self.by_scales
        information = self.occupancies - through @ self.coupling.T
        return QuadraticTarget(
            torch.from_numpy(self.centre),
            torch.from_numpy(gradient),
            torch.from_numpy(0.5 * (information + information.T)),
        )

    def scale_step(self, occupancies: Floats) -> Floats:
        """Change (T p,) of the scales' coefficients that is best for occupancies (K, N)."""
        change = (occupancies - self.centre).ravel()
        step: Floats = self._scales_inverse @ (self.by_scales - self.coupling.T @ change)
        return step


def score_rows(
    model: ExperimentModel, evaluation: Evaluation, *, largest_residual: float | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of each work reflection in the occupancies (n, K N) and in the scales' coefficients (n, T p).

    Parameters
    ----------
    model : ExperimentModel
        Whose they are.
    evaluation : Evaluation
        Where.
    largest_residual : float, optional
        Residual in standard deviations to which the score of an observation is scaled down. A score is in proportion
        to its residual, a curvature is not; so far from the best point the products of scores as they are would
        overstate the curvature by the square of the residuals.
    """
    rows = [part_rows(model, part, largest_residual) for part in evaluation.parts()]
    by_occupancies, by_scales = (torch.cat(each) if len(each) > 1 else each[0] for each in zip(*rows, strict=True))
    return by_occupancies.cpu(), by_scales.cpu()


def score_sums(model: ExperimentModel, evaluation: Evaluation) -> tuple[Floats, Floats]:
    """Gradient of the work log-likelihood in the occupancies (K N,) and in the scales' coefficients (T p,)."""
    parts = (part_rows(model, part, None) for part in evaluation.parts())
    by_occupancies, by_scales = summed([each.sum(0) for each in rows] for rows in parts)
    return by_occupancies.cpu().numpy(), by_scales.cpu().numpy()


def part_rows(
    model: ExperimentModel, part: tuple[slice, Scores], largest_residual: float | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """As of `score_rows`, of one block, on the model's device."""
    work, force, slope = forces(model, part, largest_residual=largest_residual)
    force, components = force[model.data.n_fixed :], model.components[:, work]
    by_occupancies = force.real.unsqueeze(0) * components.real.unsqueeze(1)
    by_occupancies = by_occupancies + force.imag.unsqueeze(0) * components.imag.unsqueeze(1)
    by_scales = slope.T.unsqueeze(2) * model.scale_design[work].unsqueeze(1)
    return by_occupancies.flatten(0, 1).T, by_scales.flatten(1)


def forces(
    model: ExperimentModel, part: tuple[slice, Scores], *, largest_residual: float | None = LARGEST_RESIDUAL
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Work reflections (n,) of a block, and scores (T, n) in mixtures, complex, and in ln k.

    ``largest_residual`` as of `score_rows`; the reflections are numbered from the first of all.
    """
    rows, scores = part
    within = model.work_within(rows)
    force, slope = scores.mixture[:, within], scores.log_scale[:, within]
    if largest_residual is not None:
        # The derivative in ln sigma is the expected square of the residual, less 1.
        residual = torch.sqrt((scores.log_inflation[:, within] + 1.0).clamp(min=0.0))
        factor = largest_residual / residual.clamp(min=largest_residual)
        force, slope = force * factor, slope * factor
    return within + (rows.start or 0), force, slope


def pseudo_inverse(information: Floats) -> Floats:
    """Inverse of an information matrix on what it determines; zero for the rest."""
    # What nothing is known of, as the scale of a dataset without a reflection, stays out exactly.
    diagonal = np.diag(information)
    scale = np.where(diagonal > 0.0, np.sqrt(np.maximum(diagonal, 0.0)), np.inf)
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    kept = values > _RANK_TOLERANCE * values[-1]
    inverse: Floats = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T / np.outer(scale, scale)
    return inverse
