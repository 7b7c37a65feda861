"""Chemically equal atoms that two models name the other way round."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from torchref_kinetic_plugin.structures.atoms import AtomKey, Floats, ResidueKey, cartesian_of
from torchref_kinetic_plugin.structures.matching import same_atoms
from torchref_kinetic_plugin.structures.structure import AtomicStructure

#: Names that no convention of stereochemistry tells apart; exchanged together in a residue.
EQUAL_NAMES = {
    "ARG": (("NH1", "NH2"),),
    "ASP": (("OD1", "OD2"),),
    "GLU": (("OE1", "OE2"),),
    "PHE": (("CD1", "CD2"), ("CE1", "CE2")),
    "TYR": (("CD1", "CD2"), ("CE1", "CE2")),
}
#: Exchanged names bring the atoms closer by at least this factor, from at least this distance, A.
_FACTOR, _DISTANCE = 3.0, 1.5


def exchanged_names(structure: AtomicStructure, reference: AtomicStructure) -> list[str]:
    """Residues, with conformers, in which the reference's names would fit the other way round."""
    here, there = same_atoms(structure.atoms, reference.atoms)
    moved = cartesian_of(structure.atoms.fractional, reference.cell)
    fixed = cartesian_of(reference.atoms.fractional, reference.cell)
    places: defaultdict[tuple[ResidueKey, str], dict[str, tuple[Floats, Floats]]] = defaultdict(dict)
    for i, j in zip(here.tolist(), there.tolist(), strict=True):
        key: AtomKey = structure.atoms.keys[i]
        if key.residue.name in EQUAL_NAMES:
            places[key.residue, key.altloc][key.atom] = (moved[i], fixed[j])
    found = []
    for (residue, altloc), atoms in places.items():
        pairs = EQUAL_NAMES[residue.name]
        if any(name not in atoms for pair in pairs for name in pair):
            continue
        as_named = _distance(atoms, [(name, name) for pair in pairs for name in pair])
        exchanged = _distance(atoms, [swap for one, two in pairs for swap in ((one, two), (two, one))])
        if as_named > _DISTANCE and as_named > _FACTOR * exchanged:
            names = ", ".join("/".join(pair) for pair in pairs)
            found.append(f"{residue}{f' {altloc}' if altloc else ''} ({names})")
    return found


def _distance(atoms: dict[str, tuple[Floats, Floats]], pairs: list[tuple[str, str]]) -> float:
    """Root mean square distance of the first atoms, as moved, from the second ones, as they were, A."""
    squares = [np.sum((atoms[one][0] - atoms[two][1]) ** 2) for one, two in pairs]
    return float(np.sqrt(np.mean(squares)))
