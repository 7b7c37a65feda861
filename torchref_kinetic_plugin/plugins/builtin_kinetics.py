"""Built-in plugin: occupancies that follow one kinetic scheme."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from torchref_kinetic_plugin.errors import MappingError, ParameterError, UnknownNameError, closest_match, listing
from torchref_kinetic_plugin.plugins.hookspecs import hookimpl
from torchref_kinetic_plugin.plugins.kinetics_settings import (
    LAW_PRIORS,
    ExperimentKineticsSettings,
    KineticsSettings,
    RegularizationSettings,
    shared_transitions,
)
from torchref_kinetic_plugin.plugins.provider import ExperimentSchedule, OccupancyProvider
from torchref_kinetic_plugin.scheme import parse_flow_chart, parse_rate, parse_time, seconds_per
from torchref_kinetic_plugin.scheme.amounts import is_second_order, parse_second_order_rate

if TYPE_CHECKING:
    from torch import nn


def build_kinetics(
    settings: KineticsSettings,
    experiments: Sequence[ExperimentSchedule],
    structure_names: Sequence[str],
    seed: int,
) -> list[nn.Module]:
    """Build an `occupancies_kinetics` for each experiment, with shared rates where asked.

    All count in the unit of the first experiment: a shared rate is one number.

    Raises
    ------
    InputError
        One of its kinds, for whatever the models refuse, an unknown experiment, or a state mapping that does not fit
        the structures.
    """
    from torchref_kinetic_plugin.kinetics.priors import Restrained, restrained_in
    from torchref_kinetic_plugin.occupancies import occupancies_kinetics_multiexperiment

    del seed  # nothing is drawn
    names = [experiment.name for experiment in experiments]
    for name in settings.experiments:
        if name not in names:
            raise UnknownNameError("experiment", name, names, "experiments")
    unit = experiments[0].time_unit
    mapping = _structure_numbers(settings, structure_names)
    tables = [
        {
            "name": experiment.name,
            "time": experiment.times_in(unit),
            "time_unit": unit,
            "structure_names": tuple(structure_names),
            "state_mapping": mapping,
            "temperature": experiment.temperature,
            "temperature_before": experiment.temperature_before,
            "concentration": experiment.concentration,
            "pump_energy": experiment.pump_energy,
            **_options(settings, settings.experiments.get(experiment.name), unit),
        }
        for experiment in experiments
    ]
    joint = occupancies_kinetics_multiexperiment(
        settings.scheme,
        tables,
        shared_rates=shared_transitions(settings),
        rate_constants=settings.rate_constants,
        rate_law=settings.rate_law,
        reference_temperature=settings.reference_temperature,
        activation_enthalpies=settings.activation_enthalpies,
        refine_enthalpies=settings.refine_enthalpies,
        equilibrium=settings.equilibrium,
        equilibrium_constants=settings.equilibrium_constants,
        reaction_enthalpies=settings.reaction_enthalpies,
        pseudo_first_order=settings.pseudo_first_order,
        activation_law=None if settings.activation_law is None else _given(settings.activation_law),
        regularization={key: value for key, value in _given(settings.regularization).items() if key in LAW_PRIORS},
    )
    # The objective adds the priors of all modules, so that a shared one is left to the first that has it.
    counted: list[Restrained] = []
    for model in joint.models:
        model.leave_restraints_to(counted)
        counted = [*counted, *restrained_in(model)]
    return list(joint.models)


def _given(section: BaseModel) -> dict[str, Any]:
    return section.model_dump(exclude_none=True)


def _options(settings: KineticsSettings, own: ExperimentKineticsSettings | None, unit: str) -> dict[str, Any]:
    """Arguments of the model of one experiment."""
    own = ExperimentKineticsSettings() if own is None else own
    width = own.instrument_width or settings.instrument_width
    options: dict[str, Any] = {
        "rate_constants": own.rate_constants,
        "efficiencies": {**settings.efficiencies, **own.efficiencies},
        "instrument_function": settings.instrument_function,
        "light_activated": settings.light_activated,
        "regularization": _regularization(settings.regularization, unit),
        "activation": settings.activation if own.activation is None else own.activation,
        "activation_spread": settings.activation_spread,
        "initial_state": settings.initial_state,
        "initial_populations": settings.initial_populations,
        "time_zero": parse_time(own.time_zero or settings.time_zero) / seconds_per(unit),
        "refine_rates": settings.refine_rates,
        "refine_efficiencies": settings.refine_efficiencies,
        "refine_instrument": settings.refine_instrument,
        "refine_activation": settings.refine_activation,
        "bounds": settings.bounds,
        "ties": settings.ties,
    }
    if settings.instrument_function != "none":
        if width is None:
            raise ParameterError("instrument_function = 'gaussian' needs an instrument_width for every experiment")
        options["instrument_width"] = parse_time(width) / seconds_per(unit)
    return options


def _regularization(settings: RegularizationSettings, unit: str) -> dict[str, Any]:
    """Priors as the models take them: the mean of ln k, k per unit of time."""
    table = settings.model_dump(exclude=set(LAW_PRIORS))

    def log_rate(text: str) -> float:
        rate = parse_second_order_rate(text) if is_second_order(text) else parse_rate(text)
        return math.log(rate * seconds_per(unit))

    mean = table.pop("rate_prior_mean")
    if isinstance(mean, Mapping):
        table["rate_prior_mean"] = {name: log_rate(text) for name, text in mean.items()}
    elif mean is not None:
        table["rate_prior_mean"] = log_rate(mean)
    return table


def _structure_numbers(settings: KineticsSettings, structure_names: Sequence[str]) -> dict[str, int]:
    """Structure number of each state, every structure used.

    Raises
    ------
    MappingError
        For an unknown structure, one that no state has, or a mapping that is needed and not given.
    """
    states = parse_flow_chart(settings.scheme).states
    mapping = settings.state_mapping
    if mapping is None:
        if set(states) != set(structure_names):
            raise MappingError(
                f"state_mapping is needed: the states {', '.join(states)} are not named as the structures "
                f"{', '.join(structure_names)} are"
            )
        mapping = {state: state for state in states}
    for state, structure in mapping.items():
        if structure not in structure_names:
            raise MappingError(
                f"state_mapping gives {state} an unknown structure {structure!r}"
                f"{closest_match(structure, structure_names)}; {listing(structure_names)}"
            )
    if unused := [name for name in structure_names if name not in mapping.values()]:
        raise MappingError(f"no state has the structure {', '.join(unused)}; map a state to it or leave it out")
    return {state: list(structure_names).index(structure) for state, structure in mapping.items()}


@hookimpl
def torchref_kinetic_occupancy_providers() -> list[OccupancyProvider]:
    """Offer ``kinetics``."""
    return [
        OccupancyProvider(
            "kinetics", KineticsSettings, build_kinetics, "one kinetic scheme, its rates and efficiencies refined"
        )
    ]
