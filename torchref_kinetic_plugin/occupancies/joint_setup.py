"""The kinetic models of several experiments, with what they have in common."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torchref_kinetic_plugin.errors import ParameterError
from torchref_kinetic_plugin.occupancies.conditions import CONDITIONS, Condition
from torchref_kinetic_plugin.occupancies.experiment_tables import (
    agreed_starts,
    bounds_in_numbers,
    is_static,
    number_of_rate,
    numbers_of_rates,
    scheme_of,
    static_starts,
    transitions_named,
)
from torchref_kinetic_plugin.occupancies.joint_building import build_joint_rates, deviations_of, require_start
from torchref_kinetic_plugin.occupancies.joint_rates import JointRates
from torchref_kinetic_plugin.occupancies.kinetic import occupancies_kinetics
from torchref_kinetic_plugin.occupancies.law_options import LawOptions, read_laws, read_pair_values
from torchref_kinetic_plugin.occupancies.pump import read_saturation, require_no_activation, saturated_activation
from torchref_kinetic_plugin.occupancies.sharing import share_rate
from torchref_kinetic_plugin.scheme import EquilibriumPair
from torchref_kinetic_plugin.scheme.equilibrium import equilibrium_pairs

Tables = Sequence[Mapping[str, Any]]


def build_models(
    flow_chart: str,
    experiments: Tables,
    conditions: Mapping[str, Condition],
    shared: Sequence[str],
    given: Mapping[str, Any],
    options: LawOptions,
    *,
    activation_law: Mapping[str, Any] | None,
    verbose: int,
) -> tuple[list[occupancies_kinetics], JointRates]:
    """Build the model of each experiment and let their rates follow laws, equilibria and concentrations.

    Parameters
    ----------
    flow_chart : str
        The scheme of all.
    experiments : sequence of mapping
        Their tables, whose keys are known.
    conditions : mapping
        Name of each experiment to its conditions, in the same order.
    shared : sequence of str
        Transitions whose rate constant is one parameter.
    given : mapping
        Starting rate constants of all experiments.
    options : LawOptions
        Laws and equilibria.
    activation_law : mapping or None
        How activation depends on the energy of the pump.
    verbose : int
        As of the models.

    Raises
    ------
    InputError
        One of its kinds, for whatever contradicts.
    """
    names = list(conditions)
    saturation = read_saturation(activation_law, conditions)
    binding = transitions_named(flow_chart, options.pseudo_first_order, "pseudo_first_order")
    _require_concentrations(conditions, binding)
    transitions_named(flow_chart, list(given), "rate_constants")
    first = experiments[0]
    scheme = scheme_of(flow_chart, first, {**given, **(first.get("rate_constants") or {})})
    pairs = equilibrium_pairs(scheme, options.equilibrium, _leaky(experiments))
    tied = frozenset(name for each in experiments for name in (each.get("ties") or {}))
    laws = read_laws(scheme, options, shared, tied, {pair.back: pair.name for pair in pairs})
    for name, table in zip(names, experiments, strict=True):
        _refuse_own_rates(name, table, pairs, laws)
    _refuse_shared_backs(shared, pairs)
    given, options = _rates_of_pairs(given, pairs, options, binding, first.get("time_unit"))
    once = [*shared, *laws]
    starts = {name: given[name] for name in once if name in given}
    starts |= agreed_starts([{"rate_constants": starts}, *experiments], ["all", *names], shared)
    static = [is_static(table) for table in experiments]
    models = []
    for name, table, at_infinity in zip(names, experiments, static, strict=True):
        settings = {key: value for key, value in table.items() if key not in ("name", "rate_constants", *CONDITIONS)}
        unit = settings.get("time_unit")
        rates = numbers_of_rates({**given, **_own_rates(table), **starts}, binding, unit)
        if settings.get("bounds"):
            settings["bounds"] = bounds_in_numbers(settings["bounds"], binding, unit)
        own = {*rates, *(settings.get("bounds") or {})}
        if saturation is not None and (energy := conditions[name].pump_energy) is not None:
            require_no_activation(name, table)
            settings["activation"] = saturated_activation(saturation, energy)
        if at_infinity:
            rates = {**static_starts(scheme, table, rates), **rates}
            settings["refine_rates"] = _static_refinement(name, table, [] if all(static) else once)
        model = occupancies_kinetics(flow_chart, rate_constants=rates or None, verbose=verbose, **settings)
        _scale_second_order(model, binding, own, conditions[name], table)
        models.append(model)
    if pairs and any(model.scheme != scheme for model in models):
        raise ParameterError(
            "equilibrium needs the same initial state, light activation and inf rates in all experiments"
        )
    determining = [model for model, at_infinity in zip(models, static, strict=True) if not at_infinity] or models
    for name in once:
        share_rate(models, determining, name, given_start=name in starts)
    levels = models[0].kinetics.network.rate_parameters()
    joint = build_joint_rates(scheme, options, laws, pairs, levels, conditions, determined=not all(static))
    joint = replace(joint, saturation=saturation)
    for (name, condition), model, at_infinity in zip(conditions.items(), models, static, strict=True):
        if condition.temperature_before is not None:
            require_start(scheme, name, condition, joint, shared, model.tied)
            if model.starts_elsewhere:
                raise ParameterError(
                    f"experiment {name!r} has temperature_before and initial_populations; give one of them"
                )
        model.follow(joint, condition, {} if at_infinity else deviations_of(options, laws))
    if all(static) and (still := [step.name for step in scheme.finite_steps]):
        models[0].shared_remarks = (
            f"every timepoint is at infinite time, where only ratios of rates show: the rates are not refined ("
            f"{', '.join(still)})" + ("" if pairs else "; ask for equilibrium to refine its constants"),
        )
    return models, joint


def _require_concentrations(conditions: Mapping[str, Condition], binding: Sequence[str]) -> None:
    missing = [name for name, each in conditions.items() if each.concentration is None]
    if binding and missing:
        raise ParameterError(
            f"pseudo_first_order = {list(binding)!r} needs the concentration of every experiment; "
            f"{', '.join(missing)} has none"
        )
    if not binding and len(missing) < len(conditions):
        raise ParameterError(
            "concentration means nothing without pseudo_first_order, the transitions whose rate is in proportion to it"
        )


def _leaky(experiments: Tables) -> set[str]:
    """Transitions with an efficiency, in any experiment."""
    found = {name for each in experiments for name, eta in (each.get("efficiencies") or {}).items() if eta != 1.0}
    for each in experiments:
        refined = each.get("refine_efficiencies") or ()
        found |= {refined} if isinstance(refined, str) else set(refined)
    return found


def _own_rates(table: Mapping[str, Any]) -> Mapping[str, Any]:
    own = table.get("rate_constants")
    if own is not None and not isinstance(own, Mapping):
        raise ParameterError(f"rate_constants is a table from transition to rate, e.g. {{'A->B': 2.0}}, not {own!r}")
    return own or {}


def _refuse_own_rates(
    name: str, table: Mapping[str, Any], pairs: Sequence[EquilibriumPair], laws: Collection[str]
) -> None:
    """What follows from a law or an equilibrium is not an experiment's own."""
    own = _own_rates(table)
    if doubled := [each for each in own if each in laws]:
        raise ParameterError(
            f"rate constant of {doubled[0]} in experiment {name!r}: it follows rate_law, so that it is given once for "
            "all experiments, at the reference temperature"
        )
    refined = table.get("refine_rates") or ()
    for pair in pairs:
        for what, names in (
            ("a rate constant of its own", own),
            ("bounds", table.get("bounds") or {}),
            ("a tie", table.get("ties") or {}),
            ("its rate refined", [refined] if isinstance(refined, str) else refined),
            ("a prior", _restrained(table)),
        ):
            if pair.back in names:
                raise ParameterError(
                    f"{pair.back} has {what} in experiment {name!r}, but its rate follows from the equilibrium "
                    f"{pair.name}; leave it out"
                )
        for slave, master in (table.get("ties") or {}).items():
            if pair.back == (master if isinstance(master, str) else master[0]):
                raise ParameterError(
                    f"{slave} is tied to {pair.back}, whose rate follows from the equilibrium {pair.name}; tie it to "
                    f"{pair.forward}"
                )


