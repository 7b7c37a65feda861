"""From a refinement file to everything it names: structures, datasets, provider."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from torchref_kinetic_plugin.config import (
    Experiment,
    Problem,
    RefinementFile,
    StructuresSection,
    read_refinement_file,
    validation_problems,
)
from torchref_kinetic_plugin.errors import KineticsError
from torchref_kinetic_plugin.files import sha256
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.reflections import (
    Observations,
    best_indexing,
    merge_grid,
    one_free_set,
    read_observations,
)
from torchref_kinetic_plugin.structures import LoadingOptions, StructureSet, load_altlocs, load_files, load_models
from torchref_kinetic_plugin.structures.moving import selected_residues
from torchref_kinetic_plugin.workflow.experiment_structures import structures_in_cell
from torchref_kinetic_plugin.workflow.loaded import LoadedExperiment, LoadedRefinement, input_files

if TYPE_CHECKING:
    pass

#: Called with what is being done, in words.
Announce = Callable[[str], None]


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
    inputs = {str(name): sha256(name) for name in input_files(file)}
    structures = load_structures_of(file.structures, needed="structures" in file.refinement.refine)
    for name, selection in file.structures.moving.items():
        selected_residues(structures[name], selection)
    experiments = []
    for experiment in file.experiments:
        announce(f"reading {len(experiment.references) + len(experiment.timepoints)} datasets of {experiment.name}")
        experiments.append(load_experiment(file, experiment, structures))
    return LoadedRefinement(file, structures, tuple(experiments), manager, settings, inputs)


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


def _dataset_names(experiment: Experiment, observations: Sequence[Observations]) -> tuple[str, ...]:
    """Name of each dataset: a reference's file, a timepoint's own."""
    names: list[str] = []
    for dataset, read in zip(experiment.references, observations, strict=False):
        name, number = read.name, 2
        while name in names:
            name, number = f"{dataset.file.parent.name}_{read.name}_{number}", number + 1
        names.append(name)
    return (*names, *(point.name for point in experiment.timepoints))
