"""Polymers, ligands and waters of all structures as entities and their instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import gemmi
import ihm

from torchref_kinetic_plugin.output.deposition.sequences import ChainSequence, Place, chain_sequences, place_of

_ALPHABETS = (ihm.LPeptideAlphabet(), ihm.DPeptideAlphabet(), ihm.DNAAlphabet(), ihm.RNAAlphabet())
#: Compounds that python-ihm knows, by their names in model files; glycine has no hand.
_KNOWN = {each.id: each for alphabet in reversed(_ALPHABETS) for each in alphabet.values}
_WATER = "HOH"


@final
class Molecules:
    """Entities and instances that all structures together need.

    A residue that only some structures have is there all the same; one that is another compound in some structures is
    there once for each.

    Parameters
    ----------
    structures : sequence of gemmi.Structure
        Each of one model; entities are set up.

    Attributes
    ----------
    entities : list of ihm.Entity
        Each sequence or compound once.
    asyms : list of ihm.AsymUnit
        Polymers, then ligands, then waters.
    """

    def __init__(self, structures: Sequence[gemmi.Structure]) -> None:
        self.entities: list[ihm.Entity] = []
        self.asyms: list[ihm.AsymUnit] = []
        self._compounds = dict(_KNOWN)
        self._entity_of: dict[tuple[str, ...], ihm.Entity] = {}
        sequences, self._assignments = chain_sequences(structures)
        self._polymers = {
            name: [(self._polymer(each), each.seq_id) for each in variants] for name, variants in sequences.items()
        }
        self._ligands: dict[tuple[str, Place, str], ihm.AsymUnit] = {}
        waters: dict[str, dict[Place, int]] = {}
        for structure, assignment in zip(structures, self._assignments, strict=True):
            for chain in structure[0]:
                for residue in chain:
                    key = (chain.name, place_of(residue), residue.name)
                    if key in assignment:
                        continue
                    if residue.name == _WATER:
                        own = waters.setdefault(chain.name, {})
                        own.setdefault(key[1], len(own) + 1)
                    elif key not in self._ligands:
                        self._ligands[key] = self._ligand(*key)
        self._waters = {name: (self._water(name, places), places) for name, places in waters.items()}

    def locate(self, structure: int, chain: str, residue: gemmi.Residue) -> tuple[ihm.AsymUnit, int]:
        """Instance that a residue of a structure belongs to, and its number there, from 1."""
        key = (chain, place_of(residue), residue.name)
        if (variant := self._assignments[structure].get(key)) is not None:
            asym, seq_id = self._polymers[chain][variant]
            return asym, seq_id[key[1]]
        if residue.name == _WATER:
            asym, seq_id = self._waters[chain]
            return asym, seq_id[key[1]]
        return self._ligands[key], 1

    def _polymer(self, sequence: ChainSequence) -> ihm.AsymUnit:
        entity = self._entity(sequence.names, f"polymer of chain {sequence.chain}")
        return self._instance(ihm.AsymUnit(entity, auth_seq_id_map=sequence.author_numbers(), strand_id=sequence.chain))

    def _ligand(self, chain: str, place: Place, name: str) -> ihm.AsymUnit:
        self._compounds.setdefault(name, ihm.NonPolymerChemComp(name))
        return self._instance(
            ihm.AsymUnit(self._entity((name,), name), auth_seq_id_map={1: place.author}, strand_id=chain)
        )

    def _water(self, chain: str, places: Mapping[Place, int]) -> ihm.AsymUnit:
        self._compounds.setdefault(_WATER, ihm.WaterChemComp())
        numbers = {number: place.author for place, number in places.items()}
        entity = self._entity((_WATER,), "water")
        return self._instance(ihm.WaterAsymUnit(entity, len(places), auth_seq_id_map=numbers, strand_id=chain))

    def _instance(self, asym: ihm.AsymUnit) -> ihm.AsymUnit:
        self.asyms.append(asym)
        return asym

    def _entity(self, names: tuple[str, ...], description: str) -> ihm.Entity:
        if names not in self._entity_of:
            for name in names:
                if name not in self._compounds:
                    self._compounds[name] = _monomer(name, names)
            entity = ihm.Entity([self._compounds[name] for name in names], description=description)
            self._entity_of[names] = entity
            self.entities.append(entity)
        return self._entity_of[names]


def _monomer(name: str, polymer: Sequence[str]) -> ihm.ChemComp:
    """An unusual residue: of the kind that gemmi knows it to be, else of that of its polymer."""
    tabulated = gemmi.find_tabulated_residue(name)
    kind, letter = tabulated.kind, tabulated.one_letter_code.upper().strip() or "X"
    if kind == gemmi.ResidueKind.AAD:
        return ihm.DPeptideChemComp(name, name, letter)
    usual = {_KNOWN[each].type for each in polymer if each in _KNOWN}
    if kind == gemmi.ResidueKind.DNA or (kind == gemmi.ResidueKind.UNKNOWN and usual == {ihm.DNAChemComp.type}):
        return ihm.DNAChemComp(name, name, letter)
    if kind == gemmi.ResidueKind.RNA or (kind == gemmi.ResidueKind.UNKNOWN and usual == {ihm.RNAChemComp.type}):
        return ihm.RNAChemComp(name, name, letter)
    return ihm.LPeptideChemComp(name, name, letter)
