"""Which residues need a restraint file, and whether the files given describe them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import final

import gemmi

from torchref_kinetic_plugin.errors import FileError
from torchref_kinetic_plugin.structures.atoms import AtomTable, ResidueKey
from torchref_kinetic_plugin.structures.reading import read_text
from torchref_kinetic_plugin.structures.report import Finding, counted, error, note, some_of, warning
from torchref_kinetic_plugin.structures.structure import AtomicStructure

#: In gemmi's table of standard residues, but placeholders for what was not identified.
_UNIDENTIFIED = frozenset({"UNK", "ASX", "GLX", "N", "DN"})


@final
@dataclass(frozen=True)
class Monomer:
    """A residue as a restraint file describes it.

    Attributes
    ----------
    name : str
        Its residue name.
    source : str
        The file.
    atoms : frozenset of str
        Names of its atoms, hydrogens included.
    has_targets : bool
        Whether it has ideal bond lengths, or is a single atom. A component of the PDB's dictionary has
        none, and restrains nothing.
    """

    name: str
    source: str
    atoms: frozenset[str]
    has_targets: bool


def read_monomers(path: str | os.PathLike[str]) -> tuple[Monomer, ...]:
    """Read the residues that a restraint CIF file describes; gzipped too.

    Raises
    ------
    FileError
        When the file is missing, is no CIF file, or describes no residue.
    """
    source = os.fspath(path)
    text = read_text(path)
    try:
        document = gemmi.cif.read_string(text)
    except (RuntimeError, ValueError) as problem:
        reason = " ".join(str(problem).split())
        raise FileError(f"restraint file {source!r} is no CIF file: {reason}") from problem
    monomers = [monomer for block in document for monomer in _monomers(block, source)]
    if not monomers:
        raise FileError(f"restraint file {source!r} describes no residue; it needs a _chem_comp_atom table")
    return tuple(monomers)


def _monomers(block: gemmi.cif.Block, source: str) -> list[Monomer]:
    atoms: defaultdict[str, set[str]] = defaultdict(set)
    for row in block.find("_chem_comp_atom.", ["comp_id", "atom_id"]):
        atoms[row.str(0)].add(row.str(1))
    bonds = block.find("_chem_comp_bond.", ["comp_id", "value_dist"])
    restrained = {row.str(0) for row in bonds if not gemmi.cif.is_null(row[1])}
    return [
        Monomer(name, source, frozenset(names), has_targets=name in restrained or len(names) == 1)
        for name, names in atoms.items()
    ]


def is_standard(name: str) -> bool:
    """Whether a residue name is one of the standard amino acids, nucleotides, or water."""
    residue = gemmi.find_tabulated_residue(name)
    return bool((residue.is_standard() and name not in _UNIDENTIFIED) or residue.is_water())


def restraint_findings(
    structures: Iterable[AtomicStructure],
    restraints: Sequence[str | os.PathLike[str]],
    known: Collection[str] = (),
    *,
    needed: bool = False,
) -> list[Finding]:
    """Find residues without restraints, and restraint files that do not fit their residues.

    Parameters
    ----------
    structures : iterable of AtomicStructure
        What will be restrained.
    restraints : sequence of path
        Restraint CIF files of the user.
    known : collection of str
        Residues that need no file besides the standard ones, e.g. those TorchRef has.
    needed : bool
        Whether a missing restraint is an error; where no coordinates are refined it is a warning.

    Returns
    -------
    list of Finding
        A file that cannot be read among them.
    """
    described: dict[str, Monomer] = {}
    found: list[Finding] = []
    for path in restraints:
        try:
            monomers = read_monomers(path)
        except FileError as problem:
            found.append(error("", str(problem)))
            continue
        for monomer in monomers:
            if monomer.name in described and described[monomer.name].source != monomer.source:
                files = f"{described[monomer.name].source!r} and {monomer.source!r}"
                found.append(error("", f"residue {monomer.name} is in two restraint files, {files}"))
            described[monomer.name] = monomer
    severity = error if needed else warning
    used: set[str] = set()
    for name, (places, atoms) in _residues(structures).items():
        used.add(name)
        count = f"{name} ({counted(len(places), 'residue')}: {some_of(places, 3)})"
        if name in described:
            monomer = described[name]
            if not monomer.has_targets:
                text = f"{monomer.source!r} describes {count} without ideal bond lengths"
                found.append(severity("", f"{text}; make a restraint file from it (grade2, AceDRG, eLBOW)"))
            if strange := sorted(atoms - monomer.atoms):
                text = f"atoms of {name} that {monomer.source!r} does not describe: {some_of(strange)}"
                found.append(severity("", text))
        elif len(atoms) > 1 and name not in known and not is_standard(name):
            found.append(
                severity(
                    "",
                    f"no restraints for {count}, which is no standard residue; add a file {name}.cif to "
                    "'restraints' (made by e.g. grade2, AceDRG or eLBOW, or from a monomer library)",
                )
            )
    if unused := [name for name in described if name not in used]:
        found.append(note("", f"restraints for residues that no structure has: {some_of(unused)}"))
    return found


def _residues(structures: Iterable[AtomicStructure]) -> dict[str, tuple[list[ResidueKey], set[str]]]:
    """Places and atom names of each residue name over all structures."""
    places: defaultdict[str, dict[ResidueKey, None]] = defaultdict(dict)
    atoms: defaultdict[str, set[str]] = defaultdict(set)
    for structure in structures:
        table: AtomTable = structure.atoms
        for key in table.keys:
            places[key.residue.name].setdefault(key.residue)
            atoms[key.residue.name].add(key.atom)
    return {name: (list(where), atoms[name]) for name, where in places.items()}
