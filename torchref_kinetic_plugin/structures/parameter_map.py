"""The map from atoms of structures to rows of parameters, so that structures can share atoms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, final

import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.errors import ShapeError
from torchref_kinetic_plugin.structures.atoms import AtomKey, Flags, Floats, Indices, cartesian_of
from torchref_kinetic_plugin.structures.structure import AtomicStructure

#: Says of an atom whether structures share it.
Choice = Callable[[AtomKey], bool]
Scalar = TypeVar("Scalar", bound=np.generic)


@final
@dataclass(frozen=True)
class SharingTolerance:
    """How close an atom must be in two structures to count as one.

    The defaults are what rounding in a PDB file can do.

    Attributes
    ----------
    position : float
        Distance, A, fractional coordinates compared in the cell of the first structure.
    b_iso : float
        Difference of isotropic B, A^2.
    u : float
        Largest difference of a component of U, A^2. An isotropic atom never equals an anisotropic one.
    """

    position: float = 0.002
    b_iso: float = 0.011
    u: float = 0.00011


@final
@dataclass(frozen=True, eq=False)
class ParameterMap:
    """Which row of parameters (coordinates, ADP) each atom of each structure takes its values from.

    A row belongs to one atom (one key) and to one or several structures. Occupancies are not parameters
    of rows: they stay with the structures, since an atom may be disordered in one and not in another.

    Attributes
    ----------
    structures : tuple of str
        Names of the structures.
    keys : tuple of AtomKey
        The unique atoms over all structures, in the order of first appearance.
    key_of_row : ndarray
        (n_rows,) int, which unique atom a row is of.
    rows : tuple of ndarray
        For each structure (n_atoms,) int, the row of each of its atoms; no row twice in one structure.
    origin : ndarray
        (n_rows, 2) int, structure and atom whose values a row starts from: the first structure that
        uses it.
    """

    structures: tuple[str, ...]
    keys: tuple[AtomKey, ...]
    key_of_row: Indices
    rows: tuple[Indices, ...]
    origin: Indices

    def __post_init__(self) -> None:
        for array in (self.key_of_row, *self.rows, self.origin):
            array.setflags(write=False)

    @classmethod
    def by_identity(
        cls, structures: Sequence[AtomicStructure], tolerance: SharingTolerance | None = None
    ) -> ParameterMap:
        """Share a row between structures in which an atom is the same within the tolerance.

        The first structure that has the atom opens a row; the following ones join the first row that they
        agree with, or open their own.
        """
        tolerance = SharingTolerance() if tolerance is None else tolerance
        frames = [cartesian_of(each.atoms.fractional, structures[0].cell) for each in structures]

        def same(row: tuple[int, int], atom: tuple[int, int]) -> bool:
            (s, i), (t, j) = row, atom
            first, second = structures[s].atoms, structures[t].atoms
            return bool(
                np.linalg.norm(frames[s][i] - frames[t][j]) <= tolerance.position
                and first.anisotropic[i] == second.anisotropic[j]
                and abs(first.b_iso[i] - second.b_iso[j]) <= tolerance.b_iso
                and np.abs(first.u[i] - second.u[j]).max() <= tolerance.u
            )

        return cls._grouped(structures, lambda _, row, atom: same(row, atom))

    @classmethod
    def by_choice(cls, structures: Sequence[AtomicStructure], shared: Choice) -> ParameterMap:
        """Share a row between all structures for the atoms chosen, whatever their values; no other row.

        A shared row starts from the first structure that has the atom: `deviation` says what that changes
        in the others. An atom that is isotropic in one structure and anisotropic in another has a row for
        each kind.
        """

        def chosen(key: AtomKey, row: tuple[int, int], atom: tuple[int, int]) -> bool:
            first, second = (structures[s].atoms.anisotropic[i] for s, i in (row, atom))
            return shared(key) and bool(first == second)

        return cls._grouped(structures, chosen)

    @classmethod
    def by_own(cls, structures: Sequence[AtomicStructure], own: Sequence[Flags]) -> ParameterMap:
        """Share with the first structure all atoms but those that are a structure's own.

        Parameters
        ----------
        structures : sequence of AtomicStructure
            The first is the reference.
        own : sequence of ndarray
            For each structure (n_atoms,) bool, atoms with rows of their own; of the first nothing is asked.
        """

        def joins(_: AtomKey, row: tuple[int, int], atom: tuple[int, int]) -> bool:
            (s, i), (t, j) = row, atom
            same_kind = structures[s].atoms.anisotropic[i] == structures[t].atoms.anisotropic[j]
            return s == 0 and not own[t][j] and bool(same_kind)

        return cls._grouped(structures, joins)

    @classmethod
    def _grouped(
        cls,
        structures: Sequence[AtomicStructure],
        joins: Callable[[AtomKey, tuple[int, int], tuple[int, int]], bool],
    ) -> ParameterMap:
        rows_of_key: defaultdict[AtomKey, list[int]] = defaultdict(list)
        numbers: dict[AtomKey, int] = {}
        origin: list[tuple[int, int]] = []
        key_of_row: list[int] = []
        rows = []
        for s, structure in enumerate(structures):
            taken = np.empty(len(structure.atoms), dtype=np.int64)
            for i, key in enumerate(structure.atoms.keys):
                number = numbers.setdefault(key, len(numbers))
                row = next((row for row in rows_of_key[key] if joins(key, origin[row], (s, i))), None)
                if row is None:
                    row = len(origin)
                    rows_of_key[key].append(row)
                    origin.append((s, i))
                    key_of_row.append(number)
                taken[i] = row
            rows.append(taken)
        return cls(
            tuple(structure.name for structure in structures),
            tuple(numbers),
            np.array(key_of_row, dtype=np.int64),
            tuple(rows),
            np.array(origin, dtype=np.int64).reshape(-1, 2),
        )

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.key_of_row)

    @cached_property
    def n_users(self) -> Indices:
        """(n_rows,) number of structures that use a row."""
        counts = np.zeros(self.n_rows, dtype=np.int64)
        for taken in self.rows:
            counts[taken] += 1
        return counts

    @property
    def shared(self) -> Flags:
        """(n_rows,) whether several structures use a row."""
        return np.asarray(self.n_users > 1)

    def row_keys(self) -> tuple[AtomKey, ...]:
        """The atom of each row."""
        return tuple(self.keys[number] for number in self.key_of_row.tolist())

    def gather(self, values: Sequence[NDArray[Scalar]]) -> NDArray[Scalar]:
        """Values of rows (n_rows, ...), each from the atom it starts from.

        Parameters
        ----------
        values : sequence of ndarray
            For each structure (n_atoms, ...).

        Raises
        ------
        ShapeError
            When the arrays do not fit the structures.
        """
        sizes, wanted = [len(each) for each in values], [len(taken) for taken in self.rows]
        if sizes != wanted:
            raise ShapeError(f"arrays of {sizes} atoms for structures of {wanted}")
        starts = np.cumsum([0, *sizes[:-1]])
        joined = np.concatenate(list(values))
        return np.asarray(joined[starts[self.origin[:, 0]] + self.origin[:, 1]])

    def expand(self, values: NDArray[Scalar], structure: int) -> NDArray[Scalar]:
        """Values of the atoms (n_atoms, ...) of a structure from those of the rows (n_rows, ...)."""
        if len(values) != self.n_rows:
            raise ShapeError(f"values of {len(values)} rows for a map of {self.n_rows}")
        return np.asarray(values[self.rows[structure]])

    def deviation(self, structures: Sequence[AtomicStructure]) -> Floats:
        """(n_rows,) how far the furthest atom that uses a row lies from where the row starts, A."""
        frames = [cartesian_of(each.atoms.fractional, structures[0].cell) for each in structures]
        starts = self.gather(frames)
        furthest = np.zeros(self.n_rows)
        for frame, taken in zip(frames, self.rows, strict=True):
            np.maximum.at(furthest, taken, np.linalg.norm(frame - starts[taken], axis=1))
        return furthest
