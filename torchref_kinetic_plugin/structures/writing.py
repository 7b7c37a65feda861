"""Structures to PDB and mmCIF files, disorder kept; each file is whole or absent."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from pathlib import Path

import gemmi
import numpy as np

from torchref_kinetic_plugin.errors import FileError, InputError
from torchref_kinetic_plugin.files import write_bytes
from torchref_kinetic_plugin.structures.atoms import AtomTable, Floats, cartesian_of
from torchref_kinetic_plugin.structures.report import some_of
from torchref_kinetic_plugin.structures.structure import AtomicStructure

_MMCIF = (".cif", ".mmcif")
_PDB = (".pdb", ".ent")
_GZIP = ".gz"


def write_structure(structure: AtomicStructure, path: str | os.PathLike[str]) -> None:
    """Write a structure as PDB or mmCIF, as the suffix says; ``.gz`` after it packs the file.

    Alternative conformations, anisotropic ADPs, hydrogens, links and header stay. A PDB file rounds
    occupancies and B to two decimals.

    Raises
    ------
    FileError
        For another suffix, or a directory that cannot be written.
    InputError
        For a structure that the PDB format cannot hold.
    """
    _write(structure.to_gemmi(), structure.atoms, structure.name, path)


def write_models(structures: Sequence[AtomicStructure], path: str | os.PathLike[str]) -> None:
    """Write structures into one file, a MODEL each, numbered from 1 and named in the title.

    One file has one cell: that of the first structure, into which the others move at their fractional
    coordinates.

    Raises
    ------
    FileError
        For another suffix, or a directory that cannot be written.
    InputError
        For no structures, several space groups, a name given twice, or a structure that the PDB format
        cannot hold.
    """
    if not structures:
        raise InputError("no structures to write")
    names = [structure.name for structure in structures]
    if len(set(names)) < len(names):
        raise InputError(f"two structures of one name: {', '.join(names)}")
    groups = dict.fromkeys(structure.space_group.xhm() for structure in structures)
    if len(groups) > 1:
        raise InputError(f"one file has one space group; the structures have {', '.join(groups)}")
    first = structures[0]
    combined = first.to_gemmi()
    for structure in structures[1:]:
        frame = structure.with_values(xyz=_in_cell(structure, first))
        combined.add_model(frame.to_gemmi()[0])
    combined.renumber_models()
    combined.name = Path(path).name.split(".")[0] or "structures"
    title = "; ".join(f"MODEL {number} is {name}" for number, name in enumerate(names, start=1))
    combined.info["_struct.title"] = title
    # The first structure's entities, and those of chains that only others have.
    combined.setup_entities()
    label = ", ".join(names)
    atoms = [AtomTable.from_model(model, combined.cell) for model in combined]
    for table in atoms[1:]:
        _check_fits(table, label, path)
    _write(combined, atoms[0], label, path)


def _in_cell(structure: AtomicStructure, other: AtomicStructure) -> Floats:
    return cartesian_of(structure.atoms.fractional, other.cell)


def _write(structure: gemmi.Structure, atoms: AtomTable, label: str, path: str | os.PathLike[str]) -> None:
    suffix, packed = _format(path)
    _check_fits(atoms, label, path)
    if suffix in _PDB:
        structure.assign_serial_numbers()
        text = structure.make_pdb_string()
    else:
        text = structure.make_mmcif_document().as_string()
    content = text.encode("utf-8")
    # Without a time stamp, the same structure gives the same file.
    write_bytes(path, gzip.compress(content, mtime=0) if packed else content)


def _format(path: str | os.PathLike[str]) -> tuple[str, bool]:
    target = Path(path)
    packed = target.suffix.lower() == _GZIP
    suffix = Path(target.stem).suffix.lower() if packed else target.suffix.lower()
    if suffix not in (*_MMCIF, *_PDB):
        allowed = ", ".join((*_MMCIF, *_PDB)) + ", each with .gz"
        raise FileError(f"cannot write {str(target)!r}: unknown suffix {suffix!r}; allowed: {allowed}")
    return suffix, packed


def _check_fits(atoms: AtomTable, label: str, path: str | os.PathLike[str]) -> None:
    """Refuse what the columns of a PDB file would cut off."""
    if _format(path)[0] not in _PDB:
        return
    # Seven characters with three decimals, six with two.
    outside = ((atoms.xyz <= -999.9995) | (atoms.xyz >= 9999.9995)).any(axis=1)
    wide = (np.abs(atoms.u) * 1e4 >= 999999.5).any(axis=1)
    faults = []
    for texts, width, what in (
        (atoms.chain, 2, "chain names"),
        (atoms.residue_name, 3, "residue names"),
        (atoms.atom_name, 4, "atom names"),
    ):
        if long := [text for text in dict.fromkeys(texts.tolist()) if len(text) > width]:
            faults.append(f"{what} longer than {width} characters ({some_of(long)})")
    for wrong, what in (
        (outside, "coordinates beyond its columns"),
        (atoms.b_iso >= 999.995, "B factors of 1000 and more"),
        (wide, "displacement tensors beyond its columns"),
    ):
        if wrong.any():
            faults.append(f"{what} ({some_of([atoms.keys[number] for number in np.flatnonzero(wrong)])})")
    if faults:
        where = f"{label} does not fit a PDB file, {os.fspath(path)!r}"
        raise InputError(f"{where}: {'; '.join(faults)}; write mmCIF (.cif)")
