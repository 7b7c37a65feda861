"""A structure in another cell: the molecule keeps its shape, its place is that of the same fractions.

A crystal that expands with temperature moves its molecules apart; it does not stretch them. Common fractional
coordinates would make every bond longer with the cell, common Cartesian ones would leave symmetry mates where they
were. So a structure moves as a rigid body: its centre to the same fractional coordinates, turned by what a change of
the cell's angles turns, the rotation in the polar decomposition of the matrix between the two cells.
"""

from __future__ import annotations

import gemmi
import numpy as np

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.structures.atoms import Floats
from torchref_kinetic_plugin.structures.matching import robust
from torchref_kinetic_plugin.structures.structure import AtomicStructure

#: Relative change of a length between two cells beyond which they are not of one packing; from 100 K to room
#: temperature a cell changes by 1 to 3 %.
LARGEST_STRAIN = 0.05
#: Relative change below which a cell is the same but for the rounding of a file.
_ROUNDING = 1e-7


def centre_of(structure: AtomicStructure) -> Floats:
    """Fractional centre (3,) of the atoms that are neither hydrogens nor waters; of all where there are no others."""
    chosen = robust(structure.atoms)
    fractional = structure.atoms.fractional
    return np.asarray((fractional[chosen] if chosen.any() else fractional).mean(axis=0))


def placed(structure: AtomicStructure, cell: gemmi.UnitCell, centre: Floats) -> AtomicStructure:
    """A copy of a structure in another cell, its shape kept.

    Parameters
    ----------
    structure : AtomicStructure
        In its own cell.
    cell : gemmi.UnitCell
        Where it goes, axes in the standard setting.
    centre : ndarray
        (3,) fractional coordinates that stay what they are. Structures that are to be compared need one centre.

    Raises
    ------
    InputError
        When the cells differ by so much that molecules cannot be packed alike.
    """
    target = gemmi.UnitCell(*cell.parameters)
    before, to_cartesian = structure.cell, np.array(target.orth.mat.tolist())
    strain = to_cartesian @ np.array(before.frac.mat.tolist())
    left, sizes, right = np.linalg.svd(strain)
    change = float(np.abs(sizes - 1.0).max())
    if change > LARGEST_STRAIN:
        shown = " and ".join(" ".join(f"{value:g}" for value in each.parameters) for each in (before, target))
        raise InputError(
            f"{structure.name}: the cell of the model and that of the data differ by {100.0 * change:.1f} % ({shown}); "
            f"up to {100.0 * LARGEST_STRAIN:g} % a molecule is packed alike, so this needs a model in the data's cell"
        )
    rotation = left @ right
    if change < _ROUNDING and np.allclose(rotation, np.eye(3), atol=_ROUNDING) and not any(before.frac.vec.tolist()):
        return structure
    start = (centre - np.array(before.frac.vec.tolist())) @ np.array(before.orth.mat.tolist()).T
    return moved(structure, rotation, to_cartesian @ centre - rotation @ start, target)


def moved(structure: AtomicStructure, rotation: Floats, shift: Floats, cell: gemmi.UnitCell) -> AtomicStructure:
    """A copy of a structure turned and shifted as a rigid body, A, in a cell; displacement tensors turn with it."""
    atoms = structure.atoms
    turned = structure.with_values(xyz=atoms.xyz @ rotation.T + shift, u=_turned(atoms.u, rotation)).to_gemmi()
    turned.cell = gemmi.UnitCell(*cell.parameters)
    turned.setup_cell_images()
    return AtomicStructure.from_gemmi(turned, structure.name, structure.source)


def _turned(u: Floats, rotation: Floats) -> Floats:
    """Tensors (n, 6) U11, U22, U33, U12, U13, U23 in turned axes."""
    places = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    whole = np.empty((len(u), 3, 3))
    for number, (i, j) in enumerate(places):
        whole[:, i, j] = whole[:, j, i] = u[:, number]
    whole = rotation @ whole @ rotation.T
    return np.stack([whole[:, i, j] for i, j in places], axis=1)
