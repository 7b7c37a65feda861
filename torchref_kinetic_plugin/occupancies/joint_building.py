"""Laws and equilibria of several experiments, built from what their user says and held against the experiments."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from torchref_kinetic_plugin.errors import ParameterError
from torchref_kinetic_plugin.kinetics.constraints import Free
from torchref_kinetic_plugin.kinetics.equilibria import Equilibria
from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter, as_number
from torchref_kinetic_plugin.kinetics.priors import NormalPrior
from torchref_kinetic_plugin.kinetics.rate_laws import TransitionLaw
from torchref_kinetic_plugin.kinetics.thermodynamics import GAS_CONSTANT, RateLaw
from torchref_kinetic_plugin.occupancies.conditions import Condition
from torchref_kinetic_plugin.occupancies.joint_rates import JointRates
from torchref_kinetic_plugin.occupancies.law_options import (
    LawOptions,
    read_enthalpies,
    read_law_priors,
    read_pair_values,
    read_refined_enthalpies,
)
from torchref_kinetic_plugin.scheme import EquilibriumPair, Scheme
from torchref_kinetic_plugin.scheme.equilibrium import bound_ligands, first_states, state_values

#: Enthalpy of activation from which refinement starts, kJ/mol: a rate doubles every 10 K.
_USUAL_ENTHALPY = 50.0


def build_joint_rates(
    scheme: Scheme,
    options: LawOptions,
    laws: Mapping[str, RateLaw],
    pairs: Sequence[EquilibriumPair],
    levels: Mapping[str, ScalarParameter],
    conditions: Mapping[str, Condition],
    *,
    determined: bool,
) -> JointRates:
    """Build the parameters that all experiments share.

    Parameters
    ----------
    scheme : Scheme
        The mechanism.
    options : LawOptions
        What the user says.
    laws : mapping
        Law of each transition that has one.
    pairs : sequence of EquilibriumPair
        Pairs in equilibrium, their ``equilibrium_constants`` in the options.
    levels : mapping
        Shared rate constant of each transition that has a law.
    conditions : mapping
        Experiment to its conditions.
    determined : bool
        Whether any experiment has a finite delay, without which no rate shows.

    Raises
    ------
    ParameterError
        For temperatures that are missing or too few, and what else contradicts.
    """
    # Refuses values of pairs that are none.
    read_pair_values(options.reaction_enthalpies, pairs, "reaction_enthalpies", positive=False)
    wanted = any(law.energy_name is not None for law in laws.values())
    temperatures = sorted({t for each in conditions.values() for t in each.temperatures})
    if wanted:
        _require_temperatures(conditions, "rate_law")
        if len(temperatures) < 2:
            raise ParameterError(
                f"rate_law needs two temperatures or more to show an enthalpy; all experiments are at "
                f"{temperatures[0]:g} K"
            )
    by_temperature = bool(pairs) and len(temperatures) > 1
    if by_temperature:
        _require_temperatures(conditions, "equilibrium at several temperatures")
    reference = _reference(options, conditions, temperatures) if wanted or by_temperature else None
    if reference is None and options.reference_temperature is not None:
        raise ParameterError("reference_temperature means nothing without rates or equilibria at several temperatures")
    # A raw step of 1 then changes ln k by 1 between the ends of the range, as it does for a rate constant.
    scale = GAS_CONSTANT / (1.0 / temperatures[0] - 1.0 / temperatures[-1]) if reference is not None else 1.0
    return JointRates(
        _transition_laws(options, laws, levels, reference, scale, determined=determined),
        _equilibria(scheme, options, pairs, reference if by_temperature else None, scale) if pairs else None,
        frozenset(options.pseudo_first_order),
        reference,
    )


def _require_temperatures(conditions: Mapping[str, Condition], what: str) -> None:
    if missing := [name for name, each in conditions.items() if each.temperature is None]:
        raise ParameterError(f"{what} needs the temperature of every experiment; {', '.join(missing)} has none")


def _reference(options: LawOptions, conditions: Mapping[str, Condition], temperatures: Sequence[float]) -> float:
    given = options.reference_temperature
    if given is None:
        measured = [each.temperature for each in conditions.values() if each.temperature is not None]
        # Rounded once, so that the order of the experiments does not show.
        return len(measured) / math.fsum(1.0 / t for t in measured)
    number = as_number(given, "reference_temperature")
    if not temperatures[0] <= number <= temperatures[-1]:
        raise ParameterError(
            f"reference_temperature = {number:g} K is outside the temperatures of the experiments, "
            f"{temperatures[0]:g} to {temperatures[-1]:g} K; rate constant and enthalpy would be correlated"
        )
    return number


def _transition_laws(
    options: LawOptions,
    laws: Mapping[str, RateLaw],
    levels: Mapping[str, ScalarParameter],
    reference: float | None,
    scale: float,
    *,
    determined: bool,
) -> dict[str, TransitionLaw]:
    starts = read_enthalpies(options, laws)
    refined = read_refined_enthalpies(options, laws)
    priors = read_law_priors(options, laws)
    if refined and not determined:
        raise ParameterError(
            f"refine_enthalpies names {', '.join(sorted(refined))}, but every timepoint is at infinite time, where "
            "only equilibrium constants show"
        )
    found = {}
    for name, law in laws.items():
        energy = None
        if law.energy_name is not None:
            mean, std = priors["enthalpy_prior_mean"][name], priors["enthalpy_prior_std"][name]
            energy = ScalarParameter(
                f"{law.energy_name} of {name}",
                starts.get(name, _USUAL_ENTHALPY),
                Free(scale),
                frozen=not determined or (refined is not None and name not in refined),
                prior=None if mean is None or std is None else NormalPrior(mean, std),
            )
        # A constant rate is the same at any reference.
        found[name] = TransitionLaw(name, law, 1.0 if reference is None else reference, levels[name], energy)
    return found


def deviations_of(options: LawOptions, laws: Mapping[str, RateLaw]) -> dict[str, ScalarParameter]:
    """Deviation of ln k of one experiment from each law that is not exact, with its restraint."""
    spreads = read_law_priors(options, laws)["law_spread"]
    return {
        name: ScalarParameter(f"deviation of {name} from its law", 0.0, Free(spread), prior=NormalPrior(0.0, spread))
        for name, spread in spreads.items()
        if spread is not None
    }


def _equilibria(
    scheme: Scheme,
    options: LawOptions,
    pairs: Sequence[EquilibriumPair],
    reference: float | None,
    scale: float,
) -> Equilibria:
    constants = read_pair_values(options.equilibrium_constants, pairs, "equilibrium_constants", positive=True)
    enthalpies = read_pair_values(options.reaction_enthalpies, pairs, "reaction_enthalpies", positive=False)
    if enthalpies and reference is None:
        raise ParameterError(
            "reaction_enthalpies mean nothing at a single temperature, where equilibrium constants are all there is"
        )
    logs = {name: math.log(value) for name, value in constants.items()}
    first = first_states(scheme, pairs)
    others = {state: root for state, root in first.items() if state != root}
    log_values = state_values(scheme, pairs, logs, 0.0, "equilibrium_constants")
    energies = state_values(scheme, pairs, enthalpies, 0.0, "reaction_enthalpies")
    return Equilibria(
        tuple(pairs),
        reference,
        {
            state: ScalarParameter(f"ln of the population of {state} over {root}", log_values[state], Free(1.0))
            for state, root in others.items()
        },
        {
            state: ScalarParameter(f"enthalpy of {state} over {root}", energies[state], Free(scale))
            for state, root in (others.items() if reference is not None else ())
        },
        bound_ligands(scheme, pairs, frozenset(options.pseudo_first_order)),
    )


def require_start(
    scheme: Scheme,
    name: str,
    condition: Condition,
    joint: JointRates,
    shared: Collection[str],
    tied: Collection[str],
) -> None:
    """Refuse a temperature before the jump at which the rates are not known.

    Raises
    ------
    ParameterError
        Saying which.
    """
    if condition.temperature is None:
        raise ParameterError(f"experiment {name!r} has temperature_before but no temperature")
    if scheme.light_activated:
        raise ParameterError(
            f"temperature_before of experiment {name!r} means nothing with light_activated: a trigger that acts once "
            "leaves no equilibrium to start from"
        )
    if not joint.depends_on_temperature():
        raise ParameterError(
            f"temperature_before of experiment {name!r} needs rates that depend on temperature, by rate_law or by "
            "equilibrium at several temperatures"
        )
    paired = {
        each for pair in (joint.equilibria.pairs if joint.equilibria else ()) for each in (pair.forward, pair.back)
    }
    finite = [step.name for step in scheme.finite_steps]
    if set(finite) <= paired:
        # In detailed balance only equilibrium constants show in the stationary state.
        return
    known = {*joint.laws, *joint.back, *shared, *tied}
    if unknown := [each for each in finite if each not in known]:
        raise ParameterError(
            f"temperature_before of experiment {name!r}: the rate of {', '.join(unknown)} is known at its temperature "
            "only; give it a rate_law ('constant' for none) or share it"
        )
