"""``simulate``: a series or a campaign with known truth, from models, occupancies, and errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from torchref_kinetic_plugin.config import SimulatedExperiment, SimulationFile, read_simulation_file
from torchref_kinetic_plugin.errors import FileError, InputError
from torchref_kinetic_plugin.files import output_directory
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.simulation import (
    BulkSolvent,
    CampaignTruth,
    IntensityNoise,
    MeasuredNoise,
    ModelError,
    ScalingSpread,
    SimulatedSeries,
    Truth,
    simulate_series,
    write_campaign,
    write_series,
)
from torchref_kinetic_plugin.structures import StructureSet
from torchref_kinetic_plugin.workflow.loaded import reference_occupancies, schedule_of
from torchref_kinetic_plugin.workflow.loading import Announce, load_structures_of, section_problems


def simulate(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    plugins: PluginManager | None = None,
    announce: Announce = lambda _: None,
) -> Truth | CampaignTruth:
    """Simulate the series or the campaign of a simulation file.

    Occupancies come from a provider, as in a refinement; structure factors from gemmi, independent of those that
    refine. Written are an MTZ file for each dataset, in a directory for each ``[[experiment]]``, and ``truth.json``.

    Parameters
    ----------
    path : path
        The simulation file.
    output : path
        Directory; made when absent.
    plugins : PluginManager, optional
        By default the built-in plugins and those installed.
    announce : callable
        Told what is being done.

    Raises
    ------
    InputError
        For whatever is wrong with the file or what it names.
    FileError
        When the directory cannot be written, or holds a series already.
    """
    manager = PluginManager() if plugins is None else plugins
    file = read_simulation_file(
        path,
        providers=manager.provider_names(),
        check_section=lambda name, section: section_problems(manager, name, section),
    )
    directory = Path(output)
    if (directory / "truth.json").exists():
        raise FileError(f"{str(directory)!r} holds a simulated series already; remove it or choose another directory")
    announce("reading structures")
    structures = []
    for each in file.schedules:
        with _naming(file, each):
            structures.append(load_structures_of(file.structures_of(each), needed=False))
    campaign = []
    for each, own, occupancies in zip(file.schedules, structures, _occupancies(file, manager), strict=True):
        of = f" of {each.name}" if file.experiments else ""
        announce(f"simulating {occupancies.shape[1]} datasets{of}")
        with _naming(file, each):
            campaign.append(_series(file, each, own, occupancies))
    announce("writing")
    conditions = {each.name: each.conditions for each in file.experiments}
    with output_directory(directory, *conditions):
        if not conditions:
            return write_series(campaign[0], directory, kinetics=file.provider_section)
        return write_campaign(campaign, directory, kinetics=file.provider_section, conditions=conditions)


@contextmanager
def _naming(file: SimulationFile, experiment: SimulatedExperiment) -> Iterator[None]:
    """Errors name the experiment, where there are several that they could be of."""
    try:
        yield
    except InputError as error:
        if not file.experiments:
            raise
        raise InputError(f"{experiment.name}: {error}") from error


def _series(
    file: SimulationFile, experiment: SimulatedExperiment, structures: StructureSet, occupancies: np.ndarray
) -> SimulatedSeries:
    settings, noise = file.simulation, file.noise
    return simulate_series(
        [structure.to_gemmi() for structure in structures],
        occupancies,
        names=_names(experiment.references, len(experiment.delays)),
        times=[None] * experiment.references + list(experiment.times),
        d_min=settings.d_min,
        d_max=settings.d_max,
        seed=settings.seed,
        noise_seed=settings.noise_seed,
        structure_names=structures.names,
        noise=IntensityNoise(noise.proportional, noise.counting, noise.background)
        if noise.sigmas_from is None
        else MeasuredNoise(noise.sigmas_from, noise.columns),
        solvent=BulkSolvent(file.solvent.k_sol, file.solvent.b_sol),
        scaling=ScalingSpread(file.scaling.scale, file.scaling.ln_scale, file.scaling.b, file.scaling.anisotropy),
        missing=experiment.missing,
        free_fraction=settings.free_fraction,
        error=ModelError(r_factor=settings.model_error) if settings.model_error > 0.0 else None,
        experiment=experiment.name if file.experiments else "",
    )


def _occupancies(file: SimulationFile, manager: PluginManager) -> list[np.ndarray]:
    """(K, n_datasets) of each experiment, references first; one call of the provider for all of them."""
    settings, names = file.simulation, file.structures.names
    provider = manager.provider(settings.occupancy)
    series = manager.build(
        settings.occupancy,
        provider.read_settings(file.provider_section),
        [schedule_of(each, each.times, each.time_unit) for each in file.schedules],
        names,
        settings.seed,
    )
    found = []
    for each, module, values in zip(file.schedules, series.modules_by_experiment, series(), strict=True):
        before = reference_occupancies(module, len(names))
        found.append(np.column_stack([*[before] * each.references, values.detach().cpu().numpy()]))
    return found


def _names(references: int, timepoints: int) -> list[str]:
    dark = ["dark"] if references == 1 else [f"dark{number}" for number in range(1, references + 1)]
    return [*dark, *(f"t{number:02d}" for number in range(1, timepoints + 1))]
