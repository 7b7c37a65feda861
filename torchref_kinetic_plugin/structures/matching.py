"""Which atoms two structures have in common."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from torchref_kinetic_plugin.structures.atoms import AtomTable, Flags, Floats, Indices, SiteKey, cartesian_of
from torchref_kinetic_plugin.structures.structure import AtomicStructure

Pairs = tuple[Indices, Indices]


def same_atoms(atoms: AtomTable, reference: AtomTable) -> Pairs:
    """Places in both tables of the atoms with one identity, altloc included; ordered as in ``atoms``."""
    pairs = [(place, reference.index[key]) for key, place in atoms.index.items() if key in reference.index]
    return _split(pairs)


def same_sites(atoms: AtomTable, reference: AtomTable) -> Pairs:
    """Places in both tables of what can be compared.

    Conformers with one name are compared with each other. Where an atom has conformers in both
    structures but none of one name, the most occupied ones are compared, since the letters then say
    nothing.
    """
    here, there = _by_site(atoms), _by_site(reference)
    pairs: list[tuple[int, int]] = []
    for site, places in here.items():
        if site not in there:
            continue
        others = {reference.keys[place].altloc: place for place in there[site]}
        letters = [(place, atoms.keys[place].altloc) for place in places]
        named = [(place, others[letter]) for place, letter in letters if letter in others]
        pairs += named or [(_fullest(atoms, places), _fullest(reference, there[site]))]
    return _split(pairs)


def displacement(structure: AtomicStructure, reference: AtomicStructure, pairs: Pairs) -> Floats:
    """Displacements (n, 3) from the reference, A, in its cell.

    Fractional coordinates are compared: structures keep them when they are put in the cell of the data,
    so a difference between cells is no displacement.
    """
    here, there = pairs
    moved = cartesian_of(structure.atoms.fractional[here], reference.cell)
    return moved - cartesian_of(reference.atoms.fractional[there], reference.cell)


def robust(atoms: AtomTable) -> Flags:
    """Atoms (n,) whose identity can be trusted between models: neither hydrogens nor waters."""
    return ~atoms.hydrogen & ~atoms.water


def _by_site(atoms: AtomTable) -> dict[SiteKey, list[int]]:
    places: defaultdict[SiteKey, list[int]] = defaultdict(list)
    for number, site in enumerate(atoms.sites):
        places[site].append(number)
    return places


def _fullest(atoms: AtomTable, places: list[int]) -> int:
    return max(places, key=lambda place: float(atoms.occupancy[place]))


def _split(pairs: list[tuple[int, int]]) -> Pairs:
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]
