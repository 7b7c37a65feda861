"""Built-in plugin: occupancies that follow one kinetic scheme."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torchref_kinetic_plugin.errors import MappingError, ParameterError, UnknownNameError, closest_match, listing
from torchref_kinetic_plugin.plugins.hookspecs import hookimpl
from torchref_kinetic_plugin.plugins.kinetics_settings import (
    ExperimentKineticsSettings,
    KineticsSettings,
    RegularizationSettings,
)
from torchref_kinetic_plugin.plugins.provider import ExperimentSchedule, OccupancyProvider
from torchref_kinetic_plugin.scheme import parse_flow_chart, parse_rate, parse_time, seconds_per

if TYPE_CHECKING:
    from torch import nn

    from torchref_kinetic_plugin.occupancies import occupancies_kinetics


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
            **_options(settings, settings.experiments.get(experiment.name), unit),
        }
        for experiment in experiments
    ]
    shared = _shared(settings)
    joint = occupancies_kinetics_multiexperiment(settings.scheme, tables, shared_rates=shared)
    for name in shared:
        _restrain_once(joint.models, name)
    return list(joint.models)


def _options(settings: KineticsSettings, own: ExperimentKineticsSettings | None, unit: str) -> dict[str, Any]:
    """Arguments of the model of one experiment."""
    own = ExperimentKineticsSettings() if own is None else own
    width = own.instrument_width or settings.instrument_width
    options: dict[str, Any] = {
        "rate_constants": {**settings.rate_constants, **own.rate_constants},
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
    table = settings.model_dump()

    def log_rate(text: str) -> float:
        return math.log(parse_rate(text) * seconds_per(unit))

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


def _shared(settings: KineticsSettings) -> list[str]:
    """Transitions whose rate is shared; ``all`` means those that have a rate of their own."""
    if settings.shared_rates != "all":
        return list(settings.shared_rates)
    tables = [settings.rate_constants, *(e.rate_constants for e in settings.experiments.values())]
    impulsive = {name for table in tables for name, rate in table.items() if math.isinf(parse_rate(rate))}
    transitions = [step.name for step in parse_flow_chart(settings.scheme).transitions]
    return [name for name in transitions if name not in impulsive and name not in settings.ties]


def _restrain_once(models: Sequence[occupancies_kinetics], name: str) -> None:
    """Leave the prior on a shared rate to the first model, since the objective adds those of all."""
    from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter

    first = models[0].kinetics.network.rate_parameters()[name]
    for model in models[1:]:
        twin = ScalarParameter(first.label, first.number, first.constraint, frozen=True)
        twin.raw = first.raw
        model.kinetics.network.replace_rate(name, twin)


@hookimpl
def torchref_kinetic_occupancy_providers() -> list[OccupancyProvider]:
    """Offer ``kinetics``."""
    return [
        OccupancyProvider(
            "kinetics", KineticsSettings, build_kinetics, "one kinetic scheme, its rates and efficiencies refined"
        )
    ]
