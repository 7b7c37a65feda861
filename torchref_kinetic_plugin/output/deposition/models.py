"""Structures as models: one for each structure of each crystal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import gemmi
import ihm
import ihm.model
import ihm.protocol
import ihm.representation

from torchref_kinetic_plugin.output.deposition.contents import DepositedExperiment, Deposition
from torchref_kinetic_plugin.output.deposition.details import details, number
from torchref_kinetic_plugin.output.deposition.molecules import Molecules
from torchref_kinetic_plugin.structures import AtomicStructure


@final
class Models:
    """The models of a deposition.

    Parameters
    ----------
    deposition : Deposition
        Everything.
    protocol : ihm.protocol.Protocol
        What made them.

    Attributes
    ----------
    molecules : Molecules
        What they are made of.
    """

    def __init__(self, deposition: Deposition, protocol: ihm.protocol.Protocol) -> None:
        self._protocol = protocol
        self._parts: dict[tuple[int, ...], tuple[ihm.Assembly, ihm.representation.Representation]] = {}
        self._models: dict[tuple[int, str], tuple[ihm.model.Model, str]] = {}
        named = [
            (number, crystal.name, each)
            for number, crystal in enumerate(deposition.crystals)
            for each in crystal.structures
        ]
        copies = [structure.to_gemmi() for _, _, structure in named]
        self.molecules = Molecules(copies)
        several = len(deposition.crystals) > 1
        for place, ((crystal, crystal_name, structure), copy) in enumerate(zip(named, copies, strict=True)):
            name = f"{structure.name} ({crystal_name})" if several else structure.name
            about = _about(structure, crystal_name, refined=deposition.structures_refined)
            self._models[crystal, structure.name] = self._model(place, name, copy), about

    def new_group(self, crystal: int, structure: str) -> ihm.model.ModelGroup:
        """A group of one model, for one state: a model may be in many groups, a group belongs to one state."""
        model, about = self._models[crystal, structure]
        return ihm.model.ModelGroup([model], name=model.name, details=about)

    def _model(self, place: int, name: str, structure: gemmi.Structure) -> ihm.model.Model:
        atoms = list(self._atoms(place, structure))
        present = {id(each.asym_unit) for each in atoms}
        used = tuple(row for row, asym in enumerate(self.molecules.asyms) if id(asym) in present)
        if used not in self._parts:
            asyms = [self.molecules.asyms[row] for row in used]
            segments = [ihm.representation.AtomicSegment(each, rigid=False) for each in asyms]
            self._parts[used] = ihm.Assembly(asyms, name=name), ihm.representation.Representation(segments)
        assembly, representation = self._parts[used]
        model = ihm.model.Model(assembly, self._protocol, representation, name=name)
        for atom in atoms:
            model.add_atom(atom)
        return model

    def _atoms(self, place: int, structure: gemmi.Structure) -> Iterator[ihm.model.Atom]:
        """Atoms in the order of `AtomTable`."""
        for chain in structure[0]:
            for residue in chain:
                asym, seq_id = self.molecules.locate(place, chain.name, residue)
                for atom in residue:
                    yield ihm.model.Atom(
                        asym,
                        seq_id,
                        atom.name,
                        atom.element.name.upper(),
                        *atom.pos.tolist(),
                        het=residue.het_flag == "H",
                        biso=atom.b_iso,
                        occupancy=number(round(atom.occ, 6)),
                        alt_id=atom.altloc if atom.has_altloc() else None,
                    )


def kind_of_states(experiment: DepositedExperiment) -> str:
    """In which the states of an experiment differ, in the dictionary's words."""
    return "conformational change" if experiment.concentration is None else "ligand binding"


def _about(structure: AtomicStructure, crystal: str, *, refined: bool) -> str:
    cell = structure.cell
    return details(
        structure=structure.name,
        crystal=crystal,
        refined="yes" if refined else "no",
        cell=" ".join(number(value) for value in cell.parameters),
        space_group=structure.space_group.xhm(),
    )
