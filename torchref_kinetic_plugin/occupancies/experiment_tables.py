"""Tables of experiments as a user writes them, turned into the arguments of one kinetic model each."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from torchref_kinetic_plugin.errors import ParameterError, UnknownNameError
from torchref_kinetic_plugin.occupancies.times import rate_in, times_tensor
from torchref_kinetic_plugin.scheme import Scheme, parse_flow_chart, seconds_per
from torchref_kinetic_plugin.scheme.amounts import is_second_order, parse_second_order_rate


def experiment_names(experiments: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> tuple[str, ...]:
    """Names of the experiments, all of whose keys are known.

    Raises
    ------
    ParameterError, UnknownNameError
        For what is no list of tables, an unknown key, an experiment without times, or two of one name.
    """
    if isinstance(experiments, Mapping) or not len(experiments):
        raise ParameterError("experiments is a list of tables, one for each experiment; at least one is needed")
    names = []
    for number, experiment in enumerate(experiments):
        if not isinstance(experiment, Mapping):
            raise ParameterError(f"experiment {number} is a table with time and name, not {experiment!r}")
        name = str(experiment.get("name", f"experiment {number}"))
        for key in experiment:
            if key not in (*keys, "name"):
                raise UnknownNameError("key", key, ("name", *keys), f"experiment {name!r}")
        if "time" not in experiment:
            raise ParameterError(f"experiment {name!r} has no time")
        if name in names:
            raise ParameterError(f"two experiments are named {name!r}; names tell them apart in tables and files")
        names.append(name)
    return tuple(names)


def transitions_named(flow_chart: str, names: Sequence[str], where: str) -> tuple[str, ...]:
    """Names of transitions in a list, each once.

    Raises
    ------
    ParameterError, UnknownNameError
        For text in place of a list, or what is no transition.
    """
    allowed = [step.name for step in parse_flow_chart(flow_chart).transitions]
    if isinstance(names, str):
        raise ParameterError(f"{where} is a list of transitions; write [{names!r}]")
    for name in names:
        if name not in allowed:
            raise UnknownNameError("transition", name, allowed, where)
    return tuple(dict.fromkeys(names))


def is_static(experiment: Mapping[str, Any]) -> bool:
    """Whether every timepoint is at infinite time, where no rate shows but in ratios."""
    times = times_tensor(experiment["time"], experiment.get("time_unit"))
    return bool((times == math.inf).all())


def scheme_of(flow_chart: str, experiment: Mapping[str, Any], rates: Mapping[str, Any]) -> Scheme:
    """The mechanism with the trigger of an experiment, whose rates are given."""
    infinite = [name for name, value in rates.items() if _is_infinite(value)]
    return Scheme.build(
        flow_chart,
        light_activated=experiment.get("light_activated", False),
        initial=experiment.get("initial_state"),
        impulsive=infinite,
    )


def _is_infinite(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in {"inf", "+inf", "infinity", "+infinity"}
    return value == math.inf


def numbers_of_rates(rates: Mapping[str, Any], binding: Collection[str], time_unit: str | None) -> dict[str, float]:
    """Rate constants as numbers per time unit, those of second order per M and time unit.

    Raises
    ------
    ParameterError
        For a rate of the other order.
    """
    return {name: number_of_rate(name, value, binding, time_unit) for name, value in rates.items()}


def number_of_rate(name: str, value: Any, binding: Collection[str], time_unit: str | None) -> float:
    """One of `numbers_of_rates`."""
    if isinstance(value, str) and is_second_order(value) != (name in binding) and not _is_infinite(value):
        if name in binding:
            raise ParameterError(
                f"rate constant of {name} = {value!r}: with pseudo_first_order it is per concentration and time, e.g. "
                "'2e5 /(M s)'"
            )
        raise ParameterError(
            f"rate constant of {name} = {value!r} is of second order; name the transition in pseudo_first_order"
        )
    if name not in binding or not isinstance(value, str) or _is_infinite(value):
        return rate_in(value, time_unit, name)
    if time_unit is None:
        raise ParameterError(f"the rate constant {value!r} of {name} is text; give time_unit")
    return parse_second_order_rate(value) * seconds_per(time_unit)


def bounds_in_numbers(bounds: Mapping[str, Any], binding: Collection[str], time_unit: str | None) -> dict[str, Any]:
    """Bounds with those of second order as numbers; the others as they are."""
    return {
        name: tuple(number_of_rate(name, each, binding, time_unit) for each in pair) if name in binding else pair
        for name, pair in bounds.items()
    }


def static_starts(scheme: Scheme, experiment: Mapping[str, Any], rates: Mapping[str, float]) -> dict[str, float]:
    """Rate constants that a static experiment does not give: any will do, since only ratios show."""
    bound = {*(experiment.get("bounds") or {}), *(experiment.get("ties") or {})}
    return {step.name: 1.0 for step in scheme.finite_steps if step.name not in rates and step.name not in bound}


def agreed_starts(
    experiments: Sequence[Mapping[str, Any]], names: Sequence[str], shared: Sequence[str]
) -> dict[str, Any]:
    """Starting value of each shared rate that some experiment gives; all that give one must agree."""
    starts: dict[str, Any] = {}
    for transition in shared:
        given = {
            name: rates[transition]
            for name, experiment in zip(names, experiments, strict=True)
            if transition in (rates := experiment.get("rate_constants") or {})
        }
        if len(set(given.values())) > 1:
            listed = ", ".join(f"{value!r} in {name}" for name, value in given.items())
            raise ParameterError(f"the shared rate of {transition} is one number, but starts as {listed}")
        if given:
            starts[transition] = next(iter(given.values()))
    return starts


def geometric_mean(values: Sequence[float]) -> float:
    """Rounded once, so that the order of the values does not show."""
    return math.exp(math.fsum(math.log(value) for value in values) / len(values))


def mean(values: Sequence[float]) -> float:
    """As `geometric_mean`."""
    return math.fsum(values) / len(values)
