"""TorchRef's geometry restraints on rows of atoms that structures share, each restraint once.

The framework sums minus log-likelihoods of restraints, normalization included, with weight 1: bonds, angles, planes and
chiral volumes are normal, torsions von Mises, peptide torsions a mixture of cis and trans, contacts a repulsion of the
fourth power (0.3 A). Its tables are taken as they are, indices replaced by rows, so that a restraint among shared atoms
counts once however many structures have it, and one among atoms that stand still is left out. Values are less those of
ideal geometry, which changes no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchref_kinetic_plugin.bridge.environment import framework, quiet, settings
from torchref_kinetic_plugin.bridge.local_curvature import local_curvature
from torchref_kinetic_plugin.bridge.shared_atoms import AtomValues, SharedAtomBank

_DEGREE = math.pi / 180.0
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
#: Tolerance of an overlap of two atoms, A, and the exponent: TorchRef's own.
_OVERLAP, _EXPONENT = 0.3, 4.0
#: Probabilities of a cis peptide before proline and elsewhere: TorchRef's own.
_CIS_PROLINE, _CIS_GENERAL = 0.05, 0.0005

#: Terms by name.
KINDS = ("bond", "angle", "torsion", "chiral", "plane", "contact")


Columns = tuple[Tensor, ...]


@final
@dataclass(frozen=True, eq=False)
class _Table:
    """Restraints of one kind: rows (n, atoms) and columns of numbers (n, ...)."""

    rows: Tensor
    columns: Columns

    def __len__(self) -> int:
        return len(self.rows)


_Term = Callable[[Tensor, _Table], Tensor]


@final
class RowRestraints:
    """Geometry of all structures of a bank, as restraints of its rows.

    Parameters
    ----------
    bank : SharedAtomBank
        The structures; their coordinates now decide which atoms may touch.
    moving : ndarray, optional
        (n_rows,) bool, rows that move; by default those that move in the bank. Restraints without any are left out.

    Attributes
    ----------
    counts : dict
        Number of restraints of each kind.
    """

    def __init__(self, bank: SharedAtomBank, moving: NDArray[np.bool_] | None = None) -> None:
        self._bank = bank
        self._moving = bank.moving if moving is None else torch.tensor(moving, device=bank.moving.device)
        self._symmetry = _symmetry(bank)
        with settings(dtype=bank.structures.dtype, cutoff=bank.structures.cutoff), quiet():
            tables = [model.restraints.restraints for model in bank.structures.models]
        self._bond = self._table(_columns(tables, "bond", "all", ("references", "sigmas")))
        self._angle = self._table(_columns(tables, "angle", "all", ("references", "sigmas")))
        self._torsion = self._table(_columns(tables, "torsion", "all", ("references", "sigmas", "periods")))
        self._omega = self._table(_columns(tables, "torsion", "omega", ("sigmas", "is_proline")))
        self._chiral = self._table(_columns(tables, "chiral", None, ("ideal_volumes", "sigmas")))
        sizes = sorted({size for group in tables for size in group.get("plane", {})})
        planes = [self._table(_columns(tables, "plane", size, ("sigmas",))) for size in sizes]
        self._planes = [table for table in planes if len(table) and table.rows.shape[1] > 3]
        self.update_contacts(bank.start)

    @property
    def counts(self) -> dict[str, int]:
        """Number of restraints of each kind."""
        sizes = (
            len(self._bond),
            len(self._angle),
            len(self._torsion) + len(self._omega),
            len(self._chiral),
            sum(len(table) for table in self._planes),
            len(self._contact),
        )
        return dict(zip(KINDS, sizes, strict=True))

    @property
    def bonded(self) -> Tensor:
        """(n_bonds, 2) rows of bonded atoms of which one moves at least."""
        return self._bond.rows

    def update_contacts(self, values: AtomValues) -> None:
        """Search anew for atoms that may touch, symmetry mates included."""
        found = []
        with settings(dtype=self._bank.structures.dtype, cutoff=self._bank.structures.cutoff), quiet():
            for number, rows in enumerate(self._bank.rows):
                restraints = self._bank.structures.models[number].restraints
                with torch.no_grad():
                    restraints.rebuild_vdw_restraints(values.xyz[rows])
                data = restraints.restraints["vdw"]
                n = len(data["indices"])
                operations, offsets = data.get("symop_indices"), data.get("cell_offsets")
                columns = (
                    data["min_distances"],
                    data["weights"],
                    data["weights"].new_zeros(n) if operations is None else operations,
                    data["weights"].new_zeros(n, 3) if offsets is None else offsets,
                )
                found.append((number, data["indices"], columns))
        self._contact = self._table(found)

    def __call__(self, values: AtomValues) -> dict[str, Tensor]:
        """Each kind's sum over restraints of minus the logarithm of its probability, less that of ideal geometry."""
        terms = {kind: values.xyz.new_zeros(()) for kind in KINDS}
        for kind, term, table in self._pieces():
            terms[kind] = terms[kind] + term(values.xyz, table)
        return terms

    def curvature(self, values: AtomValues) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Kinds of restraints, their rows (n, k), and second derivatives (n, 3 k, 3 k) by these rows' coordinates."""
        for kind, term, table in self._pieces():

            def of_copies(xyz: Tensor, rows: Tensor, term: _Term = term, columns: Columns = table.columns) -> Tensor:
                return term(xyz, _Table(rows, columns))

            yield kind, table.rows, local_curvature(of_copies, values.xyz, table.rows)

    def bond_deviations(self, xyz: Tensor) -> Tensor:
        """(n_bonds,), A."""
        return _bond_deviations(xyz, self._bond)

    def angle_deviations(self, xyz: Tensor) -> Tensor:
        """(n_angles,), degrees."""
        return _angle_deviations(xyz, self._angle)

    def chiral_deviations(self, xyz: Tensor) -> Tensor:
        """(n_chirals,), in standard deviations."""
        return _chiral_deviations(xyz, self._chiral)

    def contact_distances(self, xyz: Tensor) -> Tensor:
        """(n_contacts,), A, to the symmetry mate where it is one."""
        return self._distances(xyz, self._contact)

    def _pieces(self) -> list[tuple[str, _Term, _Table]]:
        """Kind, sum over restraints at coordinates, and the restraints; those of which there are any."""
        pieces: list[tuple[str, _Term, _Table]] = [
            ("bond", _bonds, self._bond),
            ("angle", _angles, self._angle),
            ("torsion", _torsions, self._torsion),
            ("torsion", _omegas, self._omega),
            ("chiral", _chirals, self._chiral),
            *(("plane", _plane, table) for table in self._planes),
            ("contact", self._contacts, self._contact),
        ]
        return [piece for piece in pieces if len(piece[2])]

    def _contacts(self, xyz: Tensor, table: _Table) -> Tensor:
        distance, weight, *_ = table.columns
        overlap = (distance - self._distances(xyz, table)).clamp(min=0.0)
        return (weight * (overlap / _OVERLAP) ** _EXPONENT).sum() / _EXPONENT

    def _distances(self, xyz: Tensor, table: _Table) -> Tensor:
        *_, operation, offset = table.columns
        rotations, translations, to_fractional, to_cartesian = self._symmetry
        second = xyz[table.rows[:, 1]] @ to_fractional.T
        number = operation.long()
        second = torch.einsum("nij,nj->ni", rotations[number], second) + translations[number] + offset
        difference = second @ to_cartesian.T - xyz[table.rows[:, 0]]
        return torch.sqrt(difference.square().sum(1) + 1e-8)

    def _table(self, found: Sequence[tuple[int, Tensor, tuple[Tensor, ...]]]) -> _Table:
        """Restraints of all structures on rows: those that move, each once."""
        dtype = self._bank.structures.dtype
        if not found:
            none = torch.zeros(0, dtype=dtype, device=self._moving.device)
            return _Table(none.new_zeros(0, 4, dtype=torch.long), (none,) * 4)
        rows = torch.cat([self._bank.rows[number][indices.long()] for number, indices, _ in found])
        columns = [torch.cat(parts).to(dtype) for parts in zip(*(each for *_, each in found), strict=True)]
        kept = self._moving[rows].any(1)
        rows, columns = rows[kept], [column[kept] for column in columns]
        signature = np.column_stack(
            [each.cpu() for each in (rows, *(c.flatten(1) if c.dim() > 1 else c for c in columns))]
        )
        first = torch.from_numpy(np.sort(np.unique(signature.round(6), axis=0, return_index=True)[1])).to(rows.device)
        return _Table(rows[first], tuple(column[first] for column in columns))


