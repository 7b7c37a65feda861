"""Structure factors of structures that share atoms: what is common is evaluated once, what stands still never again."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchref_kinetic_plugin.bridge.atom_table import occupancies_of
from torchref_kinetic_plugin.bridge.crystal import Crystal, Indices
from torchref_kinetic_plugin.bridge.environment import complex_of
from torchref_kinetic_plugin.bridge.structure_factors import StructureFactorBank
from torchref_kinetic_plugin.errors import ShapeError

Flags = NDArray[np.bool_]

#: B that a moving atom is expected not to fall below, A^2; the density is blurred for it.
_SHARPEST = 3.0


@final
@dataclass(frozen=True, eq=False)
class AtomValues:
    """Coordinates and displacement of rows of atoms, in the data's cell.

    Attributes
    ----------
    xyz : Tensor
        (n_rows, 3), Cartesian, A.
    b : Tensor
        (n_rows,), isotropic B, A^2; of anisotropic rows it is not used.
    u : Tensor
        (n_rows, 6), U11, U22, U33, U12, U13, U23, A^2; of isotropic rows it is not used.
    """

    xyz: Tensor
    b: Tensor
    u: Tensor

    def rows(self, block: slice) -> AtomValues:
        """Some of the rows."""
        return AtomValues(self.xyz[block], self.b[block], self.u[block])


@dataclass(frozen=True, eq=False)
class _Group:
    """Rows of one kind that the same structures use."""

    users: tuple[int, ...]
    anisotropic: bool
    rows: Tensor
    occupancy: Tensor
    form: tuple[Tensor, Tensor]


@final
class SharedAtomBank:
    """K structures whose atoms take their values from common rows (see `structures.ParameterMap`).

    Density and structure factors are linear in the atoms: those of a structure are the sum over groups of rows with
    the same users. A group that stands still is evaluated once, one that moves once per call, whoever uses it.

    Parameters
    ----------
    structures : sequence of gemmi.Structure
        One model each.
    rows : sequence of ndarray
        For each structure (n_atoms,), the row of each of its atoms.
    hkl : ndarray
        (H, 3) int.
    crystal : Crystal
        Cell and space group of the data.
    moving : ndarray
        (n_rows,) bool, which rows take the values given; the others those of the structures.
    restraint_files : sequence of path
        Restraints of monomers that TorchRef does not know.
    device : torch.device or str
        Where to compute.
    wavelength : float, optional
        A; adds f' of the elements that have it.

    Attributes
    ----------
    start : AtomValues
        Values of the structures; of a shared row those of the first structure that uses it.
    anisotropic : Tensor
        (n_rows,) bool.
    moving : Tensor
        (n_rows,) bool.
    electrons : Tensor
        (n_rows,), what an atom scatters in the forward direction.

    Raises
    ------
    ShapeError
        When rows do not fit the structures.
    CrystalError
        When a structure does not fit the crystal.
    """

    def __init__(
        self,
        structures: Sequence[gemmi.Structure],
        rows: Sequence[NDArray[np.int64]],
        hkl: Indices,
        crystal: Crystal,
        *,
        moving: Flags,
        restraint_files: Sequence[str | os.PathLike[str]] = (),
        device: torch.device | str = "cpu",
        wavelength: float | None = None,
    ) -> None:
        sizes = [structure[0].count_atom_sites() for structure in structures]
        if [len(each) for each in rows] != sizes:
            raise ShapeError(f"rows of {[len(each) for each in rows]} atoms for structures of {sizes}")
        self.structures = StructureFactorBank(
            structures,
            hkl,
            crystal,
            restraint_files=restraint_files,
            device=device,
            wavelength=wavelength,
            sharpest=_SHARPEST,
        )
        self.rows = [torch.tensor(each, device=device) for each in rows]
        n_rows = len(moving)
        self.moving = torch.tensor(moving, device=device)
        xyz = torch.zeros(n_rows, 3, dtype=self.structures.dtype, device=device)
        b, u = torch.zeros_like(xyz[:, 0]), xyz.new_zeros(n_rows, 6)
        self.anisotropic = torch.zeros(n_rows, dtype=torch.bool, device=device)
        entries: defaultdict[tuple[int, float], list[int]] = defaultdict(list)
        form: dict[int, tuple[Tensor, Tensor]] = {}
        for number in reversed(range(len(structures))):
            atoms = self.structures.atoms(number)
            taken = self.rows[number]
            xyz[taken], b[taken], u[taken] = atoms.xyz, atoms.b, atoms.u
            self.anisotropic[taken] = atoms.anisotropic
            occupancies = occupancies_of(structures[number]).tolist()
            for place, (row, occupancy) in enumerate(zip(taken.tolist(), occupancies, strict=True)):
                entries[row, occupancy].append(number)
                form[row] = (atoms.form[0][place], atoms.form[1][place])
        self.start = AtomValues(xyz, b, u)
        self.electrons = torch.stack([form[row][0].sum() for row in range(n_rows)])
        moves, aniso = self.moving.tolist(), self.anisotropic.tolist()
        grouped: defaultdict[tuple[tuple[int, ...], bool, bool], list[tuple[int, float]]] = defaultdict(list)
        for (row, occupancy), users in sorted(entries.items()):
            grouped[tuple(sorted(users)), moves[row], aniso[row]].append((row, occupancy))
        self._moving: list[_Group] = []
        self._still = torch.zeros(len(structures), len(hkl), dtype=complex_of(self.structures.dtype), device=device)
        for (together, is_moving, is_anisotropic), members in grouped.items():
            index = torch.tensor([row for row, _ in members], device=device)
            weight = xyz.new_tensor([occupancy for _, occupancy in members])
            amplitudes = tuple(torch.stack([form[row][part] for row, _ in members]) for part in range(2))
            group = _Group(together, is_anisotropic, index, weight, (amplitudes[0], amplitudes[1]))
            if is_moving:
                self._moving.append(group)
            else:
                with torch.no_grad():
                    self._still[list(together)] += self.structures.from_density(self._density(group, self.start))

    @property
    def n_structures(self) -> int:
        """K."""
        return len(self.rows)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.moving)

    def structure_factors(self, values: AtomValues) -> Tensor:
        """Of the atoms (K, H) complex, electrons; differentiable once in the values of moving rows."""
        result: Any = list(self._still)
        densities = [self._density(group, values) for group in self._moving]
        used = [
            [density for group, density in zip(self._moving, densities, strict=True) if number in group.users]
            for number in range(self.n_structures)
        ]
        if sum(map(bool, used)) < len(densities):
            # A transform costs more than a sum.
            for structure, parts in enumerate(used):
                if parts:
                    result[structure] = result[structure] + self.structures.from_density(sum(parts[1:], parts[0]))
            return torch.stack(result)
        for group, density in zip(self._moving, densities, strict=True):
            factors = self.structures.from_density(density)
            for structure in group.users:
                result[structure] = result[structure] + factors
        return torch.stack(result)

    def mask_structure_factors(self, values: AtomValues) -> Tensor:
        """Of the solvent region of each structure (K, H) at 1 e/A^3, at these values; no gradient."""
        with torch.no_grad():
            for number, rows in enumerate(self.rows):
                self.structures.place(number, values.xyz[rows])
        self.structures.update_masks()
        return self.structures.mask_structure_factors()

    def moving_groups(self) -> list[tuple[tuple[int, ...], Tensor]]:
        """Structures and rows (n,) of each group that moves."""
        return [(group.users, group.rows) for group in self._moving]

    @torch.no_grad()
    def derivatives(self, values: AtomValues, group: int, reflections: Tensor) -> Tensor:
        """Of the structure factors of a moving group, by direct summation.

        Parameters
        ----------
        values : AtomValues
            Where.
        group : int
            Number in `moving_groups`.
        reflections : Tensor
            (h,), which of the H reflections.

        Returns
        -------
        Tensor
            (h, n, 4) complex, by the coordinates, A, and by ln B of each of its rows. Anisotropic rows are taken to be
            isotropic with the same mean displacement.
        """
        chosen = self._moving[group]
        crystal = self.structures.crystal
        hkl = self.structures.hkl[reflections].to(self.structures.dtype)
        squares = torch.as_tensor(crystal.resolution(hkl.cpu().numpy().astype(np.int32)) ** -2.0).to(hkl)
        equivalent = 8.0 * np.pi**2 * values.u[chosen.rows][:, :3].mean(1)
        b = equivalent if chosen.anisotropic else values.b[chosen.rows]
        amplitude, width = chosen.form
        scattering = (amplitude * torch.exp(-0.25 * squares[:, None, None] * width)).sum(2)
        scattering = scattering * torch.exp(-0.25 * squares[:, None] * b) * chosen.occupancy
        to_fractional = torch.linalg.inv(hkl.new_tensor(np.asarray(crystal.orthogonalization)))
        fractional = values.xyz[chosen.rows] @ to_fractional.T
        waves = torch.zeros(len(hkl), len(b), 4, dtype=complex_of(self.structures.dtype), device=hkl.device)
        for operation in crystal.space_group.operations():
            turned = hkl @ hkl.new_tensor(operation.rot) / operation.DEN
            shift = hkl @ hkl.new_tensor(operation.tran) / operation.DEN
            wave = torch.polar(scattering, 2.0 * np.pi * (turned @ fractional.T + shift[:, None]))
            slopes = 2.0j * np.pi * (turned @ to_fractional)
            waves[:, :, :3] += wave[:, :, None] * slopes[:, None, :]
            waves[:, :, 3] -= wave * (0.25 * squares[:, None] * b)
        return waves

    def _density(self, group: _Group, values: AtomValues) -> Tensor:
        rows = group.rows
        displacement = values.u[rows] if group.anisotropic else values.b[rows]
        return self.structures.density_of(
            values.xyz[rows], displacement, group.occupancy, group.form, anisotropic=group.anisotropic
        )
