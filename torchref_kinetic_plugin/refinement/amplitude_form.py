"""A first quadratic form, from amplitudes as if errors turned no phase: right to a tenth, and from far away.

The likelihood's own form (`QuadraticForm.at`) takes its curvature from scores, which overstate it where the model is
far off. Amplitudes of a mixture are close to linear in the occupancies, so least squares on them lead from anywhere to
the neighbourhood of the best occupancies in one step. What the phases hide makes differences look a little too small;
the likelihood corrects that in the steps that follow.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from torchref_kinetic_plugin.refinement.experiment import ExperimentModel
from torchref_kinetic_plugin.refinement.quadratic import QuadraticForm
from torchref_kinetic_plugin.refinement.reflection_blocks import summed

#: Amplitude of the model, relative to the largest, below which it has no phase along which a change could show.
_NO_PHASE = 1e-9


@torch.no_grad()
def amplitude_form(model: ExperimentModel, occupancies: Tensor) -> QuadraticForm:
    """Least squares on the amplitudes of the work reflections, to second order in occupancies and scales.

    Every amplitude of a reflection is off by its own measurement error and by a common one, normal with the variance
    that the model has now; the common error is eliminated, so that differences between datasets count and not the
    model's distance from all of them.

    Parameters
    ----------
    model : ExperimentModel
        Of the experiment, with the scales about which the form is taken.
    occupancies : Tensor
        (K, N) of the timepoints, likewise.
    """
    everywhere, first = model.with_references(occupancies), model.data.n_fixed
    strongest = 0.0
    for rows in model.blocks:
        strongest = max(strongest, float(model.mixture(everywhere, rows)[:, model.work_within(rows)].abs().max()))
    # From (N, K) to (K, N), the order of a form.
    k, n = occupancies.shape
    order = torch.arange(n * k).reshape(n, k).T.flatten()

    def of_block(rows: slice) -> list[Tensor]:
        by_occupancies, by_scales, root, residual, precision = _derivatives(model, everywhere, rows, strongest)
        common = (root**2 * residual).sum(0) / precision
        weighted = (root * (residual - common)).unsqueeze(2)
        share = (root * torch.rsqrt(precision)).unsqueeze(1)
        ours, theirs = by_occupancies * share[first:], by_scales * share
        own = _block_diagonal(each @ each.T for each in by_occupancies)
        mixed = _block_diagonal(parts @ rows.T for parts, rows in zip(by_occupancies, by_scales[first:], strict=True))
        scales = _block_diagonal(each @ each.T for each in by_scales)
        ours, theirs = ours.flatten(0, 1), theirs.flatten(0, 1)
        coupling = -ours @ theirs.T
        coupling[:, -mixed.shape[1] :] += mixed
        return [
            torch.bmm(by_occupancies, weighted[first:]).flatten()[order],
            torch.bmm(by_scales, weighted).flatten(),
            (own - ours @ ours.T)[order][:, order],
            coupling[order],
            scales - theirs @ theirs.T,
        ]

    sums = summed(of_block(rows) for rows in model.blocks)
    return QuadraticForm(occupancies.cpu().numpy(), *(each.cpu().numpy() for each in sums))


def _derivatives(
    model: ExperimentModel, everywhere: Tensor, rows: slice, strongest: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Of the amplitudes of the work reflections of a block, at occupancies (K, T), in units of their errors.

    Derivatives (N, K, n) in the occupancies and (T, p, n) in the scales, one over the errors (T, n), residuals (T, n),
    electrons, and the precision (n,) of the common error with all data.
    """
    first, within = model.data.n_fixed, model.work_within(rows)
    used = within + (rows.start or 0)
    mixture, parts = model.mixture(everywhere, rows)[:, within], model.components[:, used]
    amplitude = mixture.abs()
    inverse_scale = torch.exp(-model.log_scale(rows=rows)[:, within])
    grid = model.data.grid
    observed, sigma = (
        torch.as_tensor(each[:, rows]).to(inverse_scale)[:, within] for each in (grid.amplitude, grid.sigma)
    )
    present = torch.isfinite(observed) & (sigma > 0.0)
    root = torch.where(present, 1.0 / (sigma * inverse_scale), 0.0)
    residual = torch.where(present, observed * inverse_scale - amplitude, 0.0)

    phase = mixture / amplitude.clamp(min=_NO_PHASE * strongest)
    by_occupancies = _along(parts.unsqueeze(0), phase[first:].unsqueeze(1)) * root[first:].unsqueeze(1)
    by_scales = model.scale_design[used].T.unsqueeze(0) * (amplitude * root).unsqueeze(1)
    # An amplitude shows one of the two components of the common error; a centric reflection's has only one.
    precision = (root**2).sum(0) + torch.where(model.centric, 1.0, 2.0)[used] / model.error_variance()[used]
    return by_occupancies, by_scales, root, residual, precision


def _block_diagonal(blocks: Iterable[Tensor]) -> Tensor:
    matrix: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return matrix


def _along(vectors: Tensor, directions: Tensor) -> Tensor:
    """Components of complex numbers along others of modulus 1."""
    return vectors.real * directions.real + vectors.imag * directions.imag