def _symmetry(bank: SharedAtomBank) -> Columns:
    """Rotations (n, 3, 3) and translations (n, 3) of the operations, to fractional coordinates and back (3, 3)."""
    crystal, like = bank.structures.crystal, bank.start.xyz
    operations = list(crystal.space_group.operations())
    rotations = like.new_tensor([op.rot for op in operations]) / operations[0].DEN
    whole = like.new_tensor([op.tran for op in operations]) / operations[0].DEN
    to_cartesian = like.new_tensor(np.asarray(crystal.orthogonalization))
    return rotations, whole, torch.linalg.inv(to_cartesian), to_cartesian


def _bond_deviations(xyz: Tensor, table: _Table) -> Tensor:
    first, second = xyz[table.rows[:, 0]], xyz[table.rows[:, 1]]
    return torch.sqrt((second - first).square().sum(1) + 1e-12) - table.columns[0]


def _angle_deviations(xyz: Tensor, table: _Table) -> Tensor:
    a, b, c = (xyz[table.rows[:, i]] for i in range(3))
    u, v = a - b, c - b
    # Of the sine as well, as the cosine alone has no slope for straight angles.
    sine = torch.sqrt(torch.linalg.cross(u, v).square().sum(1) + 1e-12)
    return torch.atan2(sine, (u * v).sum(1)) / _DEGREE - table.columns[0]


