"""Angles about the reference's phase over which the error's integral is summed, and whether they were enough."""

from __future__ import annotations

import torch
from torch import Tensor

#: Share of the integral that may be overlooked.
_NO_SHARE = 1e-5


def numbers_of_angles(device: torch.device) -> Tensor:
    """(4, 1), numbers of the angles of centric reflections; nothing comes from the host, which would wait for that."""
    return torch.arange(4, device=device).unsqueeze(1)


def trapezoid(low: Tensor, high: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Angles (count, h) and the logarithms of their weights; right also for a full turn, whose ends are one place."""
    steps = torch.linspace(0.0, 1.0, count, dtype=low.dtype, device=low.device).unsqueeze(1)
    ends = torch.where((steps == 0.0) | (steps == 1.0), 0.5, 1.0)
    return low + (high - low) * steps, torch.log((high - low) / (count - 1) * ends)


def sharpness_on(share: Tensor) -> Tensor:
    """Largest curvature (h,) of the logarithm per step of the angles (n_angles, h), where that matters."""
    log_share = torch.log(share.clamp(min=_NO_SHARE / 100.0))
    bend = 2.0 * log_share[1:-1] - log_share[2:] - log_share[:-2]
    return torch.where(share[1:-1] > _NO_SHARE, bend, 0.0).amax(0)
