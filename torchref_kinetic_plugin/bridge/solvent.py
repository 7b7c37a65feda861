"""Bulk solvent around structures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import gemmi
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from torchref_kinetic_plugin.bridge.crystal import Crystal, Floats, Indices

#: Of the grid that a mask is drawn on, A. Where voxels are as large as 0.7 A, a third of a usual resolution limit,
#: the raggedness of the masks' edges is a quarter of the difference that an atom makes which turns into solvent; here
#: it is a twentieth.
SPACING = 0.25
#: Points of a grid, of the largest cells: bounds memory.
_LARGEST = 1e8


def with_solvent(atoms: Tensor, masks: Tensor, mask_scale: Tensor) -> Tensor:
    """Structure factors of structures with their bulk solvent.

    Parameters
    ----------
    atoms, masks : Tensor
        (K, H) complex.
    mask_scale : Tensor
        (H,) real, what the mask scatters relative to 1 e/A^3.

    Returns
    -------
    Tensor
        (K, H) complex, in the type of ``atoms``.
    """
    return atoms + mask_scale.to(atoms.real.dtype) * masks.to(atoms.dtype)


@final
class SolventMasks:
    """Draws the regions that structures leave to bulk solvent, by gemmi.

    Radii and probe are those of cctbx (probe 1.1 A, shrunk by 0.9 A; Jiang & Brunger, J. Mol. Biol. 243, 100, 1994),
    which are TorchRef's too. TorchRef draws on the grid of its structure factors, which is too coarse for differences.

    Parameters
    ----------
    structures : sequence of gemmi.Structure
        One model each; only elements and the order of atoms count.
    hkl : ndarray
        (H, 3) int, the reflections.
    crystal : Crystal
        Cell and space group.
    spacing : float
        Of the grid, A; coarser where the cell is so large that it would not fit in memory.
    """

    def __init__(
        self, structures: Sequence[gemmi.Structure], hkl: Indices, crystal: Crystal, *, spacing: float = SPACING
    ) -> None:
        self._models = [structure[0].clone() for structure in structures]
        self._hkl = hkl
        self._masker = gemmi.SolventMasker(gemmi.AtomicRadiiSet.Cctbx)
        self._empty = gemmi.FloatGrid()
        self._empty.set_unit_cell(crystal.cell)
        self._empty.spacegroup = crystal.space_group
        coarsest = float((crystal.cell.volume / _LARGEST) ** (1.0 / 3.0))
        self._empty.set_size_from_spacing(max(spacing, coarsest), gemmi.GridSizeRounding.Up)
        self._drawn: dict[int, tuple[Floats, NDArray[np.complex128]]] = {}

    def structure_factors(self, structure: int, xyz: Floats) -> NDArray[np.complex128]:
        """(H,), electrons for 1 e/A^3 in the solvent, with the atoms (n_atoms, 3) at these places, A.

        The mask of a structure that has not moved since the last time is not drawn again.
        """
        drawn = self._drawn.get(structure)
        if drawn is None or not np.array_equal(drawn[0], xyz):
            drawn = self._drawn[structure] = xyz.copy(), self._draw(structure, xyz)
        return drawn[1].copy()

    def _draw(self, structure: int, xyz: Floats) -> NDArray[np.complex128]:
        model = self._models[structure]
        for site, place in zip(model.all(), xyz.tolist(), strict=True):
            site.atom.pos = gemmi.Position(*place)
        grid = self._empty.clone()
        self._masker.put_mask_on_float_grid(grid, model)
        transform = gemmi.transform_map_to_f_phi(grid, half_l=True)
        return np.asarray(transform.get_value_by_hkl(self._hkl), dtype=np.complex128)
