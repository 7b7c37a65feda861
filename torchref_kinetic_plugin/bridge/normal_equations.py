"""Normal equations of scales, solved and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.bridge.crystal import Floats
from torchref_kinetic_plugin.errors import ScalingError

MAX_CONDITION = 1e9


@final
@dataclass(frozen=True)
class Solution:
    """Of one step: the change, the inverse of the normal matrix, and how well it was conditioned."""

    inverse: Floats
    change: Floats
    condition: float


def coupled(
    design: Floats, diagonal: Floats, coupling: Floats, force: Floats, free: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Normal matrix and right-hand side for the scales of the free datasets.

    Block (t, u) is sum_h x_h x_h^T (delta_tu diagonal_th - coupling_th coupling_uh), x_h the rows of the design.

    Parameters
    ----------
    design : ndarray
        (H, p).
    diagonal, coupling, force : ndarray
        (T, H).
    free : ndarray
        Rows of the n datasets whose scales are sought.

    Returns
    -------
    matrix : ndarray
        (n p, n p).
    right : ndarray
        (n p,).
    """
    n, width = len(free), design.shape[1]
    matrix = np.empty((n, width, n, width))
    own, across = diagonal[free], coupling[free]
    rows = np.arange(n)
    for i in range(width):
        for j in range(i, width):
            product = design[:, i] * design[:, j]
            block = -(across * product) @ across.T
            block[rows, rows] += own @ product
            matrix[:, i, :, j] = matrix[:, j, :, i] = block
    return matrix.reshape(n * width, n * width), (force[free] @ design).ravel()


def solve(matrix: Floats, right: Floats, names: Sequence[str], free: NDArray[np.intp]) -> Solution:
    """Solve the normal equations, after making sure that they have one solution.

    Raises
    ------
    ScalingError
        When they have not; names the dataset that is least determined.
    """
    length = np.sqrt(np.diagonal(matrix))
    width = len(length) // len(free)
    if not (np.isfinite(length).all() and (length > 0.0).all()):
        worst = int(np.argmin(np.nan_to_num(length)))
        raise ScalingError(f"no data determine the scale of {names[free[worst // width]]}")
    scaled = matrix / np.outer(length, length)
    values, vectors = np.linalg.eigh(scaled)
    if not values[0] * MAX_CONDITION > values[-1]:
        share = (vectors[:, 0] ** 2).reshape(len(free), width).sum(axis=1)
        raise ScalingError(
            f"the reflections in common do not determine the scale and anisotropic B of "
            f"{names[free[int(share.argmax())]]} (condition of the normal equations above {MAX_CONDITION:.0e}); "
            "too few of them, or all in one plane, direction or resolution"
        )
    inverse = (vectors / values) @ vectors.T / np.outer(length, length)
    return Solution(inverse, inverse @ right, float(values[-1] / values[0]))


def largest_change(change: Floats, design: Floats) -> float:
    """Largest change of any ln k(h) by a step (n, p)."""
    return float(np.abs(change @ design.T).max())