def _restrained(table: Mapping[str, Any]) -> set[str]:
    """Transitions that priors on rates name."""
    priors = (table.get("regularization") or {}).items()
    return {name for key, value in priors if key.startswith("rate") and isinstance(value, Mapping) for name in value}


def _refuse_shared_backs(shared: Sequence[str], pairs: Sequence[EquilibriumPair]) -> None:
    for pair in pairs:
        if pair.back in shared:
            raise ParameterError(
                f"{pair.back} is shared, but its rate follows from the equilibrium {pair.name}; share {pair.forward}"
            )


def _rates_of_pairs(
    given: Mapping[str, Any],
    pairs: Sequence[EquilibriumPair],
    options: LawOptions,
    binding: Collection[str],
    time_unit: str | None,
) -> tuple[dict[str, Any], LawOptions]:
    """Given rates without those of back steps, whose ratio to the forward one starts the equilibrium constant.

    Raises
    ------
    ParameterError
        For a back rate that contradicts the equilibrium constant given.
    """
    rates = dict(given)
    constants = read_pair_values(options.equilibrium_constants, pairs, "equilibrium_constants", positive=True)
    for pair in pairs:
        if pair.back not in rates:
            continue
        back = number_of_rate(pair.back, rates.pop(pair.back), binding, time_unit)
        if pair.forward not in rates:
            rates[pair.forward] = back * constants.setdefault(pair.name, 1.0)
            continue
        ratio = number_of_rate(pair.forward, rates[pair.forward], binding, time_unit) / back
        if not math.isclose(constants.setdefault(pair.name, ratio), ratio, rel_tol=1e-6):
            raise ParameterError(
                f"the rate constant of {pair.back} contradicts that of {pair.forward} and the equilibrium constant "
                f"{constants[pair.name]:g} of {pair.name}: forward over back is {ratio:g}; leave out one of them"
            )
    return rates, replace(options, equilibrium_constants=constants)


