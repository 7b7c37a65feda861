"""The same intermediate in several crystal forms: its atoms leave the reference by nearly the same vector in all.

Each form has its own copy of an atom. What is alike between forms is not where the atom is, which temperature and
packing change, but how far it went from its form's reference; these displacements, turned into one frame, have a
three-dimensional Cauchy distribution about their mean over the forms, as those of bonded atoms have about each other
(see `atom_terms`). No form is preferred, so their order does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchref_kinetic_plugin.bridge.shared_atoms import AtomValues
from torchref_kinetic_plugin.refinement.experiment import Floats

#: Exponent of a three-dimensional Cauchy distribution.
_CAUCHY = 2.0
#: Width in units of the median distance from the mean, and its limits, A. An intermediate that data leave unsure by
#: more than the upper one leans on its sibling; temperature may well change displacements by the lower one.
_MEDIANS = 3.0
_NARROWEST, _WIDEST = 0.1, 0.3


@final
class SiblingRestraint:
    """Displacements of the same atoms in several forms, restrained to their mean.

    Of n forms that have an atom, the distances from the mean are n - 1 independent vectors; each counts as
    (n - 1) / n of a restraint.

    Parameters
    ----------
    rows : ndarray
        (n_forms, n_atoms) int, the row of each atom in each form; -1 where a form lacks it. Atoms that fewer than two
        forms have are left out.
    anchor : Tensor
        (n_rows, 3), where the reference has the atom of each row, A.
    rotations : sequence of ndarray
        (3, 3) of each form, from its frame to the common one.
    weight : float
        Factor of the term.

    Attributes
    ----------
    width : float or None
        Of the distribution, A; None leaves the forms alone.
    """

    def __init__(
        self, rows: NDArray[np.int64], anchor: Tensor, rotations: Sequence[Floats], *, weight: float = 1.0
    ) -> None:
        kept = rows[:, (rows >= 0).sum(axis=0) > 1]
        self.width: float | None = None
        self._weight = weight
        present = torch.tensor(kept >= 0, device=anchor.device)
        self._rows = torch.tensor(np.maximum(kept, 0), device=anchor.device)
        self._present = present.to(anchor.dtype).unsqueeze(2)
        self._count = self._present.sum(0)
        self._anchor = anchor[self._rows]
        self._rotations = anchor.new_tensor(np.array(list(rotations))).transpose(1, 2)

    @property
    def n_atoms(self) -> int:
        """Atoms compared."""
        return self._rows.shape[1]

    def __call__(self, values: AtomValues) -> Tensor:
        """Minus the logarithm of the prior, a scalar."""
        if self.width is None or not self.n_atoms:
            return values.xyz.new_zeros(())
        squares = self._deviations(values).square().sum(2) / self.width**2
        share = self._present.squeeze(2) * ((self._count - 1.0) / self._count).squeeze(1)
        return self._weight * _CAUCHY * (share * torch.log1p(squares)).sum()

    def typical_width(self, values: AtomValues) -> float:
        """Width, A, that leaves most displacements where they are: some medians of their distance from the mean."""
        length = self._deviations(values).norm(dim=2)[self._present.squeeze(2) > 0.0]
        typical = float(length.median()) if len(length) else 0.0
        return min(max(_MEDIANS * typical, _NARROWEST), _WIDEST)

    def curvature(self, values: AtomValues) -> tuple[Tensor, Tensor]:
        """Second derivative without its negative part, pair by pair of forms.

        Along the direction in which it is stretched a Cauchy distribution curves the wrong way once it is wider than
        its width; as elsewhere such a part counts as nothing.

        Returns
        -------
        rows : Tensor
            (n_forms, n_atoms), -1 where a form lacks the atom.
        curvature : Tensor
            (n_atoms, 3 n_forms, 3 n_forms), by the coordinates of the atom in all forms.
        """
        n_forms, n_atoms = self._rows.shape
        missing = self._present.squeeze(2) == 0.0
        rows = torch.where(missing, -1, self._rows)
        if self.width is None:
            return rows, values.xyz.new_zeros(n_atoms, 3 * n_forms, 3 * n_forms)
        deviation = self._deviations(values)
        squares = deviation.square().sum(2, keepdim=True) / self.width**2
        share = self._present * ((self._count - 1.0) / self._count)
        # 2 w^-2 / (1 + r^2 / w^2) (1 - 2 d d^T / (w^2 + r^2)): eigenvalues are known, so is the negative one.
        across = 2.0 * self._weight * _CAUCHY * share / self.width**2 / (1.0 + squares)
        along = across * ((1.0 - squares) / (1.0 + squares)).clamp(min=0.0)
        unit = deviation / deviation.norm(dim=2, keepdim=True).clamp(min=1e-12)
        eye = torch.eye(3, dtype=across.dtype, device=across.device)
        each = across.unsqueeze(3) * eye + (along - across).unsqueeze(3) * unit.unsqueeze(3) * unit.unsqueeze(2)
        # Deviation f = sum over g of (delta_fg - 1 / n) R_g x_g.
        own = torch.eye(n_forms, dtype=across.dtype, device=across.device).unsqueeze(2)
        present = self._present.squeeze(2)
        by_form = (own - 1.0 / self._count.squeeze(1)) * present.unsqueeze(0) * present.unsqueeze(1)
        turned = self._rotations.transpose(1, 2)
        slopes = by_form[:, :, :, None, None] * turned[None, :, None]
        whole = torch.einsum("fgaij,faik,fhakl->agjhl", slopes, each, slopes)
        return rows, whole.reshape(n_atoms, 3 * n_forms, 3 * n_forms)

    def _deviations(self, values: AtomValues) -> Tensor:
        """(n_forms, n_atoms, 3), of displacements in the common frame from their mean; zero where there is none."""
        displacement = (values.xyz[self._rows] - self._anchor) @ self._rotations * self._present
        mean = displacement.sum(0) / self._count
        result: Tensor = (displacement - mean) * self._present
        return result
