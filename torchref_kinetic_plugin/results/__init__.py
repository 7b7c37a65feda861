"""The result of a refinement as plain typed values: no torch, no files."""

from torchref_kinetic_plugin.results.result import (
    SCHEMA,
    CycleSummary,
    DatasetStatistics,
    Estimate,
    FitStep,
    GeometrySummary,
    OccupancyEstimate,
    RefinementResult,
    ResidueShift,
)

__all__ = [
    "SCHEMA",
    "CycleSummary",
    "DatasetStatistics",
    "Estimate",
    "FitStep",
    "GeometrySummary",
    "OccupancyEstimate",
    "RefinementResult",
    "ResidueShift",
]
