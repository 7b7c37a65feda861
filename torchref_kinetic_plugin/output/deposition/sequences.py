"""Sequences of the polymers of all structures, which need not have the same residues."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import gemmi


@final
class Place(NamedTuple):
    """A residue's number in its chain."""

    number: int
    insertion_code: str

    @property
    def author(self) -> tuple[int, str | None]:
        """As python-ihm wants it."""
        return self.number, self.insertion_code or None


@final
@dataclass(frozen=True)
class ChainSequence:
    """One sequence of a chain.

    Attributes
    ----------
    chain : str
        Its name in the model files.
    names : tuple of str
        Residues, known to be there although not modelled among them.
    seq_id : mapping
        Place of each residue that is modelled to its number in ``names``, from 1.
    """

    chain: str
    names: tuple[str, ...]
    seq_id: Mapping[Place, int]

    def author_numbers(self) -> dict[int, tuple[int, str | None]]:
        """Number and insertion code of every residue; those not modelled are counted on from their neighbours."""
        known = {number: place.author for place, number in self.seq_id.items()}
        first = min(known)
        found: dict[int, tuple[int, str | None]] = {}
        for number in range(1, len(self.names) + 1):
            if number in known:
                found[number] = known[number]
            elif number < first:
                found[number] = known[first][0] - (first - number), None
            else:
                found[number] = found[number - 1][0] + 1, None
        return found


#: Chain, place and name of a residue to the number of its sequence among those of the chain.
Assignment = dict[tuple[str, Place, str], int]


def place_of(residue: gemmi.Residue) -> Place:
    """Number and insertion code of a residue."""
    return Place(residue.seqid.num or 0, residue.seqid.icode.strip())


def chain_sequences(
    structures: Sequence[gemmi.Structure],
) -> tuple[dict[str, list[ChainSequence]], list[Assignment]]:
    """Find the sequences of each polymer chain, and which of them each residue of each structure belongs to.

    A chain has one sequence where all structures agree on the residue at each place: that of the model files where all
    have the same, else that of the residues modelled. Where structures differ, or a place holds two residues in one
    structure, the chain has one sequence for each.

    Parameters
    ----------
    structures : sequence of gemmi.Structure
        Each of one model; entities and numbers within sequences are set up.
    """
    chains: dict[str, list[list[gemmi.Residue]]] = {}
    for structure in structures:
        for chain in structure[0]:
            chains.setdefault(chain.name, [[] for _ in structures])
    for number, structure in enumerate(structures):
        structure.setup_entities()
        structure.assign_label_seq_id(force=True)
        for chain in structure[0]:
            chains[chain.name][number] = list(chain.get_polymer())
    sequences: dict[str, list[ChainSequence]] = {}
    assignments: list[Assignment] = [{} for _ in structures]
    for name, residues in chains.items():
        if not any(residues):
            continue
        full = _full_sequence(name, structures, residues)
        if full is not None:
            sequences[name] = [full]
            for assignment, own in zip(assignments, residues, strict=True):
                assignment |= {(name, place_of(residue), residue.name): 0 for residue in own}
            continue
        variants: list[dict[Place, str]] = []
        for assignment, own in zip(assignments, residues, strict=True):
            main: dict[Place, str] = {}
            others = [each for each in own if main.setdefault(place_of(each), each.name) != each.name]
            chosen = _join(variants, main)
            assignment |= {(name, place, residue): chosen for place, residue in main.items()}
            for each in others:
                place = place_of(each)
                assignment[name, place, each.name] = _join(variants, main | {place: each.name})
        sequences[name] = [
            ChainSequence(name, tuple(each.values()), {place: number for number, place in enumerate(each, start=1)})
            for each in variants
        ]
    return sequences, assignments


def _full_sequence(
    chain: str, structures: Sequence[gemmi.Structure], residues: Sequence[Sequence[gemmi.Residue]]
) -> ChainSequence | None:
    """The sequence that the headers of all structures give; None where they differ or do not fit the residues."""
    found: set[tuple[str, ...]] = set()
    seq_id: dict[Place, int] = {}
    for structure, own in zip(structures, residues, strict=True):
        if not own:
            continue
        entity = structure.get_entity_of(structure[0][chain].get_polymer())
        names = tuple(each.split(",")[0] for each in entity.full_sequence)
        found.add(names)
        for residue in own:
            number = residue.label_seq
            if number is None or number > len(names) or names[number - 1] != residue.name:
                return None
            if seq_id.setdefault(place_of(residue), number) != number:
                return None
    if len(found) != 1 or len(set(seq_id.values())) < len(seq_id):
        return None
    return ChainSequence(chain, found.pop(), seq_id)


def _join(variants: list[dict[Place, str]], wanted: Mapping[Place, str]) -> int:
    """Number of the first sequence that agrees with the residues wanted, which it then has; a new one if none does."""
    for number, variant in enumerate(variants):
        if all(variant.get(place, name) == name for place, name in wanted.items()):
            order = _merged(list(variant), wanted)
            variants[number] = {place: variant.get(place) or wanted[place] for place in order}
            return number
    variants.append(dict(wanted))
    return len(variants) - 1


def _merged(first: list[Place], second: Iterable[Place]) -> list[Place]:
    """Both orders in one; what only the second has comes after its neighbour there."""
    after = 0
    for place in second:
        if place in first:
            after = first.index(place) + 1
        else:
            first.insert(after, place)
            after += 1
    return first
