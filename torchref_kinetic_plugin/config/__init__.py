"""The refinement file: schema, reading with all errors together, writing; no torch."""

from torchref_kinetic_plugin.config.condition import ExperimentCondition
from torchref_kinetic_plugin.config.loading import read_refinement_file, read_simulation_file
from torchref_kinetic_plugin.config.problems import ConfigError, Problem, validation_problems
from torchref_kinetic_plugin.config.schema import Experiment, RefinementFile, StructuresSection
from torchref_kinetic_plugin.config.simulation import SimulatedExperiment, SimulationFile
from torchref_kinetic_plugin.config.writing import resolved_toml, starting_file, time_in_name

__all__ = [
    "ConfigError",
    "Experiment",
    "ExperimentCondition",
    "Problem",
    "RefinementFile",
    "SimulatedExperiment",
    "SimulationFile",
    "StructuresSection",
    "read_refinement_file",
    "read_simulation_file",
    "resolved_toml",
    "starting_file",
    "time_in_name",
    "validation_problems",
]
