"""The public occupancy models."""

from torchref_kinetic_plugin.occupancies.kinetic import occupancies_kinetics
from torchref_kinetic_plugin.occupancies.multiexperiment import occupancies_kinetics_multiexperiment
from torchref_kinetic_plugin.occupancies.unrestrained import occupancy_unrestrained

__all__ = ["occupancies_kinetics", "occupancies_kinetics_multiexperiment", "occupancy_unrestrained"]
