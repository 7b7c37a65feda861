"""Checks between structures: one crystal, common atoms, one origin."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from torchref_kinetic_plugin.structures.atoms import AtomTable, ResidueKey, SiteKey
from torchref_kinetic_plugin.structures.equivalence import exchanged_names
from torchref_kinetic_plugin.structures.matching import displacement, same_atoms, same_sites
from torchref_kinetic_plugin.structures.polar import polar_shift
from torchref_kinetic_plugin.structures.report import Finding, counted, error, note, some_of, warning
from torchref_kinetic_plugin.structures.structure import AtomicStructure

#: Standard errors beyond which a shift is one.
_SIGNIFICANT = 4.0
#: What of an atom decides how it scatters.
_SCATTERING = ("fractional", "occupancy", "b_iso", "u")


@final
@dataclass(frozen=True)
class AgreementTolerance:
    """How far structures of one crystal may be from each other.

    Attributes
    ----------
    cell_length : float
        Relative difference of cell lengths beyond which two cells are not those of one crystal form.
    cell_angle : float
        The same for angles, degrees.
    polar_shift : float
        Shift along a free axis that is reported, A.
    far : float
        Displacement of an atom that is reported as a probable mistake, A.
    """

    cell_length: float = 0.01
    cell_angle: float = 1.0
    polar_shift: float = 0.05
    far: float = 5.0


def agreement_findings(
    structures: Sequence[AtomicStructure], tolerance: AgreementTolerance | None = None
) -> list[Finding]:
    """Compare each structure with the first one."""
    tolerance = AgreementTolerance() if tolerance is None else tolerance
    found: list[Finding] = []
    reference = structures[0]
    for structure in structures[1:]:
        crystal = _crystal_findings(structure, reference, tolerance)
        found += crystal
        common = len(same_sites(structure.atoms, reference.atoms)[0])
        if common == 0:
            chains = [
                f"{each.name} has chains {', '.join(dict.fromkeys(each.atoms.chain.tolist()))}"
                for each in (structure, reference)
            ]
            text = f"no atoms in common with {reference.name}, by chain, residue and atom name"
            found.append(error(structure.name, f"{text}; {'; '.join(chains)}"))
        elif structure.space_group.xhm() == reference.space_group.xhm():
            found += _placement_findings(structure, reference, tolerance)
    return found + _presence_findings(structures) + _identical_findings(structures)


def _identical_findings(structures: Sequence[AtomicStructure]) -> list[Finding]:
    """Structures in which every atom is as in another one."""
    found = []
    for number, structure in enumerate(structures):
        here = structure.atoms
        for other in structures[:number]:
            there = other.atoms
            if here.keys == there.keys and all(
                np.array_equal(getattr(here, each), getattr(there, each)) for each in _SCATTERING
            ):
                text = f"every atom is as in {other.name}; at these structures no data can tell their occupancies apart"
                found.append(warning(structure.name, text))
                break
    return found


def _crystal_findings(
    structure: AtomicStructure, reference: AtomicStructure, tolerance: AgreementTolerance
) -> list[Finding]:
    here, there = structure.space_group.xhm(), reference.space_group.xhm()
    if here != there:
        text = f"space group {here!r} in {structure.source!r}, but {there!r} in {reference.source!r}"
        return [error(structure.name, f"{text} ({reference.name}); all structures share one crystal")]
    cell, other = np.array(structure.cell.parameters), np.array(reference.cell.parameters)
    lengths = np.abs(cell[:3] / other[:3] - 1.0).max()
    angles = np.abs(cell[3:] - other[3:]).max()
    percent = 100.0 * lengths
    shown = " and ".join(" ".join(f"{value:g}" for value in each) for each in (cell, other))
    if lengths > tolerance.cell_length or angles > tolerance.cell_angle:
        allowed = f"allowed: {100.0 * tolerance.cell_length:g} % and {tolerance.cell_angle:g} deg"
        text = f"cell differs from that of {reference.name} by {percent:.2f} % and {angles:.2f} deg"
        return [error(structure.name, f"{text} ({shown}); {allowed}")]
    if lengths > 1e-6 or angles > 1e-4:
        text = f"cell differs from that of {reference.name} by {percent:.3f} % and {angles:.2f} deg"
        return [note(structure.name, f"{text} ({shown}); fractional coordinates are compared and kept")]
    return []


def _placement_findings(
    structure: AtomicStructure, reference: AtomicStructure, tolerance: AgreementTolerance
) -> list[Finding]:
    found = []
    shift = polar_shift(structure, reference)
    size = 0.0 if shift is None else shift.size
    if shift is not None and size > max(tolerance.polar_shift, _SIGNIFICANT * shift.standard_error):
        text = (
            f"shifted from {reference.name} by {size:.2f} +- {shift.standard_error:.2f} A "
            f"along {shift.direction} (median of {shift.n_atoms} atoms), where the space group "
            f"{reference.space_group.xhm()!r} leaves the origin free"
        )
        found.append(warning(structure.name, f"{text}; superpose_along_polar_axis takes it away"))
    if swapped := exchanged_names(structure, reference):
        text = f"chemically equal atoms are named the other way round than in {reference.name}"
        found.append(warning(structure.name, f"{text}: {some_of(swapped)}; their displacements are not real"))
    # Compared by full identity: conformers of other names may well lie far apart.
    pairs = same_atoms(structure.atoms, reference.atoms)
    lengths = np.linalg.norm(displacement(structure, reference, pairs), axis=1)
    for kind in ("atom", "water"):
        which = structure.atoms.water[pairs[0]] == (kind == "water")
        far = np.flatnonzero(which & (lengths > tolerance.far + size) & ~structure.atoms.hydrogen[pairs[0]])
        if len(far):
            keys = [structure.atoms.keys[place] for place in pairs[0][far].tolist()]
            text = f"{counted(len(far), kind)} over {tolerance.far:g} A from their place in {reference.name}"
            found.append(
                warning(
                    structure.name,
                    f"{text}: {some_of(keys)}; numbered otherwise, or placed at a symmetry mate?",
                )
            )
    return found


def _presence_findings(structures: Sequence[AtomicStructure]) -> list[Finding]:
    """Atoms that some structures lack, by residue; hydrogens and conformers in one line each."""
    heavy = [_sites(each.atoms, hydrogen=False) for each in structures]
    light = [_sites(each.atoms, hydrogen=True) for each in structures]
    found = []
    for structure, sites, hydrogens in zip(structures, heavy, light, strict=True):
        missing = [site for site in _union(heavy) if site not in sites]
        if missing:
            counts = Counter(site.residue for site in missing)
            lists = [f"{residue} ({count})" for residue, count in counts.items()]
            text = f"{counted(len(missing), 'atom')} that other structures have are missing, by residue"
            found.append(warning(structure.name, f"{text}: {some_of(lists, 20)}"))
        lacking = sum(site not in hydrogens for site in _union(light))
        if lacking:
            text = f"{counted(lacking, 'hydrogen')} that other structures have are missing"
            found.append(warning(structure.name, f"{text}; add hydrogens to all structures or to none"))
    conformers = [_conformers(each.atoms) for each in structures]
    differing = [
        residue
        for residue in dict.fromkeys(residue for each in conformers for residue in each)
        if len({each[residue] for each in conformers if residue in each}) > 1
    ]
    if differing:
        letters = {residue: [_letters(each.get(residue)) for each in conformers] for residue in differing}
        lists = [f"{residue} ({', '.join(each)})" for residue, each in letters.items()]
        names = ", ".join(structure.name for structure in structures)
        found.append(note("", f"alternative conformations differ between {names}: {some_of(lists, 20)}"))
    return found


def _union(sets: Iterable[dict[SiteKey, None]]) -> dict[SiteKey, None]:
    return dict.fromkeys(site for each in sets for site in each)


def _sites(atoms: AtomTable, *, hydrogen: bool) -> dict[SiteKey, None]:
    kinds = atoms.hydrogen.tolist()
    return dict.fromkeys(site for site, kind in zip(atoms.sites, kinds, strict=True) if kind == hydrogen)


def _conformers(atoms: AtomTable) -> dict[ResidueKey, frozenset[str]]:
    letters: defaultdict[ResidueKey, set[str]] = defaultdict(set)
    for residue, altloc in zip(atoms.residues, atoms.altloc.tolist(), strict=True):
        letters[residue].update({altloc} - {""})
    return {residue: frozenset(each) for residue, each in letters.items()}


def _letters(conformers: frozenset[str] | None) -> str:
    if conformers is None:
        return "absent"
    return "".join(sorted(conformers)) or "none"
