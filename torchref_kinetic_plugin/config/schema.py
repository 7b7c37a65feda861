"""The refinement file: what it may hold; no torch, so that a file is checked in an instant."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self, final

from pydantic import AfterValidator, BeforeValidator, Field, Strict, field_validator, model_validator

from torchref_kinetic_plugin.config.condition import ExperimentCondition, distinctly_named, first_time_unit
from torchref_kinetic_plugin.config.output_names import repeated_outputs
from torchref_kinetic_plugin.config.plain_sections import OutputSection, ValidationSection, WeightsSection
from torchref_kinetic_plugin.config.section import Section, repeated
from torchref_kinetic_plugin.config.values import (
    Altloc,
    Columns,
    Delay,
    ExistingFile,
    Flag,
    Name,
    Positive,
    Title,
    Whole,
    each_once,
    file_of,
    name_of_delay,
    safe_name,
)
from torchref_kinetic_plugin.errors import InputError, UnknownNameError
from torchref_kinetic_plugin.scheme import parse_flow_chart, parse_time

#: Where occupancies come from when the flag is left out.
DEFAULT_PROVIDER = "kinetics"


@final
class RefinementSection(Section):
    """Section ``[refinement]``."""

    occupancy: str = Field(default=DEFAULT_PROVIDER, description="Where occupancies come from: the name of a provider.")
    d_min: Positive | None = Field(default=None, description="High-resolution limit, A; by default that of the data.")
    d_max: Positive | None = Field(default=None, description="Low-resolution limit, A; by default that of the data.")
    cycles: Annotated[Whole, Field(ge=1)] = Field(
        default=5, description="Macro-cycles in which structures and kinetics alternate."
    )
    stop: Flag = Field(
        default=True, description="Whether cycles end when validation reflections say so, or when nothing moves."
    )
    refine: Annotated[list[Literal["kinetics", "structures", "scale"]], AfterValidator(each_once)] = Field(
        default=["kinetics", "scale"], description="What is refined."
    )
    seed: Annotated[Whole, Field(ge=0)] = Field(default=1, description="Of everything that is drawn.")
    starts: Annotated[Whole, Field(ge=1)] = Field(default=4, description="Starting points of the kinetic fit, at most.")
    free_fraction: Annotated[float, Strict(), Field(gt=0.0, lt=0.5)] = Field(
        default=0.05, description="Fraction of reflections drawn as free where no file has free flags."
    )

    @model_validator(mode="after")
    def _limits(self) -> Self:
        if self.d_min is not None and self.d_max is not None and self.d_max <= self.d_min:
            raise InputError(f"d_max = {self.d_max:g} A must be larger than d_min = {self.d_min:g} A")
        return self


@final
class State(Section):
    """One structure with a file of its own."""

    name: Name = Field(description="What the file and the output call the structure.")
    file: ExistingFile = Field(description="PDB or mmCIF file, gzipped or not.")


@final
class StructuresSection(Section):
    """Section ``[structures]``: ``states``, or ``file`` with ``models`` or with ``altlocs``."""

    states: list[State] | None = Field(default=None, description="One file per structure.")
    file: ExistingFile | None = Field(default=None, description="One file for all structures.")
    models: dict[Name, Annotated[Whole, Field(ge=0)]] | None = Field(
        default=None, description="Structure to the number of its MODEL in the file."
    )
    altlocs: dict[Altloc, Name] | None = Field(
        default=None, description="Alternative conformation to the structure that it belongs to."
    )
    moving: dict[Name, str] = Field(
        default={}, description="Structure to the atoms that it has for itself, in gemmi's syntax; found if left out."
    )
    restraints: list[ExistingFile] = Field(default=[], description="Restraint CIF files of ligands.")
    known_residues: list[str] = Field(default=[], description="Residues that need no restraint file.")
    superpose: Flag = Field(default=False, description="Remove shifts between structures along a polar axis.")
    cell_tolerance: Annotated[float, Strict(), Field(gt=0.0, lt=0.2)] = Field(
        default=0.01, description="Largest relative change of a cell length or angle between datasets."
    )

    @model_validator(mode="after")
    def _one_layout(self) -> Self:
        if self.states is not None:
            if self.file is not None or self.models is not None or self.altlocs is not None:
                raise InputError("give either states, or file with models or altlocs, not both")
            if not self.states:
                raise InputError("states is empty; name at least one structure, with its file")
            if twice := repeated([state.name for state in self.states]):
                raise InputError(f"the structure {', '.join(twice)} is there twice; each has a name of its own")
        elif self.file is None:
            raise InputError("no structures: give states = [{name = ..., file = ...}], or file with models or altlocs")
        elif (self.models is None) == (self.altlocs is None):
            raise InputError("file needs one of models and altlocs, which say which structure is which")
        elif not (self.models or self.altlocs):
            raise InputError(f"{'altlocs' if self.models is None else 'models'} is empty; name at least one structure")
        elif self.models and (twice := repeated(list(map(str, self.models.values())))):
            raise InputError(f"model {', '.join(twice)} is there twice; each structure has a model of its own")
        for name in self.moving:
            if name not in self.names[1:]:
                raise UnknownNameError("structure", name, self.names[1:], "moving")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the structures."""
        if self.states is not None:
            return tuple(state.name for state in self.states)
        return tuple(dict.fromkeys(self.models if self.models is not None else (self.altlocs or {}).values()))


class _Dataset(Section):
    file: ExistingFile = Field(description="MTZ or structure-factor mmCIF file, gzipped or not.")
    columns: Columns = Field(default={}, description="As of the experiment, for this file.")
    free_value: Whole | None = Field(default=None, description="As of the experiment, for this file.")


