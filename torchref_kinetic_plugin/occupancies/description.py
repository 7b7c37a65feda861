"""A kinetic model in words: the table that `print_parameters` prints."""

from __future__ import annotations

import math

from torchref_kinetic_plugin.kinetics.model import KineticModel
from torchref_kinetic_plugin.occupancies.identifiability import refined_efficiencies


def describe(model: KineticModel, time_unit: str | None) -> str:
    """Describe scheme, rates, efficiencies, response and activation, one a line; frozen ones are marked."""
    unit = time_unit or "time unit"
    scheme = model.scheme
    lines = [f"Kinetic scheme {scheme.chart.text}" + (" (light-activated)" if scheme.light_activated else "")]
    lines.append(f"{'transition':<14}{'k / (1/' + unit + ')':>18}{'1/k / ' + unit:>18}{'efficiency':>14}")
    efficiencies, free = model.efficiencies(), refined_efficiencies(model)
    finite, refined = model.network.all_rates(), model.network.refined_rates()
    for name, rate in model.rate_constants().items():
        rate_mark = "*" if name in finite and name not in refined else " "
        efficiency_mark = " " if name in free else "*"
        lines.append(
            f"{name:<14}{_number(rate):>17}{rate_mark}{_number(1.0 / rate):>17} "
            f"{_number(efficiencies[name]):>13}{efficiency_mark}"
        )
    for name, parameter in model.instrument_parameters().items():
        label = {"width": "instrument width (sigma)", "time_zero": "time zero"}[name]
        lines.append(f"{label:<32}{_number(parameter.number):>17}{'*' if parameter.frozen else ' '} {unit}")
    activation = model.activation
    mark = "*" if activation.common.frozen else " "
    spread = "" if activation.deviations is None else f" varying by {activation.spread:g} (logit) between timepoints"
    lines.append(f"{'activation':<32}{_number(activation.common.number):>17}{mark}{spread}")
    lines.append("* not refined")
    return "\n".join(line.rstrip() for line in lines)


def _number(value: float) -> str:
    return "inf" if math.isinf(value) else f"{value:.6g}"
