"""Atoms of one structure as arrays, and what identifies an atom in all structures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from functools import cached_property
from typing import NamedTuple, final

import gemmi
import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.errors import ShapeError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]
Names = NDArray[np.str_]


@final
class ResidueKey(NamedTuple):
    """What identifies a residue in every structure."""

    chain: str
    number: int
    insertion_code: str
    name: str

    def __str__(self) -> str:
        return f"{self.chain}/{self.name} {self.number}{self.insertion_code}"


@final
class SiteKey(NamedTuple):
    """An atom of a residue, whatever its conformation."""

    residue: ResidueKey
    atom: str

    def __str__(self) -> str:
        return f"{self.residue}/{self.atom}"


@final
class AtomKey(NamedTuple):
    """What identifies an atom in every structure."""

    residue: ResidueKey
    atom: str
    altloc: str
    element: str

    @property
    def site(self) -> SiteKey:
        """The same without conformation and element."""
        return SiteKey(self.residue, self.atom)

    def __str__(self) -> str:
        conformer = f".{self.altloc}" if self.altloc else ""
        return f"{self.residue}/{self.atom}{conformer}"


@final
@dataclass(frozen=True, eq=False)
class AtomTable:
    """Atoms of one structure, in the order of gemmi's ``model.all()``; arrays are read-only.

    Attributes
    ----------
    chain, residue_name, insertion_code, atom_name, altloc, element : ndarray
        (n,) text; altloc and insertion code empty where there is none.
    residue_number, charge : ndarray
        (n,) int.
    xyz : ndarray
        (n, 3) Cartesian coordinates in the structure's own cell, A.
    fractional : ndarray
        (n, 3) fractional coordinates.
    occupancy : ndarray
        (n,) occupancy within the structure, not the structure's occupancy in the crystal.
    b_iso : ndarray
        (n,) isotropic B, A^2; for an anisotropic atom what the file says beside its tensor.
    u : ndarray
        (n, 6) U11, U22, U33, U12, U13, U23, Cartesian, A^2; zero where isotropic.
    anisotropic, hydrogen, water : ndarray
        (n,) bool. Hydrogen means deuterium too; hydrogens ride on their parents in refinement.
    """

    chain: Names
    residue_number: Indices
    insertion_code: Names
    residue_name: Names
    atom_name: Names
    altloc: Names
    element: Names
    charge: Indices
    xyz: Floats
    fractional: Floats
    occupancy: Floats
    b_iso: Floats
    u: Floats
    anisotropic: Flags
    hydrogen: Flags
    water: Flags

    def __post_init__(self) -> None:
        for field in fields(self):
            array: NDArray[np.generic] = getattr(self, field.name)
            if len(array) != len(self.chain):
                raise ShapeError(f"{field.name} has {len(array)} atoms, chain has {len(self.chain)}")
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.chain)

    @classmethod
    def from_model(cls, model: gemmi.Model, cell: gemmi.UnitCell) -> AtomTable:
        """Take the atoms of a model in a cell."""
        sites = list(model.all())
        atoms = [site.atom for site in sites]
        residues = [site.residue for site in sites]
        xyz = np.array([atom.pos.tolist() for atom in atoms], dtype=np.float64).reshape(-1, 3)
        tensors = [atom.aniso for atom in atoms]
        u = [(t.u11, t.u22, t.u33, t.u12, t.u13, t.u23) for t in tensors]
        return cls(
            chain=np.array([site.chain.name for site in sites], dtype=np.str_),
            residue_number=np.array([residue.seqid.num or 0 for residue in residues], dtype=np.int64),
            insertion_code=np.array([residue.seqid.icode.strip() for residue in residues], dtype=np.str_),
            residue_name=np.array([residue.name for residue in residues], dtype=np.str_),
            atom_name=np.array([atom.name for atom in atoms], dtype=np.str_),
            altloc=np.array([altloc_of(atom) for atom in atoms], dtype=np.str_),
            element=np.array([atom.element.name for atom in atoms], dtype=np.str_),
            charge=np.array([atom.charge for atom in atoms], dtype=np.int64),
            xyz=xyz,
            fractional=fractional_of(xyz, cell),
            occupancy=np.array([atom.occ for atom in atoms], dtype=np.float64),
            b_iso=np.array([atom.b_iso for atom in atoms], dtype=np.float64),
            u=np.array(u, dtype=np.float64).reshape(-1, 6),
            anisotropic=np.array([tensor.nonzero() for tensor in tensors], dtype=np.bool_),
            hydrogen=np.array([atom.is_hydrogen() for atom in atoms], dtype=np.bool_),
            water=np.array([residue.is_water() for residue in residues], dtype=np.bool_),
        )

    @cached_property
    def residues(self) -> tuple[ResidueKey, ...]:
        """The residue of each atom."""
        columns = (self.chain, self.residue_number, self.insertion_code, self.residue_name)
        return tuple(ResidueKey(*row) for row in zip(*(column.tolist() for column in columns), strict=True))

    @cached_property
    def keys(self) -> tuple[AtomKey, ...]:
        """The identity of each atom."""
        columns = (self.atom_name.tolist(), self.altloc.tolist(), self.element.tolist())
        return tuple(AtomKey(*row) for row in zip(self.residues, *columns, strict=True))

    @cached_property
    def sites(self) -> tuple[SiteKey, ...]:
        """The identity of each atom without its conformation."""
        return tuple(key.site for key in self.keys)

    @cached_property
    def index(self) -> dict[AtomKey, int]:
        """Where each atom stands; the first place of an atom that stands twice."""
        places: dict[AtomKey, int] = {}
        for number, key in enumerate(self.keys):
            places.setdefault(key, number)
        return places

    def repeated(self) -> list[AtomKey]:
        """Atoms that stand more than once."""
        return [key for key, count in Counter(self.keys).items() if count > 1]


def altloc_of(atom: gemmi.Atom) -> str:
    """Conformation of an atom; empty where gemmi has its NUL."""
    return atom.altloc if atom.has_altloc() else ""


def fractional_of(xyz: Floats, cell: gemmi.UnitCell) -> Floats:
    """Fractional coordinates (n, 3) of Cartesian ones, A, with the file's axes (SCALE records)."""
    return np.asarray(xyz @ np.array(cell.frac.mat.tolist()).T + np.array(cell.frac.vec.tolist()))


def cartesian_of(fractional: Floats, cell: gemmi.UnitCell) -> Floats:
    """Cartesian coordinates (n, 3), A, of fractional ones; the inverse of `fractional_of`."""
    return np.asarray(fractional @ np.array(cell.orth.mat.tolist()).T + np.array(cell.orth.vec.tolist()))