@final
class Reference(_Dataset):
    """A dataset without the trigger; its path alone will do."""


@final
class Timepoint(_Dataset):
    """A dataset with its delay."""

    time: Delay = Field(description='Delay with its unit, e.g. "100 ns", or "inf".')
    name: Name = Field(default="", description="What the output calls it; by default made of the delay.")

    @property
    def time_s(self) -> float:
        """Delay in seconds."""
        return parse_time(self.time)


@final
class Experiment(ExperimentCondition):
    """One ``[[experiment]]``: datasets measured under one condition."""

    states: list[State] = Field(
        default=[], description="Structures with a file of this experiment's own; the others are the common ones."
    )
    references: list[Annotated[Reference, BeforeValidator(file_of)]] = Field(
        default=[],
        description="Datasets without the trigger: paths, or tables with file, columns and free_value. May be left out "
        'where every timepoint is at time "inf".',
    )
    timepoints: list[Timepoint] = Field(description="Datasets with their delays.")
    columns: Columns = Field(default={}, description="Columns by role: F, SIGF or I, SIGI, and free; else found.")
    free_value: Whole | None = Field(default=None, description="The value of the free flags that means free.")

    @field_validator("timepoints")
    @classmethod
    def _distinct_names(cls, value: list[Timepoint]) -> list[Timepoint]:
        """Name after its delay what the user has not named, numbering repeats; refuse names given twice."""
        taken = [point.name for point in value if point.name]
        if twice := repeated(taken):
            raise InputError(f"two timepoints are called {', '.join(twice)}; each has a name of its own")
        found: list[Timepoint] = []
        for point in value:
            if point.name:
                found.append(point)
                continue
            base = safe_name(name_of_delay(point.time))
            name, number = base, 2
            while name in taken:
                name, number = f"{base}_{number}", number + 1
            taken.append(name)
            found.append(point.model_copy(update={"name": name}))
        return found

    @field_validator("states")
    @classmethod
    def _distinct_states(cls, value: list[State]) -> list[State]:
        if twice := repeated([state.name for state in value]):
            raise InputError(f"the structure {', '.join(twice)} is there twice; each has one file in an experiment")
        return value

    @model_validator(mode="after")
    def _datasets(self) -> Self:
        if not self.timepoints:
            raise InputError("timepoints is empty; an experiment has at least one")
        if not self.references and not self.static:
            what = "empty" if "references" in self.model_fields_set else "missing"
            raise InputError(
                f"references is {what}; at least one dataset without the trigger is needed, unless every timepoint "
                'is at time "inf"'
            )
        places: dict[Path, list[str]] = {}
        for key, datasets in (("references", self.references), ("timepoints", self.timepoints)):
            for number, each in enumerate(datasets, start=1):
                places.setdefault(each.file.resolve(), []).append(f"{key}[{number}]")
        if twice := [f"{file.name} ({', '.join(where)})" for file, where in places.items() if len(where) > 1]:
            raise InputError(f"named more than once: {'; '.join(twice)}; a dataset counts once")
        return self

    @property
    def static(self) -> bool:
        """Whether nothing was triggered: all timepoints are of the stationary state."""
        return all(math.isinf(point.time_s) for point in self.timepoints)

    @property
    def time_unit(self) -> str:
        """The unit in which the user counts."""
        return first_time_unit(point.time for point in self.timepoints)


@final
class RefinementFile(Section):
    """A whole refinement file.

    Attributes
    ----------
    provider_section : dict
        The section of the provider that the flag names, as it stands in the file; the provider reads it.
    path : Path
        The file itself.
    """

    title: Title = Field(default="", description="For plots and the report.")
    schemes: list[str] = Field(
        default=[],
        description="Flow charts to compare with that of [kinetics]; for `compare`, without effect elsewhere.",
    )
    refinement: RefinementSection = Field(default=RefinementSection(), description="What is done.")
    structures: StructuresSection = Field(description="The atomic models.")
    experiments: tuple[Experiment, ...] = Field(alias="experiment", description="The data.")
    weights: WeightsSection = Field(default=WeightsSection(), description="Of the terms of the objective.")
    validation: ValidationSection = Field(default=ValidationSection(), description="What is done after the fit.")
    output: OutputSection = Field(default=OutputSection(), description="What is written.")
    provider_section: dict[str, Any] = Field(default={}, description="Set by the program.")
    path: Path = Field(default=Path(), description="Set by the program.")

    @field_validator("schemes")
    @classmethod
    def _readable(cls, value: list[str]) -> list[str]:
        for text in value:
            parse_flow_chart(text)
        return value

    @field_validator("experiments")
    @classmethod
    def _named(cls, value: tuple[Experiment, ...]) -> tuple[Experiment, ...]:
        if not value:
            raise InputError("there is no [[experiment]]; at least one is needed")
        return distinctly_named(value)

    @model_validator(mode="after")
    def _known_states(self) -> Self:
        names = self.structures.names
        for number, experiment in enumerate(self.experiments, start=1):
            for place, state in enumerate(experiment.states, start=1):
                if state.name not in names:
                    where = f"experiment[{number}].states[{place}].name"
                    raise InputError(f"{where}: {UnknownNameError('structure', state.name, names)}")
        return self

    @model_validator(mode="after")
    def _distinct_outputs(self) -> Self:
        timepoints = {each.name: [point.name for point in each.timepoints] for each in self.experiments}
        if twice := repeated_outputs(self.structures.names, timepoints):
            raise InputError(f"two files of the output would be called {', '.join(twice)}; give other names")
        return self
