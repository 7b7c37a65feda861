"""Figures: arrays in, figure out."""

from torchref_kinetic_plugin.plotting.occupancy_curves import (
    TimeCourses,
    comparison_figure,
    occupancy_figure,
)
from torchref_kinetic_plugin.plotting.scheme_drawing import DrawnTransition, scheme_figure
from torchref_kinetic_plugin.plotting.style import save
from torchref_kinetic_plugin.plotting.time_axis import TimeAxis

__all__ = [
    "DrawnTransition",
    "TimeAxis",
    "TimeCourses",
    "comparison_figure",
    "occupancy_figure",
    "save",
    "scheme_figure",
]
