"""One model whose alternative conformations make the structures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import gemmi

from torchref_kinetic_plugin.errors import InputError, listing
from torchref_kinetic_plugin.structures.atoms import altloc_of
from torchref_kinetic_plugin.structures.report import Finding, counted, error, some_of

_NO_ALTLOC = "\0"
AltlocTable = Mapping[str, Sequence[str]]
_Place = tuple[str, str]
#: Occupancy of each conformer: by atom name within a residue name, and their mean by residue.
_Occupancies = dict[str, dict[tuple[str, str], float]]


def checked_table(table: Mapping[str, str | Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Altlocs of each structure as tuples of single letters.

    Raises
    ------
    InputError
        For an empty table, a structure without altlocs, one named twice, or text that is not one letter.
    """
    if not table:
        raise InputError("the table of altlocs is empty; write e.g. {dark = 'A', I1 = ['B', 'C']}")
    checked: dict[str, tuple[str, ...]] = {}
    for name, given in table.items():
        letters = (given,) if isinstance(given, str) else tuple(given)
        if not letters:
            raise InputError(f"structure {name!r} has no altlocs; its atoms without altloc are in all others")
        for letter in letters:
            if len(letter) != 1 or letter.isspace():
                raise InputError(
                    f"altloc {letter!r} of structure {name!r} is not one letter; write several as ['B', 'C']"
                )
        if len(set(letters)) < len(letters):
            raise InputError(f"structure {name!r} names an altloc twice: {', '.join(letters)}")
        checked[name] = letters
    return checked


def altloc_findings(source: str, structure: gemmi.Structure, table: AltlocTable) -> list[Finding]:
    """Whether table and file name the same altlocs, and whether atoms are told apart by them.

    Parameters
    ----------
    source : str
        Name of the file.
    structure : gemmi.Structure
        One model.
    table : mapping
        Structure -> altlocs.
    """
    holders: defaultdict[str, dict[str, None]] = defaultdict(dict)
    conformers: defaultdict[str, set[str]] = defaultdict(set)
    for site in structure[0].all():
        place = f"{site.chain.name}/{site.residue.name} {site.residue.seqid}"
        altloc = altloc_of(site.atom)
        conformers[f"{place}/{site.atom.name}"].add(altloc)
        if altloc:
            holders[altloc].setdefault(place)
    found = []
    for name, letters in table.items():
        for letter in letters:
            if letter not in holders:
                text = f"altloc {letter!r} of {name!r} is not in the file; {listing(sorted(holders))}"
                found.append(error(source, text))
    named = {letter for letters in table.values() for letter in letters}
    for letter, places in sorted(holders.items()):
        if letter not in named:
            text = f"altloc {letter!r} belongs to no structure, but atoms have it: {some_of(list(places))}"
            found.append(error(source, text + "; add it to the structure that it is disorder of"))
    mixed = [atom for atom, letters in conformers.items() if len(letters) > 1 and "" in letters]
    if mixed:
        text = f"{counted(len(mixed), 'atom')} both with and without altloc: {some_of(mixed)}"
        text += "; atoms without altloc belong to all structures, so give each conformer a letter"
        found.append(error(source, text))
    return found


def extract(structure: gemmi.Structure, letters: Sequence[str]) -> gemmi.Structure:
    """The structure that some altlocs make, with the atoms that have none.

    Occupancies of its conformers are divided by their sum, so that what remains disordered keeps its
    relative occupancies and what does not becomes 1. A residue left with one conformer loses the letter.

    The sum runs over the conformers of the residue, with the atom's own occupancies where it is in a
    conformer and the mean of the conformer where it is not: an atom that one of two conformers lacks (a
    proton, a mutated side chain) keeps its share.
    """
    copy = structure.clone()
    occupancies = _occupancies(copy)
    kept: dict[_Place, set[str]] = {}
    for chain in copy[0]:
        for residue in chain:
            place = (chain.name, str(residue.seqid))
            present = [letter for letter in letters if letter in occupancies[place]]
            kept[place] = set(present)
            for number in reversed(range(len(residue))):
                atom = residue[number]
                altloc = altloc_of(atom)
                if not altloc:
                    continue
                if altloc not in present:
                    del residue[number]
                    continue
                own = (residue.name, atom.name)
                total = sum(_occupancy(occupancies[place][letter], own) for letter in present)
                # A sum of zero holds no ratio; zeros stay, and the checks of atoms report them.
                atom.occ = atom.occ / total if total > 0.0 else 0.0
                if len(present) == 1:
                    atom.altloc = _NO_ALTLOC
        for number in reversed(range(len(chain))):
            if len(chain[number]) == 0:
                del chain[number]
    copy.remove_empty_chains()
    _keep_links(copy, kept)
    return copy


def _occupancies(structure: gemmi.Structure) -> defaultdict[_Place, _Occupancies]:
    table: defaultdict[_Place, _Occupancies] = defaultdict(lambda: defaultdict(dict))
    for site in structure[0].all():
        if altloc := altloc_of(site.atom):
            place = (site.chain.name, str(site.residue.seqid))
            table[place][altloc][site.residue.name, site.atom.name] = site.atom.occ
    return table


def _occupancy(conformer: dict[tuple[str, str], float], atom: tuple[str, str]) -> float:
    return conformer[atom] if atom in conformer else sum(conformer.values()) / len(conformer)


def _keep_links(structure: gemmi.Structure, kept: Mapping[_Place, set[str]]) -> None:
    """Leave the links (disulphides, metals) whose ends the structure has, with the letters it has."""
    for number in reversed(range(len(structure.connections))):
        link = structure.connections[number]
        for end in (link.partner1, link.partner2):
            altloc = end.altloc.strip("\0 ")
            present = kept.get((end.chain_name, str(end.res_id.seqid)))
            if present is None or (altloc and altloc not in present):
                del structure.connections[number]
                break
            if altloc and len(present) == 1:
                end.altloc = _NO_ALTLOC
