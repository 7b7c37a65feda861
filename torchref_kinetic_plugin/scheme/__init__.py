"""Kinetic schemes as text and values; no torch."""

from torchref_kinetic_plugin.scheme.equilibrium import EquilibriumPair
from torchref_kinetic_plugin.scheme.flow_chart import FlowChart, Transition, parse_flow_chart
from torchref_kinetic_plugin.scheme.scheme import Scheme, Step
from torchref_kinetic_plugin.scheme.units import format_time, parse_rate, parse_time, seconds_per, time_unit

__all__ = [
    "EquilibriumPair",
    "FlowChart",
    "Scheme",
    "Step",
    "Transition",
    "format_time",
    "parse_flow_chart",
    "parse_rate",
    "parse_time",
    "seconds_per",
    "time_unit",
]
