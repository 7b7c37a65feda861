"""The exponent of the error's integral along a radius: a quartic, its extrema, and the nodes that integrate over it."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]


class Quartic(NamedTuple):
    """``-(c1 r + c2 r^2 + c3 r^3 + c4 r^4) / 2`` with c4 > 0; coefficients of one shape, as all results."""

    c1: Tensor
    c2: Tensor
    c3: Tensor
    c4: Tensor

    def value(self, r: Tensor) -> Tensor:
        """At a radius."""
        return -0.5 * r * (self.c1 + r * (self.c2 + r * (self.c3 + r * self.c4)))

    def slope(self, r: Tensor) -> Tensor:
        """First derivative."""
        return -0.5 * (self.c1 + r * (2.0 * self.c2 + r * (3.0 * self.c3 + r * 4.0 * self.c4)))

    def curvature(self, r: Tensor) -> Tensor:
        """Minus the second derivative."""
        return self.c2 + r * (3.0 * self.c3 + r * 6.0 * self.c4)

    def about(self, centre: Tensor, spread: Tensor) -> list[Tensor]:
        """Coefficients in x at the radius ``centre + spread x``, lowest power first."""
        return [
            self.value(centre),
            spread * self.slope(centre),
            -0.5 * spread**2 * self.curvature(centre),
            -0.5 * spread**3 * (self.c3 + centre * 4.0 * self.c4),
            -0.5 * spread**4 * self.c4,
        ]

    def extrema(self) -> tuple[Tensor, Tensor, Tensor]:
        """Radii of the lower maximum, the minimum and the upper maximum; all the same where there is one maximum only.

        The roots of a cubic, by Cardano's formulas.
        """
        c1, c2, c3, c4 = self
        shift = c3 / (4.0 * c4)
        b, c = c2 / (2.0 * c4), c1 / (4.0 * c4)
        p = b - 3.0 * shift**2
        half_q = shift**3 - 0.5 * b * shift + 0.5 * c
        discriminant = half_q**2 + (p / 3.0) ** 3
        root = torch.pow(half_q.abs() + torch.sqrt(discriminant.clamp(min=0.0)), 1.0 / 3.0).clamp(min=1e-150)
        root = torch.where(half_q > 0.0, -root, root)
        single = root - p / (3.0 * root)
        size = 2.0 * torch.sqrt((-p / 3.0).clamp(min=0.0))
        third = torch.acos((-8.0 * half_q / size.clamp(min=1e-100) ** 3).clamp(-1.0, 1.0)) / 3.0
        alone = discriminant > 0.0
        turns = (-4.0 * math.pi / 3.0, -2.0 * math.pi / 3.0, 0.0)
        low, between, high = (torch.where(alone, single, size * torch.cos(third + turn)) - shift for turn in turns)
        return low, between, high


@functools.cache
def hermite_nodes(n_nodes: int, device: torch.device) -> tuple[Floats, Tensor, Tensor]:
    """Nodes about a maximum in units of its width, their powers 0 to 5 (n_nodes, 6), and weights of the integrand.

    Moved to a device once.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(n_nodes)
    return _with_powers(nodes, weights * np.exp(nodes**2 / 2.0), device)


@functools.cache
def legendre_nodes(n_nodes: int, device: torch.device) -> tuple[Floats, Tensor, Tensor]:
    """Nodes on [-1, 1], their powers and weights."""
    return _with_powers(*np.polynomial.legendre.leggauss(n_nodes), device)


def _with_powers(nodes: Floats, weights: Floats, device: torch.device) -> tuple[Floats, Tensor, Tensor]:
    powers = torch.from_numpy(np.ascontiguousarray(np.vander(nodes, 6, increasing=True)))
    return nodes, powers.to(device), torch.from_numpy(weights).to(device)
