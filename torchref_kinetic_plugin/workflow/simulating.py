"""``simulate``: a series with known truth, from models, occupancies, and errors."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from torchref_kinetic_plugin.config import SimulationFile, read_simulation_file
from torchref_kinetic_plugin.errors import FileError
from torchref_kinetic_plugin.plugins import ExperimentSchedule, PluginManager
from torchref_kinetic_plugin.scheme import parse_time
from torchref_kinetic_plugin.simulation import (
    BulkSolvent,
    IntensityNoise,
    MeasuredNoise,
    ModelError,
    ScalingSpread,
    Truth,
    simulate_series,
    write_series,
)
from torchref_kinetic_plugin.structures import StructureSet
from torchref_kinetic_plugin.workflow.loading import (
    Announce,
    load_structures_of,
    reference_occupancies,
    section_problems,
)


def simulate(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    plugins: PluginManager | None = None,
    announce: Announce = lambda _: None,
) -> Truth:
    """Simulate the series of a simulation file.

    Occupancies come from a provider, as in a refinement; structure factors from gemmi, independent of those that
    refine. Written are an MTZ file for each dataset and ``truth.json``.

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
    structures = load_structures_of(file.structures, needed=False)
    occupancies = _occupancies(file, structures, manager)
    announce(f"simulating {occupancies.shape[1]} datasets")
    settings = file.simulation
    times = [None] * settings.references + [parse_time(delay) for delay in settings.delays]
    noise = file.noise
    series = simulate_series(
        [structure.to_gemmi() for structure in structures],
        occupancies,
        names=_names(settings.references, len(settings.delays)),
        times=times,
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
        missing=settings.missing,
        free_fraction=settings.free_fraction,
        error=ModelError(r_factor=settings.model_error) if settings.model_error > 0.0 else None,
    )
    announce("writing")
    return write_series(series, directory, kinetics=file.provider_section)


def _occupancies(file: SimulationFile, structures: StructureSet, manager: PluginManager) -> np.ndarray:
    """(K, n_datasets), references first."""
    settings = file.simulation
    provider = manager.provider(settings.occupancy)
    schedule = ExperimentSchedule(
        "simulation", tuple(map(parse_time, settings.delays)), settings.time_unit, settings.temperature
    )
    series = manager.build(
        settings.occupancy,
        provider.read_settings(file.provider_section),
        [schedule],
        structures.names,
        settings.seed,
    )
    module = series.modules_by_experiment[0]
    values = series()[0].detach().cpu().numpy()
    before = reference_occupancies(module, len(structures))
    return np.column_stack([*[before] * settings.references, values])


def _names(references: int, timepoints: int) -> list[str]:
    dark = ["dark"] if references == 1 else [f"dark{number}" for number in range(1, references + 1)]
    return [*dark, *(f"t{number:02d}" for number in range(1, timepoints + 1))]
