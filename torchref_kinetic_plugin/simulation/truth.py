"""What a simulated series was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torchref_kinetic_plugin.simulation.dataset import SimulatedDataset
from torchref_kinetic_plugin.simulation.series import SimulatedSeries


@dataclass(frozen=True)
class DatasetTruth:
    """Truth and figures of one dataset.

    Attributes
    ----------
    name : str
        Its name.
    file : str
        Its MTZ, relative to the directory of the series or campaign.
    time_s : float or None
        Delay in seconds; None for a reference.
    occupancies : dict
        True occupancy of each structure.
    scale : float
        Measured units per electron.
    b_cart : tuple of float
        (B11, B22, B33, B12, B13, B23) in Cartesian axes, in square angstrom.
    n_reflections : int
        Measured ones.
    completeness : float
        Their share of the unique reflections.
    negative_intensities : int
        How many intensities were below zero before the amplitudes were estimated.
    r_truth : float
        R factor against the true mixture at the true scale: noise and model error.
    r_noise : float
        R factor against the amplitudes without noise.
    difference_over_sigma : float or None
        Root mean square of the true difference to the reference over its sigma; None for the reference.
    """

    name: str
    file: str
    time_s: float | None
    occupancies: dict[str, float]
    scale: float
    b_cart: tuple[float, ...]
    n_reflections: int
    completeness: float
    negative_intensities: int
    r_truth: float
    r_noise: float
    difference_over_sigma: float | None


@dataclass(frozen=True)
class Truth:
    """Truth of a series.

    Attributes
    ----------
    seed, noise_seed : int
        What the random numbers follow from.
    d_min : float
        Resolution limit, in angstrom.
    cell : tuple of float
        In angstrom and degrees.
    space_group : str
        Hermann-Mauguin symbol.
    n_unique, n_free : int
        Unique reflections, and those of the free set.
    structures : dict
        File of each structure, relative to ``truth.json``; empty where not known.
    solvent, noise, model_error : dict
        The settings.
    kinetics : dict
        Scheme, rate constants and what else the occupancies came from, as the caller gave it.
    datasets : tuple of DatasetTruth
        References and timepoints.
    experiment : str
        Name of the experiment; empty where the series is the only one.
    conditions : dict
        Temperature and what else the experiment was made under.
    """

    seed: int
    noise_seed: int
    d_min: float
    cell: tuple[float, ...]
    space_group: str
    n_unique: int
    n_free: int
    structures: dict[str, str]
    solvent: dict[str, Any]
    noise: dict[str, Any]
    model_error: dict[str, Any]
    kinetics: dict[str, Any]
    datasets: tuple[DatasetTruth, ...]
    experiment: str = ""
    conditions: dict[str, Any] = field(default_factory=dict)

    @property
    def experiments(self) -> tuple[Truth, ...]:
        """Itself, as a campaign of one."""
        return (self,)


def truth_of(
    series: SimulatedSeries,
    *,
    kinetics: Mapping[str, Any] | None = None,
    structure_files: Mapping[str, str] | None = None,
    conditions: Mapping[str, Any] | None = None,
) -> Truth:
    """Collect the truth of a series.

    Parameters
    ----------
    series : SimulatedSeries
        The series.
    kinetics : mapping, optional
        Where the occupancies came from; anything that JSON can hold.
    structure_files : mapping, optional
        File of each true structure.
    conditions : mapping, optional
        What the experiment was made under.
    """
    files = dict(structure_files or {})
    reflections = series.reflections
    return Truth(
        seed=series.seed,
        noise_seed=series.noise_seed,
        d_min=series.d_min,
        cell=tuple(reflections.cell.parameters),
        space_group=reflections.space_group.xhm(),
        n_unique=len(reflections),
        n_free=int(series.free.sum()),
        structures={name: files.get(name, "") for name in series.structure_names},
        solvent=asdict(series.solvent),
        noise=series.noise.description(),
        model_error=asdict(series.error),
        kinetics=dict(kinetics or {}),
        datasets=tuple(_dataset_truth(series, dataset) for dataset in series.datasets),
        experiment=series.experiment,
        conditions=dict(conditions or {}),
    )


def _dataset_truth(series: SimulatedSeries, dataset: SimulatedDataset) -> DatasetTruth:
    return DatasetTruth(
        name=dataset.name,
        file=f"{series.experiment}/{dataset.name}.mtz" if series.experiment else f"{dataset.name}.mtz",
        time_s=dataset.time,
        occupancies=dict(zip(series.structure_names, dataset.occupancies.tolist(), strict=True)),
        scale=dataset.scaling.scale,
        b_cart=dataset.scaling.b_cart,
        n_reflections=int(dataset.measured.sum()),
        completeness=dataset.completeness,
        negative_intensities=dataset.negative_intensities,
        r_truth=dataset.r_truth,
        r_noise=dataset.r_noise,
        difference_over_sigma=series.difference_over_sigma(dataset),
    )
