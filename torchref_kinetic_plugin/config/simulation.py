"""The simulation file: a series or a campaign to be made, with everything that is wrong with real ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Self, final

from pydantic import Field, Strict, field_validator, model_validator

from torchref_kinetic_plugin.config.condition import ExperimentCondition, distinctly_named, first_time_unit
from torchref_kinetic_plugin.config.schema import DEFAULT_PROVIDER, State, StructuresSection
from torchref_kinetic_plugin.config.section import Section, repeated
from torchref_kinetic_plugin.config.values import Delay, ExistingFile, Positive, Title, Whole
from torchref_kinetic_plugin.errors import InputError, UnknownNameError
from torchref_kinetic_plugin.scheme import parse_time

NotNegative = Annotated[float, Strict(), Field(ge=0.0, allow_inf_nan=False)]
Share = Annotated[float, Strict(), Field(ge=0.0, lt=1.0)]
Delays = Annotated[list[Delay], Field(min_length=1)]
Count = Annotated[Whole, Field(ge=0)]

#: What a provider calls the experiment of a file without ``[[experiment]]`` blocks.
ONLY_EXPERIMENT = "simulation"
#: Keys of ``[simulation]`` that each block has for itself.
_OF_A_BLOCK = ("delays", "references", "temperature", "missing")


def _check_datasets(delays: Sequence[str], references: int, missing: float | Sequence[float]) -> None:
    count = references + len(delays)
    if isinstance(missing, Sequence) and len(missing) != count:
        raise InputError(f"missing has {len(missing)} entries for {count} datasets, references first")
    if references == 0 and not all(math.isinf(parse_time(delay)) for delay in delays):
        raise InputError(
            'references = 0: at least one dataset without the trigger is needed, unless every delay is "inf"'
        )


@final
class SimulatedExperiment(ExperimentCondition):
    """One ``[[experiment]]``: datasets to be made under one condition."""

    delays: Delays = Field(description='Delays with their units, e.g. ["10 ns", "1 us"].')
    references: Count = Field(default=1, description='Datasets without the trigger; may be 0 if every delay is "inf".')
    missing: Share | list[Share] = Field(default=0.05, description="As in the section [simulation].")
    states: list[State] = Field(
        default=[], description="True structures that this experiment has for itself; the others are the common ones."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _check_datasets(self.delays, self.references, self.missing)
        if twice := repeated([state.name for state in self.states]):
            raise InputError(f"the structure {', '.join(twice)} is there twice; each has one file in an experiment")
        return self

    @property
    def times(self) -> tuple[float, ...]:
        """Delays in seconds."""
        return tuple(map(parse_time, self.delays))

    @property
    def time_unit(self) -> str:
        """The unit in which the user counts."""
        return first_time_unit(self.delays)

    @property
    def conditions(self) -> dict[str, float | str]:
        """Its condition by key, as it stands in the file; what is not given is left out."""
        return self.model_dump(include=set(ExperimentCondition.model_fields) - {"name"}, exclude_none=True)


@final
class SimulationSection(Section):
    """Section ``[simulation]``."""

    occupancy: str = Field(default=DEFAULT_PROVIDER, description="The provider that gives the true occupancies.")
    d_min: Positive = Field(description="High-resolution limit, A.")
    d_max: Positive | None = Field(default=None, description="Low-resolution limit, A.")
    delays: Delays | None = Field(default=None, description='Delays with their units, e.g. ["10 ns", "1 us"].')
    references: Count = Field(default=1, description='Datasets without the trigger; may be 0 if every delay is "inf".')
    temperature: Positive | None = Field(default=None, description="K, for providers that need it.")
    seed: Annotated[Whole, Field(ge=0)] = Field(default=1, description="Of everything that is drawn.")
    noise_seed: Annotated[Whole, Field(ge=0)] | None = Field(
        default=None, description="Of the noise alone, to draw it anew with everything else unchanged."
    )
    free_fraction: Annotated[float, Strict(), Field(gt=0.0, lt=0.5)] = Field(
        default=0.05, description="Fraction of the free set."
    )
    missing: Share | list[Share] = Field(
        default=0.05, description="Fraction of reflections not measured: of all datasets, or of each."
    )
    model_error: Share = Field(default=0.16, description="R factor that the error common to all datasets makes.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.delays is not None:
            _check_datasets(self.delays, self.references, self.missing)
        return self


@final
class NoiseSection(Section):
    """Section ``[noise]``: standard deviations of intensities, by a model or as a real dataset has them."""

    proportional: NotNegative = Field(default=0.04, description="Part of sigma in proportion to the intensity.")
    counting: NotNegative = Field(default=0.001, description="Part that counting makes.")
    background: NotNegative = Field(default=0.02, description="Part that the background makes.")
    sigmas_from: ExistingFile | None = Field(default=None, description="MTZ file whose sigmas are taken instead.")
    columns: tuple[str, str] | None = Field(default=None, description="Its columns of values and sigmas.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = self.model_fields_set & {"proportional", "counting", "background"}
        if self.sigmas_from is not None and given:
            raise InputError(f"give either sigmas_from or {', '.join(sorted(given))}, not both")
        return self


@final
class SolventSection(Section):
    """Section ``[solvent]``."""

    k_sol: NotNegative = Field(default=0.35, description="Density of bulk solvent, e/A^3.")
    b_sol: NotNegative = Field(default=46.0, description="B of its edge, A^2.")


@final
class ScalingSection(Section):
    """Section ``[scaling]``: how unequal the datasets are."""

    scale: Positive = Field(default=1.0, description="Scale of the first dataset.")
    ln_scale: NotNegative = Field(default=0.25, description="Standard deviation of ln of the others' scales.")
    b: NotNegative = Field(default=2.0, description="Standard deviation of their B, A^2.")
    anisotropy: NotNegative = Field(default=1.5, description="Standard deviation of its anisotropy, A^2.")


@final
class SimulationFile(Section):
    """A whole simulation file."""

    title: Title = Field(default="", description="For the truth.")
    simulation: SimulationSection = Field(description="What is made.")
    structures: StructuresSection = Field(description="The true structures.")
    experiments: tuple[SimulatedExperiment, ...] = Field(
        default=(), alias="experiment", description="The experiments of a campaign; without any, one series is made."
    )
    noise: NoiseSection = Field(default=NoiseSection(), description="Errors of the intensities.")
    solvent: SolventSection = Field(default=SolventSection(), description="Bulk solvent.")
    scaling: ScalingSection = Field(default=ScalingSection(), description="Between the datasets.")
    provider_section: dict[str, Any] = Field(default={}, description="Set by the program.")

    @field_validator("experiments")
    @classmethod
    def _named(cls, value: tuple[SimulatedExperiment, ...]) -> tuple[SimulatedExperiment, ...]:
        return distinctly_named(value)

    @model_validator(mode="after")
    def _one_or_many(self) -> Self:
        given = [key for key in _OF_A_BLOCK if key in self.simulation.model_fields_set]
        if self.experiments and given:
            raise InputError(f"simulation.{given[0]}: where there are [[experiment]] blocks, each has its own")
        if not self.experiments and self.simulation.delays is None:
            raise InputError("simulation.delays is missing; give it, or [[experiment]] blocks that have theirs")
        return self

    @model_validator(mode="after")
    def _known_states(self) -> Self:
        names = self.structures.names
        for number, experiment in enumerate(self.experiments, start=1):
            where = f"experiment[{number}].states"
            for place, state in enumerate(experiment.states, start=1):
                if state.name not in names:
                    raise InputError(f"{where}[{place}].name: {UnknownNameError('structure', state.name, names)}")
            if 0 < len(experiment.states) < len(names) and self.structures.states is None:
                raise InputError(
                    f"{where} leaves structures to [structures], which has them in one file; name all: "
                    f"{', '.join(names)}"
                )
        return self

    @property
    def schedules(self) -> tuple[SimulatedExperiment, ...]:
        """The blocks; or ``[simulation]`` as the only one."""
        if self.experiments:
            return self.experiments
        own = {key: getattr(self.simulation, key) for key in _OF_A_BLOCK}
        return (SimulatedExperiment(name=ONLY_EXPERIMENT, **own),)

    def structures_of(self, experiment: SimulatedExperiment) -> StructuresSection:
        """The true structures of an experiment, in the order of ``[structures]``."""
        if not experiment.states:
            return self.structures
        files = {state.name: state for state in (*(self.structures.states or ()), *experiment.states)}
        changed = {"states": [files[name] for name in self.structures.names], "file": None}
        return self.structures.model_copy(update={**changed, "models": None, "altlocs": None})
