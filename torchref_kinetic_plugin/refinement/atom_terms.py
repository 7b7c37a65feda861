"""What is known of the atoms before the data: geometry, displacement parameters, and motions that atoms share.

All terms are minus logarithms of probabilities, so that they add to minus the log-likelihood with weight 1; weights are
there for who knows better.

An intermediate is refined as a displacement from the reference. Occupancy times displacement makes the difference
signal, so noise in the displacement is paid for with the yield; what keeps it small without pulling it to zero is that
neighbours move together. Bonded atoms' displacements differ by a vector with a three-dimensional Cauchy distribution:
nearly harmonic within its width, and almost indifferent where a side chain turns. Its width is found from the data (see
`typical_width`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchref_kinetic_plugin.bridge.local_curvature import local_curvature
from torchref_kinetic_plugin.bridge.row_restraints import RowRestraints
from torchref_kinetic_plugin.bridge.shared_atoms import AtomValues

#: Standard deviation of ln B between bonded atoms, and between an atom of an intermediate and of the reference.
_BONDED_LN_B = 0.2
_REFERENCE_LN_B = 0.1
#: Width for an atom that is bonded to none, as a water, A.
_ALONE = 0.3
#: Width in units of the median difference of bonded atoms' displacements, and its limits, A. What good data find is
#: mostly noise still; a loop whose atoms follow each other within a tenth of an angstrom is nothing unusual.
_MEDIANS = 3.0
_NARROWEST, _WIDEST = 0.15, 0.5
#: Exponent of a three-dimensional Cauchy distribution.
_CAUCHY = 2.0

#: Terms that a weight may be given for, and the kinds of restraint in each.
GROUPS = {
    "geometry": ("bond", "angle", "torsion", "chiral", "plane", "contact"),
    "adp": ("adp",),
    "similarity": ("similarity",),
    "siblings": ("siblings",),
}


@final
class AtomRestraints:
    """All restraints of the rows that move.

    Parameters
    ----------
    geometry : RowRestraints
        Of the rows.
    free : ndarray
        (m,) rows that move.
    anchor : AtomValues
        Of all rows, what each is compared with: the reference's values of the same atom; where those are not known, or
        the reference itself moves, what the row starts from.
    known : ndarray
        (n_rows,) bool, whether the anchor is the reference's.
    anisotropic : Tensor
        (n_rows,) bool.
    width : float or None
        Of the distribution of differences of bonded atoms' displacements, A; None leaves them alone.
    weights : mapping, optional
        Factors of the terms in `GROUPS`.
    """

    def __init__(
        self,
        geometry: RowRestraints,
        free: NDArray[np.int64],
        anchor: AtomValues,
        known: NDArray[np.bool_],
        anisotropic: Tensor,
        *,
        width: float | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self.geometry, self.width = geometry, width
        factors = {} if weights is None else weights
        self._factor = {kind: factors.get(group, 1.0) for group, kinds in GROUPS.items() for kind in kinds}
        self._anchor, self._anisotropic = anchor, anisotropic
        device = anchor.xyz.device
        rows = torch.as_tensor(free, device=device)
        self._bonded = geometry.bonded
        self._compared = rows[torch.as_tensor(known, device=device)[rows]]
        alone = torch.ones(len(known), dtype=torch.bool, device=device)
        alone[self._bonded.flatten()] = False
        self._alone = rows[alone[rows]]
        self._anchor_log_b = torch.log(self._equivalent_b(anchor))
        self._expected = torch.zeros_like(anchor.xyz)

    def __call__(self, values: AtomValues) -> dict[str, Tensor]:
        """Terms by kind."""
        log_b = torch.log(self._equivalent_b(values))
        compared = (log_b - self._anchor_log_b)[self._compared]
        terms = self.geometry(values) | {
            "adp": _alike_b(log_b, self._bonded) + 0.5 * (compared / _REFERENCE_LN_B).square().sum(),
            "similarity": self._similarity(values),
        }
        return {kind: self._factor[kind] * term for kind, term in terms.items()}

    def curvature(self, values: AtomValues) -> Iterator[tuple[bool, Tensor, Tensor]]:
        """Second derivatives, restraint by restraint.

        Yields
        ------
        of_b : bool
            Whether they are by ln B, or by coordinates.
        rows : Tensor
            (n, k), atoms of each restraint.
        matrices : Tensor
            (n, k w, k w), w = 1 or 3.
        """
        for kind, rows, matrices in self.geometry.curvature(values):
            yield False, rows, self._factor[kind] * matrices
        log_b = torch.log(self._equivalent_b(values)).unsqueeze(1)
        factor = self._factor["adp"]
        yield True, self._bonded, factor * local_curvature(_alike_b, log_b, self._bonded)
        ones = torch.ones(len(self._compared), 1, 1, dtype=log_b.dtype, device=log_b.device)
        yield True, self._compared.unsqueeze(1), factor * ones / _REFERENCE_LN_B**2
        displacement, factor = self._displacement(values), self._factor["similarity"]
        alone = self._alone.unsqueeze(1)
        yield False, alone, factor * local_curvature(_still, displacement, alone)
        if self.width is not None:
            matrices = local_curvature(self._together, displacement, self._bonded)
            yield False, self._bonded, factor * matrices

    def typical_width(self, values: AtomValues) -> float:
        """Width, A, that leaves most differences of bonded atoms' displacements where they are.

        A multiple of their median, noise included: what is usual is restrained, what stands out is not.
        """
        first, second = (values.xyz - self._anchor.xyz)[self._bonded.T]
        if not len(first):
            return _WIDEST
        typical = float((first - second).norm(dim=1).median())
        return min(max(_MEDIANS * typical, _NARROWEST), _WIDEST)

    @contextmanager
    def expecting(self, values: AtomValues) -> Iterator[None]:
        """Within it motions are alike when they are those of these values, and not when there are none."""
        self._expected = (values.xyz - self._anchor.xyz).detach()
        try:
            yield
        finally:
            self._expected = torch.zeros_like(self._anchor.xyz)

    def _similarity(self, values: AtomValues) -> Tensor:
        displacement = self._displacement(values)
        result = _still(displacement, self._alone.unsqueeze(1))
        return result if self.width is None else result + self._together(displacement, self._bonded)

    def _displacement(self, values: AtomValues) -> Tensor:
        return values.xyz - self._anchor.xyz - self._expected

    def _together(self, displacement: Tensor, rows: Tensor) -> Tensor:
        """Of pairs (n, 2) that move together."""
        assert self.width is not None
        first, second = displacement[rows.T]
        return _CAUCHY * torch.log1p((first - second).square().sum(1) / self.width**2).sum()

    def _equivalent_b(self, values: AtomValues) -> Tensor:
        equivalent = 8.0 * np.pi**2 * values.u[:, :3].mean(1)
        return torch.where(self._anisotropic, equivalent, values.b).clamp(min=0.1)


def _still(displacement: Tensor, rows: Tensor) -> Tensor:
    """Of atoms (n, 1) that nothing moves along with."""
    return _CAUCHY * torch.log1p(displacement[rows[:, 0]].square().sum(1) / _ALONE**2).sum()


def _alike_b(log_b: Tensor, rows: Tensor) -> Tensor:
    """Of pairs (n, 2) whose displacement parameters are alike."""
    return 0.5 * ((log_b[rows[:, 0]] - log_b[rows[:, 1]]) / _BONDED_LN_B).square().sum()
