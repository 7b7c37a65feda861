"""From a refinement file to everything it names: structures, datasets, provider."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from torchref_kinetic_plugin.config import (
    Experiment,
    ExperimentCondition,
    Problem,
    RefinementFile,
    StructuresSection,
    read_refinement_file,
    validation_problems,
)
from torchref_kinetic_plugin.errors import InputError, KineticsError
from torchref_kinetic_plugin.plugins import ExperimentSchedule, KnowsReference, PluginManager
from torchref_kinetic_plugin.reflections import (
    FreeSet,
    Grid,
    IndexingReport,
    Observations,
    best_indexing,
    merge_grid,
    one_free_set,
    read_observations,
)
from torchref_kinetic_plugin.structures import LoadingOptions, StructureSet, load_altlocs, load_files, load_models
from torchref_kinetic_plugin.workflow.experiment_structures import structures_in_cell
from torchref_kinetic_plugin.workflow.ligand import ligand_remark

if TYPE_CHECKING:
    from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
    from torchref_kinetic_plugin.refinement.experiment import ExperimentData

#: Called with what is being done, in words.
Announce = Callable[[str], None]


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
    """

    file: RefinementFile
    structures: StructureSet
    experiments: tuple[LoadedExperiment, ...]
    plugins: PluginManager = field(repr=False)
    settings: BaseModel | None

    def build_provider(self) -> SeriesOccupancies:
        """Build the occupancies that the file asks for; errors as of `PluginManager.build`."""
        provider = self.plugins.build(
            self.file.refinement.occupancy,
            self.settings,
            [experiment.schedule for experiment in self.experiments],
            self.structures.names,
            self.file.refinement.seed,
        )
        provider.regularization_weight = self.file.weights.occupancy
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
            if (remark := ligand_remark(experiment)) is not None:
                found.append(remark)
        return found


def load_refinement(
    path: str | os.PathLike[str],
    *,
    plugins: PluginManager | None = None,
    overrides: Mapping[str, Any] | None = None,
    announce: Announce = lambda _: None,
) -> LoadedRefinement:
    """Read a refinement file and everything it names.

    Parameters
    ----------
    path : path
        The refinement file.
    plugins : PluginManager, optional
        By default the built-in plugins and those installed.
    overrides : mapping
        Keys, as ``"output.directory"``, to values that stand in for those of the file.
    announce : callable
        Told what is being read.

    Raises
    ------
    InputError
        With everything that is wrong with the file; or with the models, or with the data.
    """
    manager = PluginManager() if plugins is None else plugins
    file = read_refinement_file(
        path,
        providers=manager.provider_names(),
        check_section=lambda name, section: section_problems(manager, name, section),
        overrides=overrides,
    )
    settings = manager.provider(file.refinement.occupancy).read_settings(file.provider_section)
    announce("reading structures")
    structures = load_structures_of(file.structures, needed="structures" in file.refinement.refine)
    experiments = []
    for experiment in file.experiments:
        announce(f"reading {len(experiment.references) + len(experiment.timepoints)} datasets of {experiment.name}")
        experiments.append(load_experiment(file, experiment, structures))
    return LoadedRefinement(file, structures, tuple(experiments), manager, settings)


def section_problems(manager: PluginManager, name: str, section: Mapping[str, Any]) -> Sequence[Problem]:
    """What is wrong with a provider's section."""
    try:
        manager.provider(name).read_settings(section)
    except ValidationError as error:
        return validation_problems(error, (name,), manager.provider(name).settings)
    except KineticsError as error:
        return [Problem(name, str(error))]
    return []


def loading_options(section: StructuresSection, *, needed: bool) -> LoadingOptions:
    """What structures are checked against, as a section says."""
    return LoadingOptions(
        restraints=section.restraints, known_residues=section.known_residues, restraints_needed=needed
    )


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


def load_structures_of(section: StructuresSection, *, needed: bool) -> StructureSet:
    """Load structures in the layout that a section chooses.

    Parameters
    ----------
    section : StructuresSection
        Of a refinement or simulation file.
    needed : bool
        Whether residues without restraints are an error.

    Raises
    ------
    InputError
        With everything that is wrong with them.
    """
    options = loading_options(section, needed=needed)
    if section.states is not None:
        found = load_files({state.name: state.file for state in section.states}, options)
    elif section.models is not None:
        assert section.file is not None
        found = load_models(section.file, section.models, options)
    else:
        assert section.file is not None
        assert section.altlocs is not None
        table: dict[str, list[str]] = {}
        for letter, name in section.altlocs.items():
            table.setdefault(name, []).append(letter)
        found = load_altlocs(section.file, table, options)
    return found.superposed() if section.superpose else found


def load_experiment(file: RefinementFile, experiment: Experiment, common: StructureSet) -> LoadedExperiment:
    """Read the datasets of an experiment, give them one free set and one list of reflections, and it its structures.

    Raises
    ------
    InputError
        For a file that cannot be read, another crystal, too few reflections, or structures that do not fit the data.
    """
    limits = file.refinement.d_min, file.refinement.d_max
    observations = []
    for dataset in (*experiment.references, *experiment.timepoints):
        columns = {**experiment.columns, **dataset.columns}
        value = experiment.free_value if dataset.free_value is None else dataset.free_value
        read = read_observations(dataset.file, columns, free_value=value, free_may_be_absent="free" in columns)
        observations.append(read.within(*limits))
    first, *others = observations
    flagged = any(each.flags is not None for each in observations)
    free_set = one_free_set(
        first,
        others,
        seed=file.refinement.seed,
        fraction=None if flagged else file.refinement.free_fraction,
    )
    grid = merge_grid(observations, free_set, tolerance=file.structures.cell_tolerance)
    indexing = tuple(best_indexing(first, each) for each in others)
    return LoadedExperiment(
        experiment,
        tuple(observations),
        _dataset_names(experiment, observations),
        free_set,
        grid,
        indexing,
        structures_in_cell(
            experiment,
            common,
            grid.cell,
            grid.spacegroup,
            loading_options(file.structures, needed="structures" in file.refinement.refine),
            superpose=file.structures.superpose,
        ),
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


def input_files(loaded: LoadedRefinement) -> list[Path]:
    """Every file that a refinement reads, each once, in the order of the refinement file."""
    section = loaded.file.structures
    files = [state.file for state in section.states or ()]
    files += [section.file] if section.file is not None else []
    files += list(section.restraints)
    for experiment in loaded.file.experiments:
        files += [state.file for state in experiment.states]
        files += [dataset.file for dataset in (*experiment.references, *experiment.timepoints)]
    return list(dict.fromkeys(files))


def _dataset_names(experiment: Experiment, observations: Sequence[Observations]) -> tuple[str, ...]:
    """Name of each dataset: a reference's file, a timepoint's own."""
    names: list[str] = []
    for dataset, read in zip(experiment.references, observations, strict=False):
        name, number = read.name, 2
        while name in names:
            name, number = f"{dataset.file.parent.name}_{read.name}_{number}", number + 1
        names.append(name)
    return (*names, *(point.name for point in experiment.timepoints))
