"""Figures: arrays in, figure out."""

from torchref_kinetic_plugin.plotting.correlation_matrix import correlation_figure
from torchref_kinetic_plugin.plotting.occupancy_curves import (
    TimeCourses,
    comparison_figure,
    occupancy_figure,
)
from torchref_kinetic_plugin.plotting.scheme_drawing import DrawnTransition, scheme_figure
from torchref_kinetic_plugin.plotting.style import save
from torchref_kinetic_plugin.plotting.temperature_dependence import (
    RateLine,
    occupancy_temperature_figure,
    rate_law_figure,
)
from torchref_kinetic_plugin.plotting.time_axis import TimeAxis

__all__ = [
    "DrawnTransition",
    "RateLine",
    "TimeAxis",
    "TimeCourses",
    "comparison_figure",
    "correlation_figure",
    "occupancy_figure",
    "occupancy_temperature_figure",
    "rate_law_figure",
    "save",
    "scheme_figure",
]
