"""A whole series: references and timepoints of one crystal, measured with all their faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gemmi
import numpy as np

from torchref_kinetic_plugin.errors import ParameterError
from torchref_kinetic_plugin.simulation.checks import (
    check_datasets,
    checked_occupancies,
    distinct_names,
    missing_fractions,
)
from torchref_kinetic_plugin.simulation.dataset import SimulatedDataset, measured_dataset
from torchref_kinetic_plugin.simulation.model_error import ModelError
from torchref_kinetic_plugin.simulation.noise import NoiseModel
from torchref_kinetic_plugin.simulation.scaling import ScalingSpread
from torchref_kinetic_plugin.simulation.streams import Purpose, random_stream, uniform_of_indices
from torchref_kinetic_plugin.simulation.structure_factors import (
    BulkSolvent,
    Complexes,
    Flags,
    Reals,
    Reflections,
    atomic_structure_factors,
    common_crystal,
    solvent_structure_factors,
    unique_reflections,
)


@dataclass(frozen=True)
class SimulatedSeries:
    """A simulated series.

    Attributes
    ----------
    reflections : Reflections
        The unique reflections.
    free : ndarray
        (n,) the free set that all datasets share.
    structure_names : tuple of str
        Names of the structures, in the order of the occupancies.
    model_error : ndarray
        (n,) complex structure factors that every dataset holds beyond its mixture, in electrons.
    datasets : tuple of SimulatedDataset
        In the order given.
    d_min : float
        Resolution limit, in angstrom.
    seed, noise_seed : int
        What the random numbers follow from.
    noise, solvent, error : NoiseModel, BulkSolvent, ModelError
        The settings.
    experiment : str
        Name of the experiment; empty where the series is the only one.
    """

    reflections: Reflections
    free: Flags
    structure_names: tuple[str, ...]
    model_error: Complexes
    datasets: tuple[SimulatedDataset, ...]
    d_min: float
    seed: int
    noise_seed: int
    noise: NoiseModel
    solvent: BulkSolvent
    error: ModelError
    experiment: str = ""

    @property
    def reference(self) -> SimulatedDataset | None:
        """The first reference, if there is one."""
        return next((dataset for dataset in self.datasets if dataset.is_reference), None)

    def difference_over_sigma(self, dataset: SimulatedDataset) -> float | None:
        """Root mean square of the true difference to the reference over its sigma; None without one.

        Amplitudes without noise, both on the absolute scale, over reflections measured in both.
        """
        reference = self.reference
        if reference is None or dataset is reference:
            return None
        both = dataset.measured & reference.measured
        true = [np.sqrt(each.true_intensity) / each.factors for each in (dataset, reference)]
        sigmas = [each.sigma_amplitude / each.factors for each in (dataset, reference)]
        ratio = (true[0] - true[1])[both] / np.hypot(sigmas[0], sigmas[1])[both]
        return float(np.sqrt(np.mean(ratio**2)))


def simulate_series(
    structures: Sequence[gemmi.Structure],
    occupancies: Reals,
    *,
    names: Sequence[str],
    times: Sequence[float | None],
    d_min: float,
    seed: int,
    noise: NoiseModel,
    structure_names: Sequence[str] | None = None,
    d_max: float | None = None,
    solvent: BulkSolvent | None = None,
    scaling: ScalingSpread | None = None,
    missing: float | Sequence[float] = 0.05,
    free_fraction: float = 0.07,
    error: ModelError | None = None,
    noise_seed: int | None = None,
    experiment: str = "",
) -> SimulatedSeries:
    """Simulate a time-resolved series.

    ``F = scale(h) |sum_s W_s (F_s + F_solvent,s) + E|`` with one model error E for all datasets; its square plus
    Gaussian noise is the intensity measured, and amplitudes follow from that.

    Parameters
    ----------
    structures : sequence of gemmi.Structure
        True structures, one model each, of one crystal. Only the atoms they hold scatter.
    occupancies : ndarray
        (n_structures, n_datasets) true occupancies; each column sums to 1.
    names : sequence of str
        Name of each dataset, the stem of its file.
    times : sequence of float or None
        Delay of each dataset in seconds; None for a reference.
    d_min, d_max : float
        Resolution limits, in angstrom.
    seed : int
        Seed of everything random; each purpose and each dataset has a stream of its own.
    noise : NoiseModel
        Standard deviations of the intensities.
    structure_names : sequence of str, optional
        Names of the structures; by default those inside their files.
    solvent : BulkSolvent, optional
        Bulk solvent, with a mask for each structure.
    scaling : ScalingSpread, optional
        How unequal the datasets are.
    missing : float or sequence of float
        Fraction of reflections not measured, at random, in all datasets or each.
    free_fraction : float
        Fraction of the free set.
    error : ModelError, optional
        What all datasets hold beyond the structures.
    noise_seed : int, optional
        Seed of the noise alone, to draw it anew with everything else unchanged; by default ``seed``.
    experiment : str
        Name of the experiment, where the series is one of several: it then has random streams of its own, and a free
        set that follows from the Miller indices alone, so that all crystals of one form share it.

    Raises
    ------
    InputError
        One of its kinds, for structures of different crystals, arrays of the wrong shape, or impossible numbers.
    """
    solvent = BulkSolvent() if solvent is None else solvent
    scaling = ScalingSpread() if scaling is None else scaling
    error = ModelError() if error is None else error
    noise_seed = seed if noise_seed is None else noise_seed
    cell, group = common_crystal(structures)
    labels = distinct_names(structures, structure_names)
    weights = checked_occupancies(occupancies, len(structures), len(names))
    check_datasets(names, times)
    absent = missing_fractions(missing, len(names))
    if not 0.0 < free_fraction < 0.5:
        raise ParameterError(f"free_fraction = {free_fraction!r}: a fraction between 0 and 0.5 is wanted")

    reflections = unique_reflections(cell, group, d_min=d_min, d_max=d_max)
    components = np.stack(
        [
            atomic_structure_factors(structure[0], reflections)
            + solvent_structure_factors(structure[0], reflections, solvent)
            for structure in structures
        ]
    )
    mixtures = weights.T @ components
    # The reference sets the size; the main structure of the first dataset tells where solvent is.
    sizing = next((number for number, time in enumerate(times) if time is None), 0)
    model = structures[int(np.argmax(weights[:, sizing]))][0]
    model_error = error.structure_factors(
        model, reflections, mixtures[sizing], random_stream(seed, Purpose.MODEL_ERROR, 0, experiment)
    )
    drawn = (
        uniform_of_indices(seed, Purpose.FREE_FLAGS, reflections.hkl)
        if experiment
        else random_stream(seed, Purpose.FREE_FLAGS).random(len(reflections))
    )
    datasets = tuple(
        measured_dataset(
            name,
            time,
            weights[:, number],
            mixtures[number],
            model_error,
            reflections,
            scaling.draw(reflections, random_stream(seed, Purpose.SCALING, number, experiment)),
            random_stream(seed, Purpose.MISSING, number, experiment).random(len(reflections)) >= absent[number],
            noise,
            random_stream(noise_seed, Purpose.NOISE, number, experiment),
        )
        for number, (name, time) in enumerate(zip(names, times, strict=True))
    )
    return SimulatedSeries(
        reflections,
        drawn < free_fraction,
        labels,
        model_error,
        datasets,
        d_min,
        seed,
        noise_seed,
        noise,
        solvent,
        error,
        experiment,
    )
