"""Synthetic series with known truth; structure factors by gemmi, independent of those that refine."""

from torchref_kinetic_plugin.simulation.campaign_truth import CampaignTruth, read_truth
from torchref_kinetic_plugin.simulation.dataset import SimulatedDataset
from torchref_kinetic_plugin.simulation.model_error import ModelError
from torchref_kinetic_plugin.simulation.noise import IntensityNoise, MeasuredNoise, NoiseModel
from torchref_kinetic_plugin.simulation.scaling import DatasetScaling, ScalingSpread
from torchref_kinetic_plugin.simulation.series import SimulatedSeries, simulate_series
from torchref_kinetic_plugin.simulation.structure_factors import BulkSolvent
from torchref_kinetic_plugin.simulation.truth import DatasetTruth, Truth, truth_of
from torchref_kinetic_plugin.simulation.written import write_campaign, write_series

__all__ = [
    "BulkSolvent",
    "CampaignTruth",
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
    "write_campaign",
    "write_series",
]
