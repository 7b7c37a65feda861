"""One simulated dataset: a mixture of structures, measured with all its faults."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from torchref_kinetic_plugin.simulation.amplitudes import mean_intensity, posterior_amplitudes
from torchref_kinetic_plugin.simulation.model_error import r_factor
from torchref_kinetic_plugin.simulation.noise import NoiseModel
from torchref_kinetic_plugin.simulation.scaling import DatasetScaling
from torchref_kinetic_plugin.simulation.structure_factors import Complexes, Flags, Reals, Reflections


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


def measured_dataset(
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
    """Measure a mixture with model error and noise; arguments as the attributes of `SimulatedDataset`."""
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
