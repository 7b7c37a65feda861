"""Checks of one structure by itself: its crystal, its atoms."""

from __future__ import annotations

from collections import defaultdict

import gemmi
import numpy as np

from torchref_kinetic_plugin.structures.atoms import AtomTable, Flags, SiteKey
from torchref_kinetic_plugin.structures.report import (
    Finding,
    Severity,
    counted,
    error,
    note,
    some_of,
    warning,
)
from torchref_kinetic_plugin.structures.structure import space_group_of

#: By how much the occupancies of a disordered atom may miss 1: rounding of two decimals, several conformers.
_OCCUPANCY_SUM = 0.025
#: How far a cell may be from the shape its space group asks for: relative length, degrees.
_LENGTH, _ANGLE = 0.005, 0.5


def own_findings(name: str, structure: gemmi.Structure) -> list[Finding]:
    """What is found in a structure of one model by itself."""
    found = crystal_findings(name, structure)
    # Without a sound cell there are no fractional coordinates, but all else of the atoms can be checked.
    cell = gemmi.UnitCell() if any(each.severity is Severity.ERROR for each in found) else structure.cell
    return found + atom_findings(name, AtomTable.from_model(structure[0], cell))


def crystal_findings(name: str, structure: gemmi.Structure) -> list[Finding]:
    """Whether there are a cell, a known space group and explicit copies."""
    found = []
    lengths, angles = structure.cell.parameters[:3], structure.cell.parameters[3:]
    has_cell = structure.cell.is_crystal()
    if not has_cell:
        found.append(error(name, "no unit cell; a CRYST1 record (PDB) or _cell table (mmCIF) is needed"))
    elif not (all(length > 1.0 for length in lengths) and all(0.0 < angle < 180.0 for angle in angles)):
        found.append(error(name, f"impossible unit cell {_cell_text(structure.cell)}"))
        has_cell = False
    group = space_group_of(structure)
    if group is None and not structure.spacegroup_hm:
        place = "at the end of its CRYST1 record (PDB) or in _symmetry.space_group_name_H-M (mmCIF)"
        found.append(error(name, f"no space group; the file needs one {place}"))
    elif group is None:
        allowed = "Hermann-Mauguin names such as 'P 21 21 21' or 'P 1 21 1'"
        found.append(error(name, f"unknown space group {structure.spacegroup_hm!r}; allowed: {allowed}"))
    elif has_cell and not _fits(structure.cell, group):
        text = f"cell {_cell_text(structure.cell)} does not fit the space group {group.xhm()!r}"
        found.append(error(name, text))
    if any(not operation.given for operation in structure.ncs):
        text = "copies given by operators only (MTRIX records); write them out as atoms"
        found.append(error(name, text))
    return found


def _fits(cell: gemmi.UnitCell, group: gemmi.SpaceGroup) -> bool:
    """Whether every rotation of the group takes the cell to one of the same shape."""
    axes = np.array(cell.orth.mat.tolist())
    own = np.array(cell.parameters)
    for operation in group.operations().sym_ops:
        images = axes @ np.array(operation.rot) / operation.DEN
        lengths = np.linalg.norm(images, axis=0)
        pairs = ((1, 2), (0, 2), (0, 1))
        cosines = [images[:, i] @ images[:, j] / (lengths[i] * lengths[j]) for i, j in pairs]
        angles = np.degrees(np.arccos(cosines))
        if np.abs(lengths / own[:3] - 1.0).max() > _LENGTH or np.abs(angles - own[3:]).max() > _ANGLE:
            return False
    return True


def _cell_text(cell: gemmi.UnitCell) -> str:
    return " ".join(f"{value:g}" for value in cell.parameters)


