"""The structures of each experiment in the cell of its own data, and which experiments can share one set of atoms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import gemmi
import numpy as np

from torchref_kinetic_plugin.config import Experiment
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.reflections import mislabelling
from torchref_kinetic_plugin.structures import (
    AtomicStructure,
    LoadingOptions,
    ParameterMap,
    StructureReport,
    StructureSet,
    gathered,
    load_files,
)
from torchref_kinetic_plugin.structures.matching import robust, same_atoms
from torchref_kinetic_plugin.structures.placing import centre_of, moved, placed
from torchref_kinetic_plugin.structures.superposition import superposed

#: Relative difference of lengths and angles up to which two cells are one: it changes a bond by a tenth of what
#: geometry leaves open.
SAME_CELL = 1e-3


def structures_in_cell(
    experiment: Experiment,
    common: StructureSet,
    cell: gemmi.UnitCell,
    space_group: gemmi.SpaceGroup,
    options: LoadingOptions,
    *,
    superpose: bool = False,
) -> StructureSet:
    """Structures of an experiment: those with files of its own, the others the common ones; in the cell of its data.

    A common structure goes there as a rigid body, by its place in the cell; or, where the experiment has a reference
    of its own, with what superposes the common reference on it.

    Parameters
    ----------
    experiment : Experiment
        With its files.
    common : StructureSet
        Of all experiments, in their own cell.
    cell, space_group : gemmi.UnitCell, gemmi.SpaceGroup
        Of the data.
    options : LoadingOptions
        Restraints and tolerances.
    superpose : bool
        Whether shifts along a polar axis are taken away.

    Raises
    ------
    InputError
        With everything that is wrong with the structures, naming the experiment; or for a model of another packing
        or space group.
    """
    try:
        if not experiment.states:
            _require_group(common.structures[0], space_group)
            centre = centre_of(common.structures[0])
            return _same_set(common, [placed(each, cell, centre) for each in common])
        read = load_files({state.name: state.file for state in experiment.states}, options)
        _require_group(read.structures[0], space_group)
        first = common.structures[0]
        # What is compared is placed by one centre, that of the reference it is compared with.
        centre = centre_of(read[first.name] if first.name in read.names else first)
        own = {each.name: placed(each, cell, centre) for each in read}
        if first.name in own:
            reference = own[first.name]
            here, there = same_atoms(first.atoms, reference.atoms)
            trusted = robust(first.atoms)[here]
            frames = [first.atoms.xyz[here[trusted]], reference.atoms.xyz[there[trusted]]]
            onto, back = superposed(frames)
            rotation = back.rotation.T @ onto.rotation
            shift = back.rotation.T @ (onto.shift - back.shift)
            others = {
                each.name: _in_group(moved(each, rotation, shift, cell), space_group)
                for each in common
                if each.name not in own
            }
        else:
            others = {each.name: placed(each, cell, centre) for each in common if each.name not in own}
        together = gathered([(own | others)[name] for name in common.names], read.report.findings, options)
    except InputError as error:
        raise InputError(f"{experiment.name}: {error}") from error
    return together.superposed() if superpose else together


def _require_group(structure: AtomicStructure, space_group: gemmi.SpaceGroup) -> None:
    here, there = structure.space_group, space_group
    if here.xhm() != there.xhm():
        raise InputError(
            f"{structure.name}: space group {here.xhm()!r} in {structure.source!r}, but {there.xhm()!r} in the data"
            f"{mislabelling(here, there)}; model and data share one crystal"
        )


def _same_set(common: StructureSet, structures: Sequence[AtomicStructure]) -> StructureSet:
    """The common set elsewhere; what was found on loading is told once."""
    if all(here is there for here, there in zip(structures, common, strict=True)):
        return replace(common, report=StructureReport())
    return StructureSet(tuple(structures), ParameterMap.by_identity(structures), StructureReport())


def _in_group(structure: AtomicStructure, space_group: gemmi.SpaceGroup) -> AtomicStructure:
    changed = structure.to_gemmi()
    changed.spacegroup_hm = space_group.xhm()
    return AtomicStructure.from_gemmi(changed, structure.name, structure.source)


@final
@dataclass(frozen=True, eq=False)
class FormMember:
    """What decides whether an experiment shares atoms with another.

    Attributes
    ----------
    name : str
        Of the experiment.
    files : mapping
        Structure to the file that this experiment has of its own.
    cell : gemmi.UnitCell
        Of its data.
    space_group : gemmi.SpaceGroup
        Of its data.
    """

    name: str
    files: Mapping[str, Path]
    cell: gemmi.UnitCell
    space_group: gemmi.SpaceGroup

    def shares_atoms(self, other: FormMember) -> bool:
        """Whether structure files are the same and cells are one."""
        here, there = np.array(self.cell.parameters), np.array(other.cell.parameters)
        return (
            self.files == other.files
            and self.space_group.xhm() == other.space_group.xhm()
            and bool((np.abs(here - there) <= SAME_CELL * np.maximum(here, there)).all())
        )


def crystal_forms(members: Sequence[FormMember]) -> list[tuple[int, ...]]:
    """Experiments that share one set of atoms, by number; the first of each gives the frame.

    Neighbours in a chain of cells that are one with the next share too, whatever the order. Forms, and the experiments
    of each, are sorted by the experiments' names: in which order a file has them then changes nothing, down to the
    atom that a random number is drawn for.
    """
    left = sorted(range(len(members)), key=lambda number: members[number].name)
    forms: list[tuple[int, ...]] = []
    while left:
        group, waiting = [], [left[0]]
        while waiting:
            here = waiting.pop()
            group.append(here)
            left.remove(here)
            waiting += [each for each in left if each not in waiting and members[here].shares_atoms(members[each])]
        forms.append(tuple(sorted(group, key=lambda number: members[number].name)))
    return forms
