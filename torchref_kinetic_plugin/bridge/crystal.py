"""The crystal that all data and structures are put in: cell, space group, asymmetric unit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import gemmi
import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.errors import CrystalError, ShapeError

Floats = NDArray[np.float64]
Indices = NDArray[np.int32]


@final
@dataclass(frozen=True)
class Crystal:
    """Cell and space group of the data.

    Parameters
    ----------
    cell : gemmi.UnitCell
        Cell, in A and degrees.
    space_group : gemmi.SpaceGroup
        Space group, in the setting of the cell.

    Raises
    ------
    CrystalError
        When there is no cell.
    """

    cell: gemmi.UnitCell
    space_group: gemmi.SpaceGroup

    def __post_init__(self) -> None:
        if not self.cell.is_crystal():
            raise CrystalError(f"no unit cell: {self.cell.parameters}")

    @property
    def parameters(self) -> list[float]:
        """a, b, c, alpha, beta, gamma."""
        return list(self.cell.parameters)

    @cached_property
    def fractionalization(self) -> Floats:
        """(3, 3); fractional = matrix @ Cartesian, without shift: the standard setting of the axes."""
        return np.array(gemmi.UnitCell(*self.parameters).frac.mat.tolist())

    @cached_property
    def orthogonalization(self) -> Floats:
        """(3, 3); Cartesian = matrix @ fractional."""
        return np.array(gemmi.UnitCell(*self.parameters).orth.mat.tolist())

    def scattering_vectors(self, hkl: Indices) -> Floats:
        """Cartesian reciprocal vectors s (H, 3), 1/A; their length is 1/d."""
        return np.asarray(_checked(hkl).astype(np.float64) @ self.fractionalization)

    def resolution(self, hkl: Indices) -> Floats:
        """Spacings d (H,), A."""
        return np.asarray(1.0 / np.linalg.norm(self.scattering_vectors(hkl), axis=1))

    def to_asu(self, hkl: Indices) -> Indices:
        """Indices (H, 3) moved into the CCP4 asymmetric unit, Friedel mates merged, order kept."""
        hkl = _checked(hkl)
        rows = np.arange(len(hkl), dtype=np.int32)
        data = gemmi.IntAsuData(self.cell, self.space_group, hkl, rows)
        data.ensure_asu()
        moved = np.empty_like(hkl)
        moved[np.asarray(data.value_array)] = np.asarray(data.miller_array)
        return moved

    @cached_property
    def symmetric_matrices(self) -> Floats:
        """Basis (n, 3, 3) of the Cartesian symmetric matrices that the point group leaves as they are.

        One matrix in cubic groups, two in tetragonal and hexagonal ones, six in P1; orthonormal. An
        anisotropy outside their span is not one of a crystal but of how its asymmetric unit was chosen.
        """
        # Averaged over the group in the index space, where rotations are exact integers however the
        # cell was rounded.
        pairs = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]
        rotations = [np.array(op.rot) / op.DEN for op in self.space_group.operations().sym_ops]
        images = []
        for i, j in pairs:
            unit = np.zeros((3, 3))
            unit[i, j] = unit[j, i] = 1.0
            images.append(np.mean([r @ unit @ r.T for r in rotations], axis=0))
        flat = np.array([[image[i, j] for i, j in pairs] for image in images])
        left, size, _ = np.linalg.svd(flat.T)
        invariant = left[:, size > 1e-9]
        matrices = []
        for column in invariant.T:
            beta = np.zeros((3, 3))
            for value, (i, j) in zip(column, pairs, strict=True):
                beta[i, j] = beta[j, i] = value
            matrices.append((self.orthogonalization @ beta @ self.orthogonalization.T).ravel())
        basis, _ = np.linalg.qr(np.array(matrices).T)
        return np.asarray(basis.T.reshape(-1, 3, 3))


def _checked(hkl: Indices) -> Indices:
    array = np.ascontiguousarray(hkl, dtype=np.int32)
    if array.ndim != 2 or array.shape[1] != 3:
        raise ShapeError(f"indices have shape {array.shape}, not (H, 3)")
    return array
