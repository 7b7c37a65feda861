"""The likelihood's sums over very many datasets, with slopes by formula, a few reflections at a time.

Where there are so many observations that an array of them does not fit in a processor's cache, `statistics` waits for
memory, and so does its backward pass, forty times. Here every number of a reflection is used while it is at hand, and
is computed once more for the slopes in place of being kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

#: Observations beyond which it pays, and those of one portion.
MANY = 1 << 18
_PORTION = 1 << 16

#: Sums (10, h) and the first dataset's amplitude (h,) from mixtures, intensities and weights.
Statistics = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def streamed_sums(
    statistics: Statistics,
    mixture: Tensor,
    intensities: Tensor,
    weights: Tensor,
    log_scale: Tensor,
    log_inflation: Tensor,
) -> tuple[Tensor, Tensor]:
    """What `statistics` gives, of intensities and weights as measured.

    Parameters
    ----------
    statistics : callable
        Which sums.
    mixture : Tensor
        (T, H) complex.
    intensities, weights : Tensor
        (T, H), as measured; no gradient.
    log_scale, log_inflation : Tensor
        (T, H), as of `CommonErrorLikelihood`.
    """
    given = (statistics, mixture, intensities, weights, log_scale, log_inflation)
    result: tuple[Tensor, Tensor] = _Streamed.apply(*given)  # type: ignore[no-untyped-call]
    return result


def _portions(of: Tensor) -> Iterator[slice]:
    length = max(1, _PORTION // len(of))
    return (slice(first, first + length) for first in range(0, of.shape[1], length))


def _scaled(intensities: Tensor, weights: Tensor, log_scale: Tensor, log_inflation: Tensor) -> tuple[Tensor, Tensor]:
    square = torch.exp(2.0 * log_scale)
    return intensities / square, weights * torch.exp(-2.0 * log_inflation) * square**2


class _Streamed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, statistics: Statistics, mixture: Tensor, *others: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(mixture, *others)
        found = [statistics(mixture[:, p], *_scaled(*(each[:, p] for each in others))) for p in _portions(mixture)]
        return torch.cat([sums for sums, _ in found], dim=1), torch.cat([reference for _, reference in found])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_sums: Tensor, by_reference: Tensor) -> tuple[Tensor | None, ...]:
        mixture, *others = ctx.saved_tensors
        by_mixture, by_scale = torch.empty_like(mixture), torch.empty_like(others[0])
        by_inflation = torch.empty_like(by_scale) if ctx.needs_input_grad[5] else None
        for p in _portions(mixture):
            slopes = _slopes(mixture[:, p], *_scaled(*(each[:, p] for each in others)), by_sums[:, p], by_reference[p])
            by_mixture[:, p], by_scale[:, p] = slopes[:2]
            if by_inflation is not None:
                by_inflation[:, p] = slopes[2]
        return None, by_mixture, None, None, by_scale, by_inflation


def _slopes(
    mixture: Tensor, intensities: Tensor, weights: Tensor, by_sums: Tensor, by_reference: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """In mixtures, ln k and ln inflation, (T, h), from those in the sums (10, h) and in the first amplitude (h,)."""
    reference = mixture[0].abs()
    safe = torch.where(reference > 0.0, reference, 1.0)
    direction = torch.where(reference > 0.0, mixture[0] / safe, 1.0)
    turned = (mixture - mixture[0]) * direction.conj()
    x, y = turned.real.contiguous(), turned.imag.contiguous()
    fused = torch.addcmul
    q = fused(fused(intensities, x, x, value=-1.0), y, y, value=-1.0)
    by_w, by_x, by_y, by_xx, by_xy, by_yy, by_q, by_xq, by_yq, by_qq = by_sums
    inner = fused(fused(by_q, by_xq, x), by_yq, y)
    slope_q = weights * fused(inner, 2.0 * by_qq, q)
    in_x, in_y = fused(by_x, by_xy, y), fused(by_y, by_yy, y)
    slope_w = fused(fused(fused(by_w, x, fused(in_x, by_xx, x)), y, in_y), q, fused(inner, by_qq, q))
    slope_x = weights * fused(fused(in_x, 2.0 * by_xx, x), by_xq, q)
    slope_y = weights * fused(fused(fused(in_y, by_yy, y), by_xy, x), by_yq, q)
    slope_x = fused(slope_x, x, slope_q, value=-2.0)
    slope_y = fused(slope_y, y, slope_q, value=-2.0)
    by_mixture = torch.complex(slope_x, slope_y) * direction
    # The first dataset is where differences are taken from, and turns the frame in which they are seen.
    turn = fused(slope_x * y, slope_y, x, value=-1.0).sum(0) / safe
    own = torch.where(reference > 0.0, torch.complex(by_reference, turn), 0.0)
    by_mixture[0] += own * direction - by_mixture.sum(0)
    by_weight = weights * slope_w
    return by_mixture, fused(4.0 * by_weight, intensities, slope_q, value=-2.0), -2.0 * by_weight