def atom_findings(name: str, atoms: AtomTable) -> list[Finding]:
    """Whether each atom stands once, with possible values."""
    found: list[Finding] = []
    if len(atoms) == 0:
        return [error(name, "no atoms")]
    if repeated := atoms.repeated():
        text = f"{counted(len(repeated), 'atom')} more than once: {some_of(repeated)}"
        found.append(error(name, text + "; distinguish them by chain, residue number or altloc"))
    unknown = ~((_atomic_numbers(atoms) >= 1) & (_atomic_numbers(atoms) <= 98))
    finite = np.isfinite(atoms.xyz).all(axis=1) & np.isfinite(atoms.occupancy) & np.isfinite(atoms.b_iso)
    finite &= np.isfinite(atoms.u).all(axis=1)
    impossible = (atoms.occupancy < 0.0) | (atoms.occupancy > 1.0)
    for wrong, text in (
        (unknown, "of no known element: {}; fill in the element column"),
        (~finite, "with coordinates, occupancy or B that are not finite numbers: {}"),
        (impossible, "with an occupancy outside [0, 1]: {}"),
        (atoms.b_iso < 0.0, "with a negative B factor: {}"),
    ):
        if wrong.any():
            found.append(error(name, _listed(atoms, wrong, text)))
    if (atoms.occupancy == 0.0).all():
        found.append(error(name, "all atoms have occupancy zero: nothing scatters"))
    flat = atoms.anisotropic & finite
    flat[flat] = smallest_principal_u(atoms)[flat] <= 0.0
    for odd, text in (
        (atoms.occupancy == 0.0, "with occupancy zero, which do not scatter: {}"),
        ((atoms.b_iso == 0.0) & ~atoms.anisotropic, "with a B factor of zero, which cannot be refined: {}"),
        (flat, "with an anisotropic displacement tensor that is not positive definite: {}"),
    ):
        if odd.any():
            found.append(warning(name, _listed(atoms, odd, text)))
    found += _disorder_findings(name, atoms)
    if atoms.hydrogen.any():
        found.append(note(name, f"{counted(int(atoms.hydrogen.sum()), 'hydrogen')}, which ride"))
    return found


def _disorder_findings(name: str, atoms: AtomTable) -> list[Finding]:
    conformers: defaultdict[SiteKey, dict[str, float]] = defaultdict(dict)
    columns = atoms.sites, atoms.altloc.tolist(), atoms.occupancy.tolist()
    for site, altloc, occupancy in zip(*columns, strict=True):
        conformers[site][altloc] = occupancy
    found = []
    mixed = [site for site, each in conformers.items() if len(each) > 1 and "" in each]
    if mixed:
        text = f"{counted(len(mixed), 'atom')} both with and without altloc: {some_of(mixed)}"
        found.append(warning(name, text + "; give each conformer a letter"))
    sums = {site: sum(each.values()) for site, each in conformers.items() if len(each) > 1}
    missed = [f"{site} ({total:.2f})" for site, total in sums.items() if abs(total - 1.0) > _OCCUPANCY_SUM]
    if missed:
        text = f"{counted(len(missed), 'atom')} whose conformers do not sum to 1: {some_of(missed)}"
        found.append(warning(name, text))
    return found


def smallest_principal_u(atoms: AtomTable) -> np.ndarray:
    """Smallest eigenvalue (n,) of each displacement tensor, A^2; zero where the atom is isotropic."""
    u11, u22, u33, u12, u13, u23 = np.nan_to_num(atoms.u).T
    tensors = np.stack([u11, u12, u13, u12, u22, u23, u13, u23, u33], axis=1).reshape(-1, 3, 3)
    return np.asarray(np.linalg.eigvalsh(tensors)[:, 0])


def _atomic_numbers(atoms: AtomTable) -> np.ndarray:
    numbers = {name: gemmi.Element(name).atomic_number for name in set(atoms.element.tolist())}
    return np.array([numbers[name] for name in atoms.element.tolist()])


def _listed(atoms: AtomTable, which: Flags, text: str) -> str:
    keys = [atoms.keys[number] for number in np.flatnonzero(which)]
    return f"{counted(len(keys), 'atom')} {text.format(some_of(keys))}"
