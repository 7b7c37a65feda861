"""What a refinement file names, loaded: structures, datasets, the provider's settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from torchref_kinetic_plugin.config import Experiment, ExperimentCondition, RefinementFile
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.plugins import ExperimentSchedule, KnowsReference, PluginManager
from torchref_kinetic_plugin.reflections import FreeSet, Grid, IndexingReport, Observations
from torchref_kinetic_plugin.structures import StructureSet
from torchref_kinetic_plugin.workflow.data_remarks import data_remarks
from torchref_kinetic_plugin.workflow.ligand import ligand_remark

if TYPE_CHECKING:
    from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
    from torchref_kinetic_plugin.refinement.experiment import ExperimentData


@final
@dataclass(frozen=True, eq=False)
class LoadedExperiment:
    """Datasets of one experiment.

    Attributes
    ----------
    settings : Experiment
        What the refinement file says of it.
    observations : tuple of Observations
        Within the resolution limits; references first.
    names : tuple of str
        Of the datasets, in the same order.
    free_set : FreeSet
        Of all of them.
    grid : Grid
        All of them on one list of reflections.
    indexing : tuple of IndexingReport
        Each but the first against the first.
    structures : StructureSet
        In the cell of the data; names and order are the common ones.
    """

    settings: Experiment
    observations: tuple[Observations, ...]
    names: tuple[str, ...]
    free_set: FreeSet
    grid: Grid
    indexing: tuple[IndexingReport, ...]
    structures: StructureSet

    @property
    def n_references(self) -> int:
        """Number of datasets without a delay."""
        return len(self.settings.references)

    @property
    def schedule(self) -> ExperimentSchedule:
        """What a provider learns of it."""
        times = (*([-math.inf] * self.n_references if self.references_move else []), *self.times)
        return schedule_of(self.settings, times, self.settings.time_unit)

    @property
    def times(self) -> tuple[float, ...]:
        """(N,) delays of the timepoints, s."""
        return tuple(point.time_s for point in self.settings.timepoints)

    @property
    def references_move(self) -> bool:
        """Whether references are a mixture that depends on what is refined: the state before a temperature jump."""
        return self.settings.temperature_before is not None

    @property
    def data(self) -> ExperimentData:
        """What was measured, as a refinement takes it."""
        from torchref_kinetic_plugin.refinement.experiment import ExperimentData

        return ExperimentData(self.settings.name, self.names, self.times, self.grid, self.references_move)


@final
@dataclass(frozen=True, eq=False)
class LoadedRefinement:
    """All that a refinement file names.

    Attributes
    ----------
    file : RefinementFile
        The file itself.
    structures : StructureSet
        The common ones, in their own cell, checked against each other.
    experiments : tuple of LoadedExperiment
        In the order of the file.
    plugins : PluginManager
        Has the provider.
    settings : BaseModel or None
        The provider's section.
    inputs : mapping
        File to the SHA-256 of its content when it was read.
    """

    file: RefinementFile
    structures: StructureSet
    experiments: tuple[LoadedExperiment, ...]
    plugins: PluginManager = field(repr=False)
    settings: BaseModel | None
    inputs: Mapping[str, str]

    def build_provider(self) -> SeriesOccupancies:
        """Build the occupancies that the file asks for.

        Raises
        ------
        TimeError
            When they are refined and every delay is before the trigger.
        InputError
            As `PluginManager.build`.
        """
        from torchref_kinetic_plugin.occupancies.identifiability import require_delay_after_trigger
        from torchref_kinetic_plugin.occupancies.kinetic import occupancies_kinetics

        provider = self.plugins.build(
            self.file.refinement.occupancy,
            self.settings,
            [experiment.schedule for experiment in self.experiments],
            self.structures.names,
            self.file.refinement.seed,
        )
        provider.regularization_weight = self.file.weights.occupancy
        if "kinetics" in self.file.refinement.refine:
            kinetic = [each for each in provider.modules_by_experiment if isinstance(each, occupancies_kinetics)]
            require_delay_after_trigger([(each.kinetics, each.time) for each in kinetic])
        return provider

    @property
    def remarks(self) -> list[str]:
        """What was found on loading and a user should know, one sentence each."""
        found = [str(finding) for finding in self.structures.report.warnings]
        for experiment in self.experiments:
            if experiment.settings.states:
                own = experiment.structures.report.warnings
                found += [f"{experiment.settings.name}: {finding}" for finding in own]
            found += [change.text for change in experiment.grid.cell_changes if change.text]
            cell = None if experiment.settings.states else self.structures.cell.parameters
            found += data_remarks(experiment, self.file.refinement.d_min, cell)
            if (remark := ligand_remark(experiment)) is not None:
                found.append(remark)
        return found


def schedule_of(condition: ExperimentCondition, times: Sequence[float], time_unit: str) -> ExperimentSchedule:
    """What a provider learns of an experiment, measured or to be simulated; delays in seconds."""
    return ExperimentSchedule(
        name=condition.name,
        times=tuple(times),
        time_unit=time_unit,
        temperature=condition.temperature,
        temperature_before=condition.temperature_before,
        concentration=condition.concentration_molar,
        pump_energy=condition.pump_energy_joule,
    )


def reference_occupancies(module: Any, n_structures: int) -> NDArray[np.float64]:
    """Occupancies (K,) of the references: what the provider says, else all the first structure."""
    if isinstance(module, KnowsReference):
        return np.asarray(module.reference_occupancies().detach().cpu().numpy(), dtype=np.float64)
    return np.asarray(np.eye(n_structures)[0])


def first_occupancies(module: Any, n_structures: int, n_references: int) -> NDArray[np.float64]:
    """Occupancies (K,) of an experiment's first dataset at the provider's present parameters; that sets the scale."""
    if n_references:
        return reference_occupancies(module, n_structures)
    return np.asarray(module()[:, 0].detach().cpu().numpy(), dtype=np.float64)


def refuse_other_indexing(experiment: LoadedExperiment) -> None:
    """Refuse datasets that are indexed otherwise than the reference.

    Raises
    ------
    InputError
        Naming each of them and the operator that mends it.
    """
    wrong = [report.text for report in experiment.indexing if report.best != "h,k,l"]
    if wrong:
        raise InputError("\n".join(wrong))


def input_files(file: RefinementFile) -> list[Path]:
    """Every file that a refinement reads, each once, in the order of the refinement file."""
    section = file.structures
    files = [state.file for state in section.states or ()]
    files += [section.file] if section.file is not None else []
    files += list(section.restraints)
    for experiment in file.experiments:
        files += [state.file for state in experiment.states]
        files += [dataset.file for dataset in (*experiment.references, *experiment.timepoints)]
    return list(dict.fromkeys(files))
