"""Synthetic series with known truth; structure factors by gemmi, independent of those that refine."""

from torchref_kinetic_plugin.simulation.model_error import ModelError
from torchref_kinetic_plugin.simulation.noise import IntensityNoise, MeasuredNoise, NoiseModel
from torchref_kinetic_plugin.simulation.scaling import DatasetScaling, ScalingSpread
from torchref_kinetic_plugin.simulation.series import SimulatedDataset, SimulatedSeries, simulate_series
from torchref_kinetic_plugin.simulation.structure_factors import BulkSolvent
from torchref_kinetic_plugin.simulation.truth import DatasetTruth, Truth, read_truth, truth_of
from torchref_kinetic_plugin.simulation.written import write_series

__all__ = [
    "BulkSolvent",
    "DatasetScaling",
    "DatasetTruth",
    "IntensityNoise",
    "MeasuredNoise",
    "ModelError",
    "NoiseModel",
    "ScalingSpread",
    "SimulatedDataset",
    "SimulatedSeries",
    "Truth",
    "read_truth",
    "simulate_series",
    "truth_of",
    "write_series",
]