def _static_refinement(name: str, table: Mapping[str, Any], elsewhere: Collection[str]) -> list[str]:
    """No rate is refined by an experiment in which none shows; refuse what asks for it."""
    asked = table.get("refine_rates") or ()
    asked = [asked] if isinstance(asked, str) else list(asked)
    if wrong := [each for each in asked if each not in elsewhere]:
        raise ParameterError(
            f"refine_rates names {', '.join(wrong)}, but every timepoint of experiment {name!r} is at infinite time, "
            "where only equilibrium constants show; ask for equilibrium and leave refine_rates out"
        )
    return []


def _scale_second_order(
    model: occupancies_kinetics,
    binding: Sequence[str],
    own: Collection[str],
    condition: Condition,
    table: Mapping[str, Any],
) -> None:
    """Make the parameter of a pseudo-first-order rate the second-order constant."""
    for name in binding:
        if name not in model.kinetics.network.rate_parameters() or name in model.tied:
            raise ParameterError(f"pseudo_first_order names {name}, which has no rate constant of its own")
        parameter = model.kinetics.network.rate_parameters()[name]
        means = (table.get("regularization") or {}).get("rate_prior_mean")
        known = means.get(name, means.get("default")) if isinstance(means, Mapping) else means
        if parameter.prior is not None and known is None:
            raise ParameterError(
                f"rate_prior_mean of {name} cannot follow from the delays, since its constant is per concentration; "
                "give it"
            )
        if name not in own:
            assert condition.concentration is not None
            parameter.set(parameter.number / condition.concentration)
