"""The series that the slower rows are measured on: the shipped example, and real lysozyme data where they lie."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.plugins import ExperimentSchedule, PluginManager, SeriesOccupancies
from torchref_kinetic_plugin.refinement.experiment import ExperimentData
from torchref_kinetic_plugin.reflections import FreeSet, Observations, merge_grid, one_free_set, read_observations
from torchref_kinetic_plugin.scheme import parse_time

_ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = _ROOT / "example_data" / "photocycle"
LYSOZYME = _ROOT.parent / "shared" / "data" / "hewl_tjump"


@dataclass(frozen=True)
class Series:
    """One experiment and its structures.

    Attributes
    ----------
    name : str
        What the rows call it.
    observations : tuple of Observations
        Datasets as read, references first.
    data : ExperimentData
        The same on one grid.
    free_set : FreeSet
        Of all datasets.
    structures : tuple of gemmi.Structure
        The first is that of the references.
    settings : dict
        The refinement file of the example; empty for lysozyme.
    """

    name: str
    observations: tuple[Observations, ...]
    data: ExperimentData
    free_set: FreeSet
    structures: tuple[gemmi.Structure, ...]
    settings: Mapping[str, Any]

    @property
    def reference_occupancies(self) -> NDArray[np.float64]:
        """(K,), the first structure alone."""
        return np.asarray(np.eye(len(self.structures))[0])


def example() -> Series:
    """Simulated photocycle of ubiquitin with its true structures: 9 datasets, 7,340 reflections."""
    settings = tomllib.loads((EXAMPLE / "refinement.toml").read_text())
    experiment, d_min = settings["experiment"][0], settings["refinement"]["d_min"]
    points = experiment["timepoints"]
    paths = [EXAMPLE / name for name in (*experiment["references"], *(point["file"] for point in points))]
    observations = [read_observations(path, experiment["columns"]).within(d_min, None) for path in paths]
    structures = [EXAMPLE / "truth" / state["file"] for state in settings["structures"]["states"]]
    times = [parse_time(point["time"]) for point in points]
    return _series("photocycle", observations, times, structures, settings)


def lysozyme() -> Series | None:
    """Laser-off, 20 ns and 200 us structures of lysozyme with three delays, or None without the data."""
    if not LYSOZYME.is_dir():
        return None
    names = ("apo_20ns_dark1", "apo_20ns_light", "apo_20us_light", "apo_200us_light")
    observations = [read_observations(LYSOZYME / f"{name}.mtz") for name in names]
    structures = [LYSOZYME / f"{name}.pdb" for name in ("laser_off", "light_20ns", "light_200us")]
    return _series("lysozyme", observations, [20e-9, 20e-6, 200e-6], structures, {})


def with_timepoints(data: ExperimentData, n_timepoints: int) -> tuple[ExperimentData, NDArray[np.intp]]:
    """The same experiment with its timepoints repeated or left out; also the rows that its datasets come from."""
    first = data.n_references
    rows = np.r_[np.arange(first), first + np.arange(n_timepoints) % len(data.times)]
    grid = data.grid
    names = tuple(f"{number}" for number in range(len(rows)))
    times = tuple(data.times[row - first] for row in rows[first:])
    chosen = replace(
        grid,
        paths=names,
        amplitude=grid.amplitude[rows],
        sigma=grid.sigma[rows],
        intensity=grid.intensity[rows],
        intensity_sigma=grid.intensity_sigma[rows],
        cell_changes=tuple(grid.cell_changes[row] for row in rows),
    )
    return ExperimentData(data.name, names, times, chosen), rows


def provider(series: Series, name: str = "kinetics", section: Mapping[str, Any] | None = None) -> SeriesOccupancies:
    """Occupancies of a series, with the starting values of its refinement file unless others are given."""
    plugins = PluginManager()
    settings = plugins.provider(name).read_settings(series.settings.get(name) if section is None else section)
    schedule = ExperimentSchedule(series.data.name, series.data.times, "ns", 298.0)
    structures = [state["name"] for state in series.settings["structures"]["states"]]
    return plugins.build(name, settings, [schedule], structures, 1)


def _series(
    name: str,
    observations: Sequence[Observations],
    times: Sequence[float],
    structures: Sequence[Path],
    settings: Mapping[str, Any],
) -> Series:
    free = one_free_set(observations[0], observations[1:], seed=1)
    grid = merge_grid(observations, free)
    data = ExperimentData("298K", tuple(each.name for each in observations), tuple(times), grid)
    models = tuple(gemmi.read_structure(str(path)) for path in structures)
    return Series(name, tuple(observations), data, free, models, settings)
