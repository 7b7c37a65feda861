"""The simulation file: a series to be made, with everything that is wrong with real ones."""

from __future__ import annotations

from typing import Annotated, Any, Self, final

from pydantic import Field, Strict, model_validator

from torchref_kinetic_plugin.config.schema import DEFAULT_PROVIDER, Section, StructuresSection
from torchref_kinetic_plugin.config.values import Delay, ExistingFile, Positive, Whole
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.scheme import time_unit

NotNegative = Annotated[float, Strict(), Field(ge=0.0, allow_inf_nan=False)]
Share = Annotated[float, Strict(), Field(ge=0.0, lt=1.0)]


@final
class SimulationSection(Section):
    """Section ``[simulation]``."""

    occupancy: str = Field(default=DEFAULT_PROVIDER, description="The provider that gives the true occupancies.")
    d_min: Positive = Field(description="High-resolution limit, A.")
    d_max: Positive | None = Field(default=None, description="Low-resolution limit, A.")
    delays: list[Delay] = Field(min_length=1, description='Delays with their units, e.g. ["10 ns", "1 us"].')
    references: Annotated[Whole, Field(ge=1)] = Field(default=1, description="How many datasets without the trigger.")
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
        count = self.references + len(self.delays)
        if isinstance(self.missing, list) and len(self.missing) != count:
            raise InputError(f"missing has {len(self.missing)} entries for {count} datasets, references first")
        return self

    @property
    def time_unit(self) -> str:
        """The unit in which the user counts."""
        return next((unit for unit in map(time_unit, self.delays) if unit), "s")


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

    title: str = Field(default="", description="For the truth.")
    simulation: SimulationSection = Field(description="What is made.")
    structures: StructuresSection = Field(description="The true structures.")
    noise: NoiseSection = Field(default=NoiseSection(), description="Errors of the intensities.")
    solvent: SolventSection = Field(default=SolventSection(), description="Bulk solvent.")
    scaling: ScalingSection = Field(default=ScalingSection(), description="Between the datasets.")
    provider_section: dict[str, Any] = Field(default={}, description="Set by the program.")