def _chiral_deviations(xyz: Tensor, table: _Table) -> Tensor:
    rows, (ideal, sigma) = table.rows, table.columns
    centre = xyz[rows[:, 0]]
    u, v, w = (xyz[rows[:, i]] - centre for i in (1, 2, 3))
    volume = (u * torch.linalg.cross(v, w)).sum(1)
    # A volume of 0 stands for either hand.
    either = ideal == 0.0
    return (torch.where(either, volume.abs(), volume) - torch.where(either, 2.5, ideal)) / sigma


def _bonds(xyz: Tensor, table: _Table) -> Tensor:
    return 0.5 * (_bond_deviations(xyz, table) / table.columns[1]).square().sum()


def _angles(xyz: Tensor, table: _Table) -> Tensor:
    return 0.5 * (_angle_deviations(xyz, table) / table.columns[1]).square().sum()


def _chirals(xyz: Tensor, table: _Table) -> Tensor:
    return 0.5 * _chiral_deviations(xyz, table).square().sum()


def _torsions(xyz: Tensor, table: _Table) -> Tensor:
    angle = framework("base.targets._common").torsions_from_xyz(xyz, table.rows)
    ideal, sigma, period = table.columns
    n = period.clamp(min=1.0)
    turn = 2.0 * math.pi / n
    away = (angle - ideal) * _DEGREE
    away = away - turn * torch.round(away.detach() / turn)
    return (_concentration(sigma) * (1.0 - torch.cos(away))).sum()


def _omegas(xyz: Tensor, table: _Table) -> Tensor:
    sigma, proline = table.columns
    math_of = framework("base.targets.torsion").torsion_omega_math
    value = math_of(xyz, table.rows, sigma, proline > 0.5, _CIS_PROLINE, _CIS_GENERAL)
    kappa = _concentration(sigma)
    trans = 1.0 - torch.where(proline > 0.5, _CIS_PROLINE, _CIS_GENERAL)
    ideal = torch.log(torch.special.i0e(kappa)) + 2.0 * _HALF_LOG_2PI - torch.log(trans)
    result: Tensor = value - ideal.sum()
    return result


def _plane(xyz: Tensor, table: _Table) -> Tensor:
    sigma = table.columns[0]
    value: Tensor = framework("base.targets.planarity").planarity_math(xyz, [(table.rows, sigma)])
    return value - (torch.log(sigma) + _HALF_LOG_2PI).expand(table.rows.shape).sum()


def _columns(
    tables: Sequence[dict[str, Any]], kind: str, origin: Any, names: Sequence[str]
) -> list[tuple[int, Tensor, tuple[Tensor, ...]]]:
    """Structure, atoms and numbers of one kind of restraint, for the structures that have it."""
    found = []
    for number, groups in enumerate(tables):
        group = groups.get(kind)
        group = group if group is None or origin is None else group.get(origin)
        if group is not None and len(group["indices"]):
            found.append((number, group["indices"], tuple(group[name] for name in names)))
    return found


def _concentration(sigma: Tensor) -> Tensor:
    """Of a von Mises distribution, from a standard deviation in degrees; limits are TorchRef's."""
    return ((sigma * _DEGREE) ** -2.0).clamp(min=1e-3, max=1e4)
