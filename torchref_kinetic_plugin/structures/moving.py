"""Which residues of an intermediate have coordinates of their own, and which take the reference's."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import final

import gemmi
import numpy as np

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.structures.atoms import Flags, Indices, ResidueKey, cartesian_of
from torchref_kinetic_plugin.structures.equivalence import exchanged_names
from torchref_kinetic_plugin.structures.matching import displacement, robust, same_atoms
from torchref_kinetic_plugin.structures.structure import AtomicStructure

#: Displacement of an atom that is a difference, A: at least this, and so many times what is usual between the models.
_LEAST_DIFFERENCE = 0.05
_UNUSUAL = 5.0
#: Distance of an atom that surrounds a difference, and the displacement that makes surroundings give way, A.
_NEIGHBOUR = 3.8
_MAKES_WAY = 0.5
#: Distance over which a water of one number is one water, A: models refined apart number theirs as they come.
_SAME_SITE = 1.0
#: Longest bond of a hydrogen, A.
_HYDROGEN_BOND = 1.35


@final
@dataclass(frozen=True)
class MovingResidues:
    """What moves in one intermediate, and why.

    Attributes
    ----------
    structure : str
        Which intermediate.
    differing, signal, surroundings : frozenset of ResidueKey
        Where the starting structures differ, where the difference signal is, and what touches these.
    """

    structure: str
    differing: frozenset[ResidueKey]
    signal: frozenset[ResidueKey]
    surroundings: frozenset[ResidueKey]

    @property
    def residues(self) -> frozenset[ResidueKey]:
        """All of them."""
        return self.differing | self.signal | self.surroundings

    @property
    def text(self) -> str:
        """One sentence for the result."""

        def listed(residues: frozenset[ResidueKey]) -> str:
            ordered = sorted(residues, key=lambda each: (each.chain, each.number, each.insertion_code))
            return ", ".join(f"{each.chain}/{each.number}{each.insertion_code}" for each in ordered) or "none"

        return (
            f"{self.structure} moves in residues that differ at the start ({listed(self.differing)}), "
            f"that the differences of the data point at ({listed(self.signal)}), and around them "
            f"({listed(self.surroundings)}); everywhere else it is the reference"
        )


def differing_residues(structure: AtomicStructure, reference: AtomicStructure) -> frozenset[ResidueKey]:
    """Residues with an atom further from the reference than is usual between the two models.

    Hydrogens and waters do not count. Residues that the reference lacks differ.
    """
    here, there = same_atoms(structure.atoms, reference.atoms)
    counting = robust(structure.atoms)[here]
    here, there = here[counting], there[counting]
    length = np.linalg.norm(displacement(structure, reference, (here, there)), axis=1)
    usual = 1.4826 * float(np.median(length)) if len(length) else 0.0
    far = length > max(_LEAST_DIFFERENCE, _UNUSUAL * usual)
    found = {structure.atoms.residues[place] for place in here[far].tolist()}
    known = set(reference.atoms.residues)
    own = np.flatnonzero(robust(structure.atoms)).tolist()
    found |= {structure.atoms.residues[place] for place in own if structure.atoms.residues[place] not in known}
    # What chemistry does not tell apart has not moved when two models name it the other way round.
    exchanged = {text.split(" (")[0] for text in exchanged_names(structure, reference)}
    return frozenset(residue for residue in found if str(residue) not in exchanged)


def surrounding_residues(
    structure: AtomicStructure, reference: AtomicStructure, residues: Collection[ResidueKey]
) -> frozenset[ResidueKey]:
    """Residues, and waters that both structures have, which touch atoms of these residues that moved far.

    In either structure.
    """
    here, there = same_atoms(structure.atoms, reference.atoms)
    length = np.linalg.norm(displacement(structure, reference, (here, there)), axis=1)
    in_residues = np.array([structure.atoms.residues[place] in residues for place in here.tolist()], dtype=np.bool_)
    moved = (length > _MAKES_WAY) & in_residues & robust(structure.atoms)[here]
    places = cartesian_of(structure.atoms.fractional, reference.cell)
    around = robust(reference.atoms)
    around[there[reference.atoms.water[there] & (length < _SAME_SITE)]] = True
    found: set[ResidueKey] = set()
    for points in (places[here[moved]], reference.atoms.xyz[there[moved]]):
        for point in points:
            near = around & (np.linalg.norm(reference.atoms.xyz - point, axis=1) < _NEIGHBOUR)
            found |= {reference.atoms.residues[place] for place in np.flatnonzero(near).tolist()}
    return frozenset(found - set(residues))


def selected_residues(structure: AtomicStructure, selection: str) -> frozenset[ResidueKey]:
    """Residues that a selection in gemmi's syntax names, as ``"//A/6-13"``.

    Raises
    ------
    InputError
        For a selection that cannot be read, or that names nothing.
    """
    try:
        chosen = gemmi.Selection(selection)
        copy = chosen.copy_structure_selection(structure.to_gemmi())
    except (RuntimeError, ValueError) as error:
        raise InputError(f"moving: cannot read the selection {selection!r}: {error}") from error
    found = {
        ResidueKey(chain.name, residue.seqid.num or 0, residue.seqid.icode.strip(), residue.name)
        for model in copy
        for chain in model
        for residue in chain
    }
    if not found:
        raise InputError(f"moving: {selection!r} names no residue of {structure.name}")
    return frozenset(found)


def like_reference(
    structure: AtomicStructure, reference: AtomicStructure, own: Collection[ResidueKey]
) -> AtomicStructure:
    """The reference with some residues of an intermediate: what is not its own is the reference's, waters too."""
    combined = reference.to_gemmi()
    moved = structure.with_values(xyz=cartesian_of(structure.atoms.fractional, reference.cell)).to_gemmi()
    taken: dict[ResidueKey, gemmi.Residue] = {}
    for chain in moved[0]:
        for residue in chain:
            key = _key(chain, residue)
            if key in own:
                taken[key] = residue
    for chain in combined[0]:
        for residue in chain:
            if (key := _key(chain, residue)) in taken:
                # In place, so that links and order stay.
                del residue[:]
                for atom in taken.pop(key):
                    residue.add_atom(atom)
    for key, residue in taken.items():
        chain = combined[0].find_chain(key.chain)
        if chain is None:
            chain = combined[0].add_chain(gemmi.Chain(key.chain))
        chain.add_residue(residue)
    return AtomicStructure.from_gemmi(combined, structure.name, structure.source)


