"""One named structure: its atoms, cell and space group."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import cast, final

import gemmi
import numpy as np

from torchref_kinetic_plugin.errors import InputError, ShapeError
from torchref_kinetic_plugin.structures.atoms import AtomTable, Floats


@final
@dataclass(frozen=True, eq=False)
class AtomicStructure:
    """An atomic model that may be present in the crystal; it never changes.

    Made by `from_gemmi`, or by the functions that load files.

    Attributes
    ----------
    name : str
        As the refinement file calls it.
    source : str
        Where it came from, for messages.
    space_group : gemmi.SpaceGroup
        In the setting of the cell.
    atoms : AtomTable
        Its atoms, in the order of ``to_gemmi()[0].all()``.
    """

    name: str
    source: str
    space_group: gemmi.SpaceGroup
    atoms: AtomTable = field(repr=False)
    _structure: gemmi.Structure = field(repr=False)

    @classmethod
    def from_gemmi(cls, structure: gemmi.Structure, name: str, source: str = "") -> AtomicStructure:
        """Take a structure of one model; later changes to the argument have no effect.

        Raises
        ------
        InputError
            For more or fewer than one model, no cell, or a space group that is not known.
        """
        label = name if not source else f"{name} ({source})"
        if len(structure) != 1:
            raise InputError(f"{label} has {len(structure)} models; a structure has one")
        if not structure.cell.is_crystal():
            raise InputError(f"{label} has no unit cell")
        group = space_group_of(structure)
        if group is None:
            raise InputError(f"{label}: unknown space group {structure.spacegroup_hm!r}")
        own = structure.clone()
        own.name = name
        own.spacegroup_hm = group.xhm()
        return cls(name, source, group, AtomTable.from_model(own[0], own.cell), own)

    @property
    def cell(self) -> gemmi.UnitCell:
        """A copy of the unit cell, A and degrees."""
        return copy.copy(self._structure.cell)

    def to_gemmi(self) -> gemmi.Structure:
        """A copy for gemmi: cell, space group, one model, alternative conformations, links, header."""
        return self._structure.clone()

    def with_values(
        self,
        *,
        xyz: Floats | None = None,
        b_iso: Floats | None = None,
        u: Floats | None = None,
        occupancy: Floats | None = None,
    ) -> AtomicStructure:
        """A copy with other values, in the order of `atoms`; what is not given stays.

        Parameters
        ----------
        xyz : ndarray, optional
            (n, 3) Cartesian coordinates, A.
        b_iso, occupancy : ndarray, optional
            (n,) B in A^2; occupancies within the structure.
        u : ndarray, optional
            (n, 6) U11, U22, U33, U12, U13, U23, A^2; a row of zeros makes the atom isotropic.

        Raises
        ------
        ShapeError
            For an array of another shape.
        InputError
            For values that are not finite.
        """
        count = len(self.atoms)
        given = {"xyz": (xyz, (count, 3)), "b_iso": (b_iso, (count,))}
        given |= {"u": (u, (count, 6)), "occupancy": (occupancy, (count,))}
        for what, (values, shape) in given.items():
            if values is not None and np.shape(values) != shape:
                raise ShapeError(f"{what} of {self.name} has shape {np.shape(values)}, not {shape}")
            if values is not None and not np.isfinite(values).all():
                raise InputError(f"{what} of {self.name} holds values that are not finite")
        changed = self.to_gemmi()
        for number, site in enumerate(changed[0].all()):
            if xyz is not None:
                site.atom.pos = gemmi.Position(*xyz[number].tolist())
            if b_iso is not None:
                site.atom.b_iso = float(b_iso[number])
            if u is not None:
                site.atom.aniso = gemmi.SMat33f(*u[number].tolist())
            if occupancy is not None:
                site.atom.occ = float(occupancy[number])
        return AtomicStructure.from_gemmi(changed, self.name, self.source)


def space_group_of(structure: gemmi.Structure) -> gemmi.SpaceGroup | None:
    """Space group by its name, hexagonal or rhombohedral as the cell is; None when it is not known."""
    # gemmi returns None for a name it does not know, which its stubs do not say.
    return cast("gemmi.SpaceGroup | None", structure.find_spacegroup())
