"""All structures of a refinement, checked together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import gemmi

from torchref_kinetic_plugin.errors import InputError, UnknownNameError
from torchref_kinetic_plugin.structures.parameter_map import ParameterMap, SharingTolerance
from torchref_kinetic_plugin.structures.polar import polar_shift, superpose_along_polar_axis
from torchref_kinetic_plugin.structures.report import StructureReport
from torchref_kinetic_plugin.structures.structure import AtomicStructure


@final
@dataclass(frozen=True, eq=False)
class StructureSet:
    """Structures of one crystal; it never changes.

    Attributes
    ----------
    structures : tuple of AtomicStructure
        In the order given; the first one is what the others were compared with.
    parameters : ParameterMap
        Which parameters each atom takes its values from; identical atoms share theirs.
    report : StructureReport
        What was found on loading; no errors among it, since those stop the loading.
    """

    structures: tuple[AtomicStructure, ...]
    parameters: ParameterMap
    report: StructureReport

    def __post_init__(self) -> None:
        if not self.structures:
            raise InputError("no structures")

    def __len__(self) -> int:
        return len(self.structures)

    def __iter__(self) -> Iterator[AtomicStructure]:
        return iter(self.structures)

    def __getitem__(self, name: str) -> AtomicStructure:
        if name not in self.names:
            raise UnknownNameError("structure", name, self.names)
        return self.structures[self.names.index(name)]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the structures."""
        return tuple(structure.name for structure in self.structures)

    @property
    def cell(self) -> gemmi.UnitCell:
        """Unit cell of the first structure, A and degrees."""
        return self.structures[0].cell

    @property
    def space_group(self) -> gemmi.SpaceGroup:
        """Space group of all structures."""
        return self.structures[0].space_group

    def with_parameters(self, parameters: ParameterMap) -> StructureSet:
        """The same structures sharing other atoms.

        Raises
        ------
        InputError
            When the map is of other structures.
        """
        sizes = [len(rows) for rows in parameters.rows]
        if parameters.structures != self.names or sizes != [len(each.atoms) for each in self.structures]:
            raise InputError(
                f"a map of structures {', '.join(parameters.structures)} with {sizes} atoms does not fit "
                f"{', '.join(self.names)} with {[len(each.atoms) for each in self.structures]}"
            )
        return replace(self, parameters=parameters)

    def with_structures(
        self, changed: Mapping[str, AtomicStructure], sharing: SharingTolerance | None = None
    ) -> StructureSet:
        """The same set with some structures replaced; atoms that are now identical share parameters.

        The report stays that of the loading.

        Parameters
        ----------
        changed : mapping
            Structure -> what takes its place.
        sharing : SharingTolerance, optional
            How close an atom must be in two structures to be one set of parameters.

        Raises
        ------
        UnknownNameError
            For a name that the set does not have.
        """
        for name in changed:
            if name not in self.names:
                raise UnknownNameError("structure", name, self.names)
        structures = tuple(changed.get(each.name, each) for each in self.structures)
        return replace(self, structures=structures, parameters=ParameterMap.by_identity(structures, sharing))

    def only(self, names: Sequence[str]) -> StructureSet:
        """Some of the structures, in the order of the set; the report stays that of the loading.

        Raises
        ------
        UnknownNameError
            For a name that the set does not have.
        """
        chosen = {name: self[name] for name in names}
        structures = tuple(each for each in self.structures if each.name in chosen)
        return replace(self, structures=structures, parameters=ParameterMap.by_identity(structures))

    def superposed(self, sharing: SharingTolerance | None = None) -> StructureSet:
        """The same set with every structure superposed on the first along the free axes.

        Unchanged where the space group fixes the origin. ``sharing`` as in `with_structures`.
        """
        reference = self.structures[0]
        return self.with_structures(
            {
                each.name: superpose_along_polar_axis(each, reference)
                for each in self.structures[1:]
                if polar_shift(each, reference) is not None
            },
            sharing,
        )
