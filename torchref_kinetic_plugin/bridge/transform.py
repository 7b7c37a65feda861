"""Structure factors of a real density of one asymmetric unit: a transform of half the reciprocal grid.

TorchRef transforms a real density as if it were complex, and multiplies all of the reciprocal grid where only the
reflections asked for are wanted. Where atoms are few, that is most of the cost of their structure factors.
"""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor


@final
class DensityTransform:
    """From a density on a grid, symmetry not applied, to the structure factors of all symmetry mates.

    F(h) = dV sum_ops exp(2 pi i h.t) sum_x rho(x) exp(2 pi i (R^T h).x)

    Parameters
    ----------
    equivalent : Tensor
        (n_ops, H, 3) int, R^T h of each operation.
    phases : Tensor
        (n_ops, H) complex, exp(2 pi i h.t).
    shape : tuple of int
        Of the grid.
    volume : float
        Of the unit cell, A^3.
    """

    def __init__(self, equivalent: Tensor, phases: Tensor, shape: tuple[int, int, int], volume: float) -> None:
        self.shape = shape
        # The transform has exp(-2 pi i): a reflection with l >= 0 is the conjugate of what it finds at h, one with
        # l < 0 what it finds at -h, since the density is real.
        flat = equivalent.reshape(-1, 3)
        self._upper = (flat[:, 2] >= 0).view(phases.shape)
        self._place = self._index(torch.where(flat[:, 2:] >= 0, flat, -flat))
        self._factor = phases * (volume / (shape[0] * shape[1] * shape[2]))
        # The half that is kept has both h and -h where l = 0.
        self._twice = torch.nonzero(flat[:, 2] == 0).flatten()
        self._opposite = self._index(-flat[self._twice])

    def __call__(self, density: Tensor) -> Tensor:
        """Structure factors (H,) of a density, differentiable once."""
        result: Tensor = _Transform.apply(density, self)  # type: ignore[no-untyped-call]
        return result

    def forward(self, density: Tensor) -> Tensor:
        """Structure factors (H,)."""
        found = torch.fft.rfftn(density).flatten()[self._place].view(self._factor.shape)
        factors: Tensor = (torch.where(self._upper, found.conj(), found) * self._factor).sum(0)
        return factors

    def adjoint(self, gradient: Tensor) -> Tensor:
        """Derivatives by the density, of a number whose derivatives by the structure factors (H,) are given."""
        forces = gradient.conj() * self._factor
        forces = (0.5 * torch.where(self._upper, forces, forces.conj())).flatten()
        half = forces.new_zeros(self.shape[0] * self.shape[1] * (self.shape[2] // 2 + 1))
        half.index_add_(0, self._place, forces)
        half.index_add_(0, self._opposite, forces[self._twice].conj())
        half = half.view(self.shape[0], self.shape[1], -1)
        density: Tensor = torch.fft.irfftn(half, s=self.shape, norm="forward")
        return density

    def _index(self, hkl: Tensor) -> Tensor:
        h, k, layer = hkl.long().unbind(1)
        n_x, n_y, n_z = self.shape
        return (torch.remainder(h, n_x) * n_y + torch.remainder(k, n_y)) * (n_z // 2 + 1) + layer


class _Transform(torch.autograd.Function):
    """Linear, with its adjoint."""

    @staticmethod
    def forward(ctx: Any, density: Tensor, transform: DensityTransform) -> Tensor:
        ctx.transform = transform
        return transform.forward(density)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.transform.adjoint(gradient), None
