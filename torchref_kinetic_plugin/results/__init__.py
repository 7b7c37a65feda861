"""The result of a refinement as plain typed values: no torch, no files."""

from torchref_kinetic_plugin.results.result import (
    SCHEMA,
    DatasetStatistics,
    Estimate,
    FitStep,
    OccupancyEstimate,
    RefinementResult,
)

__all__ = ["SCHEMA", "DatasetStatistics", "Estimate", "FitStep", "OccupancyEstimate", "RefinementResult"]
