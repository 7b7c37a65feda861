"""The result of a refinement as plain typed values: no torch, no files."""

from torchref_kinetic_plugin.results.result import (
    ALL_EXPERIMENTS,
    SCHEMA,
    SIGNED_KINDS,
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
    "ALL_EXPERIMENTS",
    "SCHEMA",
    "SIGNED_KINDS",
    "CycleSummary",
    "DatasetStatistics",
    "Estimate",
    "FitStep",
    "GeometrySummary",
    "OccupancyEstimate",
    "RefinementResult",
    "ResidueShift",
]
