"""A whole series: references and timepoints of one crystal, measured with all their faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gemmi
import numpy as np

from torchref_kinetic_plugin.errors import ParameterError
from torchref_kinetic_plugin.simulation.amplitudes import mean_intensity, posterior_amplitudes
from torchref_kinetic_plugin.simulation.checks import (
    check_datasets,
    checked_occupancies,
    distinct_names,
    missing_fractions,
)
from torchref_kinetic_plugin.simulation.model_error import ModelError, r_factor
from torchref_kinetic_plugin.simulation.noise import NoiseModel
from torchref_kinetic_plugin.simulation.scaling import DatasetScaling, ScalingSpread
from torchref_kinetic_plugin.simulation.streams import Purpose, random_stream
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
class SimulatedDataset:
    """One dataset with its truth; arrays run over all reflections of the series.

    Attributes
    ----------
    name : str
        Stem of its file.
    time : float or None
        Delay in seconds; None for a reference.
    occupancies : ndarray
        (n_structures,) true occupancies.
    mixture : ndarray
        (n,) complex structure factors of the structures and their solvent, in electrons, without model error.
    scaling : DatasetScaling
        Scale and displacement.
    factors : ndarray
        (n,) factor that the scaling makes of each amplitude.
    measured : ndarray
        (n,) whether the reflection was measured; the arrays below are meaningful only there.
    true_intensity : ndarray
        (n,) intensities without noise, with model error and scaling.
    intensity, sigma_intensity : ndarray
        (n,) measured intensities, negative ones included, and their standard deviations.
    amplitude, sigma_amplitude : ndarray
        (n,) what the MTZ holds, by the posterior of French and Wilson: positive by construction, without any
        reflection left out or cut off.
    """

    name: str
    time: float | None
    occupancies: Reals
    mixture: Complexes
    scaling: DatasetScaling
    factors: Reals
    measured: Flags
    true_intensity: Reals
    intensity: Reals
    sigma_intensity: Reals
    amplitude: Reals
    sigma_amplitude: Reals

    @property
    def is_reference(self) -> bool:
        """Whether it was measured without the trigger."""
        return self.time is None

    @property
    def completeness(self) -> float:
        """Measured share of the unique reflections."""
        return float(np.mean(self.measured))

    @property
    def r_truth(self) -> float:
        """R factor of the measured amplitudes against the true mixture at the true scale."""
        return r_factor(self.amplitude[self.measured], (np.abs(self.mixture) * self.factors)[self.measured])

    @property
    def r_noise(self) -> float:
        """R factor of the measured amplitudes against those without noise."""
        return r_factor(self.amplitude[self.measured], np.sqrt(self.true_intensity)[self.measured])

    @property
    def negative_intensities(self) -> int:
        """Number of measured intensities below zero."""
        return int(np.count_nonzero(self.intensity[self.measured] < 0.0))


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
        model, reflections, mixtures[sizing], random_stream(seed, Purpose.MODEL_ERROR)
    )
    free = random_stream(seed, Purpose.FREE_FLAGS).random(len(reflections)) < free_fraction
    datasets = tuple(
        _measure(
            name,
            time,
            weights[:, number],
            mixtures[number],
            model_error,
            reflections,
            scaling.draw(reflections, random_stream(seed, Purpose.SCALING, number)),
            random_stream(seed, Purpose.MISSING, number).random(len(reflections)) >= absent[number],
            noise,
            random_stream(noise_seed, Purpose.NOISE, number),
        )
        for number, (name, time) in enumerate(zip(names, times, strict=True))
    )
    return SimulatedSeries(
        reflections, free, labels, model_error, datasets, d_min, seed, noise_seed, noise, solvent, error
    )


def _measure(
    name: str,
    time: float | None,
    occupancies: Reals,
    mixture: Complexes,
    model_error: Complexes,
    reflections: Reflections,
    scaling: DatasetScaling,
    measured: Flags,
    noise: NoiseModel,
    rng: np.random.Generator,
) -> SimulatedDataset:
    factors = scaling.factors(reflections)
    true_intensity = (np.abs(mixture + model_error) * factors) ** 2
    sigma = noise.sigma(true_intensity, reflections, rng)
    intensity = true_intensity + sigma * rng.standard_normal(len(reflections))
    expected = mean_intensity(intensity, reflections)
    amplitude, sigma_amplitude = posterior_amplitudes(intensity, sigma, expected, reflections.centric)
    return SimulatedDataset(
        name,
        time,
        occupancies,
        mixture,
        scaling,
        factors,
        measured,
        true_intensity,
        intensity,
        sigma,
        amplitude,
        sigma_amplitude,
    )
