"""Shifts along the axes on which a polar space group leaves the origin free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import gemmi
import numpy as np

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.structures.atoms import Floats
from torchref_kinetic_plugin.structures.matching import displacement, robust, same_atoms
from torchref_kinetic_plugin.structures.structure import AtomicStructure

#: Fewest atoms whose median is worth something.
_FEWEST = 3
#: Standard deviation of a normal distribution over its median absolute deviation.
_MAD = 1.4826
#: Standard error of a median over that of a mean, normal distribution.
_MEDIAN = 1.2533


@final
@dataclass(frozen=True, eq=False)
class PolarShift:
    """How far a structure as a whole lies from another one along the free directions.

    Attributes
    ----------
    vector : ndarray
        (3,) Cartesian shift in the reference's cell, A; the median over common atoms.
    fractional : ndarray
        (3,) the same in fractions of the reference's axes.
    standard_error : float
        Of the size, from the spread of the atoms about the median, A.
    n_atoms : int
        Common atoms, without hydrogens and waters.
    """

    vector: Floats
    fractional: Floats
    standard_error: float
    n_atoms: int

    @property
    def size(self) -> float:
        """Length of the shift, A."""
        return float(np.linalg.norm(self.vector))

    @property
    def direction(self) -> str:
        """The cell axes it has parts along, as ``"b"`` or ``"a, c"``."""
        large = np.abs(self.fractional) > 0.05 * np.abs(self.fractional).max(initial=0.0)
        return ", ".join(axis for axis, part in zip("abc", large, strict=True) if part)


def polar_directions(space_group: gemmi.SpaceGroup, cell: gemmi.UnitCell) -> Floats:
    """Orthonormal Cartesian directions (k, 3) along which the origin is free: k = 0, 1, 2 or 3.

    The vectors that every rotation of the group leaves as they are: the image of the mean rotation.
    """
    rotations = [np.array(operation.rot) / operation.DEN for operation in space_group.operations().sym_ops]
    invariant = np.mean(rotations, axis=0)
    # Rank and image are found among fractions, where rotations are exact however the cell was rounded.
    left, sizes, _ = np.linalg.svd(invariant)
    fractional = left[:, sizes > 1e-6]
    orthogonal, _ = np.linalg.qr(np.array(cell.orth.mat.tolist()) @ fractional)
    return np.asarray(orthogonal.T)


def polar_shift(structure: AtomicStructure, reference: AtomicStructure) -> PolarShift | None:
    """Shift of a structure from the reference along the free directions.

    Parameters
    ----------
    structure, reference : AtomicStructure
        In one space group.

    Returns
    -------
    PolarShift or None
        None where the space group fixes the origin, or fewer than three atoms are common.
    """
    directions = polar_directions(reference.space_group, reference.cell)
    here, there = same_atoms(structure.atoms, reference.atoms)
    trusted = robust(structure.atoms)[here]
    here, there = here[trusted], there[trusted]
    if len(directions) == 0 or len(here) < _FEWEST:
        return None
    parts = displacement(structure, reference, (here, there)) @ directions.T
    median = np.median(parts, axis=0)
    spread = _MAD * np.median(np.abs(parts - median), axis=0)
    vector = median @ directions
    return PolarShift(
        vector=vector,
        fractional=np.array(reference.cell.frac.mat.tolist()) @ vector,
        standard_error=float(np.linalg.norm(spread) * _MEDIAN / np.sqrt(len(here))),
        n_atoms=len(here),
    )


def superpose_along_polar_axis(structure: AtomicStructure, reference: AtomicStructure) -> AtomicStructure:
    """A copy of a structure without its shift from the reference along the free directions.

    All atoms move by one vector, so structure factors change by phases only.

    Raises
    ------
    InputError
        When the structures are in different space groups, the group fixes the origin, or fewer than
        three atoms are common.
    """
    if structure.space_group.xhm() != reference.space_group.xhm():
        raise InputError(
            f"{structure.name} is in {structure.space_group.xhm()!r}, {reference.name} in "
            f"{reference.space_group.xhm()!r}; only structures of one space group can be superposed"
        )
    shift = polar_shift(structure, reference)
    if shift is None:
        raise InputError(
            f"{structure.name} cannot be superposed on {reference.name}: the space group "
            f"{reference.space_group.xhm()!r} fixes the origin, or fewer than {_FEWEST} atoms are common"
        )
    # The same fraction of the axes, in the structure's own cell.
    move = np.array(structure.cell.orth.mat.tolist()) @ shift.fractional
    return structure.with_values(xyz=structure.atoms.xyz - move)
