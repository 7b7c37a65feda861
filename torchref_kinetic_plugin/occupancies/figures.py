"""Pictures of the public models: what to plot, and what to write beside it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchref_kinetic_plugin.plotting import (
    DrawnTransition,
    TimeAxis,
    TimeCourses,
    comparison_figure,
    occupancy_figure,
    save,
    scheme_figure,
)
from torchref_kinetic_plugin.scheme import format_time, seconds_per

if TYPE_CHECKING:
    from torchref_kinetic_plugin.occupancies.kinetic import occupancies_kinetics
    from torchref_kinetic_plugin.occupancies.unrestrained import occupancy_unrestrained

Path = str | os.PathLike[str]
FreePoints = tuple[NDArray[np.float64], NDArray[np.float64]]


def plot_free_occupancies(
    model: occupancy_unrestrained, path: Path, *, log_scale: bool, figsize: tuple[float, float]
) -> None:
    """Plot free occupancies; the points are joined, since there is no model between them."""
    delays = model.time.cpu().numpy()
    courses = TimeCourses(
        model.structure_names, delays, model().detach().cpu().numpy(), TimeAxis.of(delays, logarithmic=log_scale)
    )
    save(occupancy_figure([("", courses)], figsize=figsize, time_unit=model.time_unit), path)


def plot_kinetic_occupancies(
    model: occupancies_kinetics,
    path: Path,
    *,
    log_scale: bool,
    kinetic_states: bool,
    figsize: tuple[float, float],
    title: str | None,
    free: FreePoints | None = None,
) -> None:
    """Plot a kinetic model with its time constants beside, over its curves what was found without it.

    ``free`` are occupancies (n_structures, n_timepoints) found at the measured times, and their standard errors.
    """
    courses = _courses(model, log_scale=log_scale, kinetic_states=kinetic_states)
    panel = [*_side_panel(model), ""]
    if free is not None:
        courses = replace(courses, target=free[0], target_errors=free[1])
        panel = [*panel, "open: free occupancies", "and standard errors", ""]
    figure = occupancy_figure(
        [("", courses)],
        figsize=figsize,
        title=title or model.scheme.chart.text,
        time_unit=model.time_unit,
        side_panel=panel,
        ylabel="population" if kinetic_states else "occupancy",
    )
    save(figure, path)


def plot_experiments(
    models: Mapping[str, occupancies_kinetics],
    path: Path,
    *,
    log_scale: bool = True,
    kinetic_states: bool = False,
    figsize: tuple[float, float] | None = None,
    title: str | None = None,
) -> None:
    """Plot all experiments of one joint model, by name, on a common page."""
    first = next(iter(models.values()))
    title = title or first.scheme.chart.text
    side = []
    for name, single in models.items():
        side += [name, *(f"  {entry}" for entry in _side_panel(single)), ""]
    static = all(bool((single.time == math.inf).all()) for single in models.values())
    if static and len({single.condition.temperature for single in models.values()} - {None}) == len(models) > 1:
        from torchref_kinetic_plugin.occupancies import law_figures

        law_figures.plot_static(
            models, path, kinetic_states=kinetic_states, figsize=figsize, title=title, side_panel=_constants(first)
        )
        return
    rows = [
        (name, _courses(single, log_scale=log_scale, kinetic_states=kinetic_states)) for name, single in models.items()
    ]
    figure = occupancy_figure(
        rows,
        figsize=figsize or (10.0, 3.0 * len(rows) + 1.0),
        title=title,
        time_unit=first.time_unit,
        side_panel=side,
        ylabel="population" if kinetic_states else "occupancy",
    )
    save(figure, path)


def plot_occupancy_comparison(
    model: occupancies_kinetics, target: Tensor, path: Path, *, log_scale: bool, figsize: tuple[float, float]
) -> None:
    """Plot a kinetic model against other occupancies (n_structures, n_timepoints)."""
    courses = _courses(model, log_scale=log_scale, kinetic_states=False, target=target.numpy())
    figure = comparison_figure(courses, figsize=figsize, title=model.scheme.chart.text, time_unit=model.time_unit)
    save(figure, path)


def plot_scheme(model: occupancies_kinetics, path: Path, *, title: str | None) -> None:
    """Draw the scheme with its time constants and efficiencies."""
    efficiencies = model.get_efficiencies()
    transitions = []
    for step, (name, constant) in zip(model.scheme.chart.transitions, model.get_time_constants().items(), strict=True):
        label = _time_constant(constant, model.time_unit)
        if efficiencies[name] != 1.0:
            label += f"\n{100.0 * efficiencies[name]:.3g} %"
        transitions.append(DrawnTransition(step.source, step.target, label))
    if title is None:
        title = "light-activated: acts once" if model.scheme.light_activated else ""
    save(scheme_figure(model.scheme.chart.states, transitions, initial=model.scheme.initial, title=title), path)


def _courses(
    model: occupancies_kinetics,
    *,
    log_scale: bool,
    kinetic_states: bool,
    target: NDArray[np.float64] | None = None,
) -> TimeCourses:
    zero = model.kinetics.time_zero.number
    delays = model.time.cpu().numpy() - zero
    axis = TimeAxis.of(delays, logarithmic=log_scale)
    with torch.no_grad():
        parts = [torch.from_numpy(part + zero) for part in axis.dense()]
        if kinetic_states:
            measured = _merged(model, model.populations())
            smooth = [_merged(model, model.populations_at(part)) for part in parts]
            labels: tuple[str, ...] = model.scheme.chart.states
        else:
            measured, labels = model(), model.structure_labels
            smooth = [model.occupancies_at(part) for part in parts]
    return TimeCourses(
        labels, delays, measured.cpu().numpy(), axis, tuple(part.cpu().numpy() for part in smooth), target
    )


def _merged(model: occupancies_kinetics, populations: Tensor) -> Tensor:
    """Populations (n_states, n_times) with the inactive copy added to its parent."""
    if not model.scheme.light_activated:
        return populations.T
    parent = model.scheme.states.index(model.scheme.initial)
    merged = populations[:, :-1].clone()
    merged[:, parent] += populations[:, -1]
    return merged.T


def _side_panel(model: occupancies_kinetics) -> list[str]:
    """Time constants, efficiencies below 1, response and activation below 1, one a line."""
    if bool((model.time == math.inf).all()):
        # Of its rates only ratios matter.
        return [f"stationary, {model.condition.temperature:g} K" if model.condition.temperature else "stationary"]
    efficiencies = model.get_efficiencies()
    lines = []
    for name, constant in model.get_time_constants().items():
        entry = f"{name}  {_time_constant(constant, model.time_unit)}"
        if efficiencies[name] != 1.0:
            entry += f", {100.0 * efficiencies[name]:.3g} %"
        lines.append(entry)
    if (width := model.kinetics.response.width) is not None:
        lines.append(f"response  σ {_time_constant(width.number, model.time_unit)}")
    if not model.kinetics.activation.complete:
        lines.append(f"activation  {100.0 * model.kinetics.activation.common.number:.3g} %")
    return lines


def _constants(model: occupancies_kinetics) -> list[str]:
    """Equilibrium constants at the reference temperature and enthalpies of reaction, one a line."""
    equilibria = model.joint.equilibria
    if equilibria is None:
        return []
    lines = []
    for pair in equilibria.pairs:
        enthalpy = equilibria.reaction_enthalpy(pair)
        lines.append(f"{pair.name}  K {equilibria.constant(pair, equilibria.reference).item():.3g}")
        if enthalpy is not None:
            lines.append(f"  ΔH {enthalpy.item():.1f} kJ/mol")
    return [*lines, ""]


def _time_constant(value: float, time_unit: str | None) -> str:
    if value == 0.0:
        return "impulse"
    if math.isinf(value) or time_unit is None:
        return f"{value:.3g}"
    return format_time(value * seconds_per(time_unit)).replace("us", "µs")
