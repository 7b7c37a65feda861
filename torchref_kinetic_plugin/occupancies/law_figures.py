"""Pictures of what several experiments have in common: rates and occupancies against temperature."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchref_kinetic_plugin.errors import ParameterError, ShapeError, UnknownNameError
from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.plotting import RateLine, occupancy_temperature_figure, rate_law_figure, save
from torchref_kinetic_plugin.scheme import seconds_per

if TYPE_CHECKING:
    from torchref_kinetic_plugin.kinetics.rate_laws import TransitionLaw
    from torchref_kinetic_plugin.occupancies.kinetic import occupancies_kinetics

Floats = NDArray[np.float64]
#: A rate constant with its 95 % interval, by experiment and by transition.
Separate = Mapping[str, Mapping[str, tuple[float, float, float]]]

#: Standard errors in half a 95 % interval.
_95 = 1.959963984540054
_DENSE = 120


def plot_rate_laws(
    models: Mapping[str, occupancies_kinetics],
    path: str | os.PathLike[str],
    *,
    covariance: Floats | None = None,
    separate: Separate | None = None,
    figsize: tuple[float, float] | None = None,
    title: str | None = None,
) -> None:
    """Draw every law with the rate constants of the experiments; ``models`` are theirs, by name, of one joint model.

    Raises
    ------
    ParameterError, ShapeError, UnknownNameError
        Without a law, for a covariance of another shape, or separate values of what has no law.
    """
    one = next(iter(models.values()))
    laws = one.joint.laws
    if not laws or any(each.condition.temperature is None for each in models.values()):
        raise ParameterError("no rate constant follows a law of temperature; give rate_law and the temperatures")
    for transition, by_name in (separate or {}).items():
        if transition not in laws:
            raise UnknownNameError("transition with a law", transition, laws, "separate")
        for name in by_name:
            if name not in models:
                raise UnknownNameError("experiment", name, models, f"separate values of {transition}")
    fit = SecondOrderFit(list(models.values()), [])
    if covariance is not None and covariance.shape != (fit.size, fit.size):
        raise ShapeError(f"covariance has shape {covariance.shape}; {(fit.size, fit.size)} is wanted")
    unit = one.time_unit
    per_second = 1.0 if unit is None else 1.0 / seconds_per(unit)
    lines = [_line(models, fit, law, covariance, (separate or {}).get(name), per_second) for name, law in laws.items()]
    eyring = unit is not None and all(law.law.name == "eyring" for law in laws.values())
    title = title or one.scheme.chart.text
    figure = rate_law_figure(
        lines,
        eyring=eyring,
        figsize=figsize,
        title=title,
        unit="1/s" if unit else "1/time unit",
    )
    save(figure, path)


def _line(
    models: Mapping[str, occupancies_kinetics],
    fit: SecondOrderFit,
    law: TransitionLaw,
    covariance: Floats | None,
    separate: Mapping[str, tuple[float, float, float]] | None,
    per_second: float,
) -> RateLine:
    temperatures = {name: model.condition.temperature or 0.0 for name, model in models.items()}
    binding = law.transition in next(iter(models.values())).joint.binding
    if separate is not None:
        names = list(separate)
        points = np.array([separate[name] for name in names], dtype=np.float64).reshape(-1, 3).T
    else:
        names = list(models)
        rates = []
        for each in models.values():
            rate = each.kinetics.network.all_rates()[law.transition].value
            rates.append(rate / each.condition.concentration if binding and each.condition.concentration else rate)
        numbers = np.array([rate.item() for rate in rates])
        factors = _factors(fit, rates, covariance)
        points = np.stack([numbers, numbers / factors, numbers * factors]) * per_second
    barred = separate is not None or covariance is not None
    known = [temperatures[name] for name in temperatures]
    margin = 0.04 * (1.0 / min(known) - 1.0 / max(known))
    dense = 1.0 / np.linspace(1.0 / max(known) - margin, 1.0 / min(known) + margin, _DENSE)
    values = [law.rate(float(t)) for t in dense]
    numbers = np.array([value.item() for value in values]) * per_second
    band = None
    if covariance is not None:
        factors = _factors(fit, values, covariance)
        band = numbers / factors, numbers * factors
    return RateLine(
        f"{law.transition}  ({_energy(fit, law, covariance)})",
        np.array([temperatures[name] for name in names]),
        points[0],
        points[1] if barred else None,
        points[2] if barred else None,
        dense,
        numbers,
        band,
    )


def _energy(fit: SecondOrderFit, law: TransitionLaw, covariance: Floats | None) -> str:
    if law.energy is None:
        return law.law.name
    symbol = "ΔH‡" if law.law.name == "eyring" else "Eₐ"
    text = f"{symbol} = {law.energy.number:.1f}"
    if covariance is not None and not law.energy.frozen:
        slope = fit.gradient(law.energy.value)
        text += f" ± {math.sqrt(max(float(slope @ covariance @ slope), 0.0)):.1f}"
    return f"{text} kJ/mol"


def _factors(fit: SecondOrderFit, values: list[Tensor], covariance: Floats | None) -> Floats:
    """Half a 95 % interval of ln of each value, as a factor."""
    if covariance is None:
        return np.ones(len(values))
    slopes = np.stack(
        [fit.gradient(torch.log(value)) if value.requires_grad else np.zeros(fit.size) for value in values]
    )
    variance = np.einsum("ij,jk,ik->i", slopes, covariance, slopes)
    return np.asarray(np.exp(_95 * np.sqrt(np.maximum(variance, 0.0))))


def plot_static(
    models: Mapping[str, occupancies_kinetics],
    path: str | os.PathLike[str],
    *,
    kinetic_states: bool,
    figsize: tuple[float, float] | None,
    title: str,
    side_panel: list[str],
) -> None:
    """Draw occupancies (or populations) at infinite time against temperature."""
    temperatures = np.array([each.condition.temperature for each in models.values()], dtype=np.float64)
    first = next(iter(models.values()))
    joint = first.joint
    dense = np.linspace(temperatures.min() - 2.0, temperatures.max() + 2.0, _DENSE)
    with torch.no_grad():
        measured = torch.stack([(m.populations().T if kinetic_states else m()).mean(1) for m in models.values()], dim=1)
        smooth = None
        same = len({each.condition.concentration for each in models.values()}) == 1
        if same and joint.describes_all_temperatures(first.kinetics.network, first.tied):
            curves = []
            for t in dense:
                rates = joint.rates_at(first.kinetics.network, first.tied, first.condition, float(t), {})
                curves.append(first.kinetics.network.stationary_state(rates))
            populations = torch.stack(curves, dim=1)
            smooth = dense, (populations if kinetic_states else first.mapped(populations)).numpy()
    figure = occupancy_temperature_figure(
        first.scheme.states if kinetic_states else first.structure_labels,
        temperatures,
        measured.numpy(),
        smooth,
        figsize=figsize,
        title=title,
        side_panel=side_panel,
        ylabel="population" if kinetic_states else "occupancy",
    )
    save(figure, path)