def _key(chain: gemmi.Chain, residue: gemmi.Residue) -> ResidueKey:
    return ResidueKey(chain.name, residue.seqid.num or 0, residue.seqid.icode.strip(), residue.name)


def riding_hydrogens(structure: AtomicStructure) -> tuple[Indices, Indices]:
    """Places of hydrogens and of the atoms that they ride on, the nearest of their residue and conformation.

    Raises
    ------
    InputError
        For a hydrogen that is bonded to nothing.
    """
    atoms = structure.atoms
    hydrogens, heavy = np.flatnonzero(atoms.hydrogen), ~atoms.hydrogen
    parents = np.empty(len(hydrogens), dtype=np.int64)
    for number, place in enumerate(hydrogens.tolist()):
        letter = atoms.altloc[place]
        same = _same_residue(structure, place) & heavy & ((atoms.altloc == letter) | (atoms.altloc == ""))
        candidates = np.flatnonzero(same)
        distance = np.linalg.norm(atoms.xyz[candidates] - atoms.xyz[place], axis=1)
        if not len(candidates) or distance.min() > _HYDROGEN_BOND:
            raise InputError(f"{structure.name}: hydrogen {atoms.keys[place]} is bonded to nothing; leave it out")
        parents[number] = candidates[int(distance.argmin())]
    return hydrogens, parents


def _same_residue(structure: AtomicStructure, place: int) -> Flags:
    atoms = structure.atoms
    same: Flags = (
        (atoms.chain == atoms.chain[place])
        & (atoms.residue_number == atoms.residue_number[place])
        & (atoms.insertion_code == atoms.insertion_code[place])
    )
    return same


def own_atoms(structure: AtomicStructure, residues: Collection[ResidueKey]) -> Flags:
    """(n_atoms,) whether an atom is in one of the residues."""
    wanted: Sequence[bool] = [residue in residues for residue in structure.atoms.residues]
    return np.array(wanted, dtype=np.bool_)
