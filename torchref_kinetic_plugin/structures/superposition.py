"""Copies of one molecule superposed, robustly: a part that moves does not turn the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from torchref_kinetic_plugin.errors import ShapeError
from torchref_kinetic_plugin.structures.atoms import Floats

#: Distance in units of the median beyond which an atom loses its say.
_FAR = 3.0
#: Least distance that counts as far, A: copies that are alike to the last digit have a median of nothing.
_LEAST = 1e-3
_MOST_ITERATIONS = 200
_SAME = 1e-13


@final
@dataclass(frozen=True, eq=False)
class Superposition:
    """What takes the coordinates of one copy to the common frame: ``xyz @ rotation.T + shift``.

    Attributes
    ----------
    rotation : ndarray
        (3, 3), proper.
    shift : ndarray
        (3,), A.
    rms : float
        R.m.s. distance of all atoms compared from the mean of all copies, A.
    """

    rotation: Floats
    shift: Floats
    rms: float

    def __call__(self, xyz: Floats) -> Floats:
        """Coordinates (n, 3) in the common frame."""
        return np.asarray(xyz @ self.rotation.T + self.shift)


def superposed(copies: Sequence[Floats]) -> list[Superposition]:
    """Superpose copies (n, 3) of the same atoms on their mean, all at once, so that none of them is preferred.

    Procrustes' problem for several sets, each atom weighted by 1 / (1 + (distance / far)^2) with far three times the
    median distance from the mean. The common frame is that of the first copy, as nearly as its place among the others
    allows: what is the same in all frames does not depend on which copy is first.

    Raises
    ------
    ShapeError
        For no copies, copies of different size, or fewer than three atoms.
    """
    points = np.array(list(copies), dtype=np.float64)
    if points.ndim != 3 or points.shape[1] < 3:
        raise ShapeError(f"copies to superpose: (copies, atoms, 3) with three atoms at least, not {points.shape}")
    motions = [best_motion(each, points[0], np.ones(points.shape[1])) for each in points]
    placed = _placed(points, motions)
    for _ in range(_MOST_ITERATIONS):
        mean = placed.mean(axis=0)
        distance = np.sqrt(np.square(placed - mean).sum(axis=2).mean(axis=0))
        far = _FAR * max(float(np.median(distance)), _LEAST)
        weights = 1.0 / (1.0 + np.square(distance / far))
        motions = [best_motion(each, mean, weights) for each in points]
        before, placed = placed, _placed(points, motions)
        if np.abs(placed - before).max() < _SAME * max(1.0, float(np.abs(placed).max())):
            break
    distances = np.linalg.norm(placed - placed.mean(axis=0), axis=2)
    return [
        Superposition(rotation, shift, float(np.sqrt(np.mean(np.square(each)))))
        for (rotation, shift), each in zip(motions, distances, strict=True)
    ]


def best_motion(points: Floats, target: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Proper rotation and shift that bring points (n, 3) closest to a target (Kabsch, Acta Cryst. A32, 922, 1976)."""
    share = weights / weights.sum()
    middle, goal = share @ points, share @ target
    left, _, right = np.linalg.svd((target - goal).T @ (share[:, None] * (points - middle)))
    turn = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = left @ turn @ right
    return rotation, goal - rotation @ middle


def _placed(points: Floats, motions: Sequence[tuple[Floats, Floats]]) -> Floats:
    return np.stack([each @ turn.T + shift for each, (turn, shift) in zip(points, motions, strict=True)])
