"""Reflection files to observations, one free set, one list of reflections; gemmi, no torch."""

from torchref_kinetic_plugin.reflections.agreement import (
    RelativeScale,
    Spread,
    SpreadShell,
    relative_scale,
    spread_against_sigma,
)
from torchref_kinetic_plugin.reflections.completeness import Completeness, CompletenessShell, completeness
from torchref_kinetic_plugin.reflections.free_flags import FREE, NO_FLAG, WORK, FreeFlags
from torchref_kinetic_plugin.reflections.free_set import FreeSet, one_free_set, write_free_set
from torchref_kinetic_plugin.reflections.french_wilson import french_wilson
from torchref_kinetic_plugin.reflections.from_amplitudes import Intensities, from_amplitudes, inverse_french_wilson
from torchref_kinetic_plugin.reflections.grid import Grid, merge_grid
from torchref_kinetic_plugin.reflections.indexing import IndexingReport, alternative_indexing, best_indexing
from torchref_kinetic_plugin.reflections.loading import read_observations
from torchref_kinetic_plugin.reflections.mean_intensity import MeanIntensity, mean_intensity
from torchref_kinetic_plugin.reflections.observations import Observations
from torchref_kinetic_plugin.reflections.same_crystal import CellChange, check_same_crystal, mislabelling

__all__ = [
    "FREE",
    "NO_FLAG",
    "WORK",
    "CellChange",
    "Completeness",
    "CompletenessShell",
    "FreeFlags",
    "FreeSet",
    "Grid",
    "IndexingReport",
    "Intensities",
    "MeanIntensity",
    "Observations",
    "RelativeScale",
    "Spread",
    "SpreadShell",
    "alternative_indexing",
    "best_indexing",
    "check_same_crystal",
    "completeness",
    "french_wilson",
    "from_amplitudes",
    "inverse_french_wilson",
    "mean_intensity",
    "merge_grid",
    "mislabelling",
    "one_free_set",
    "read_observations",
    "relative_scale",
    "spread_against_sigma",
    "write_free_set",
]
