"""A kinetic model from what its user writes: every option checked, each error naming what is allowed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from torchref_kinetic_plugin.errors import ParameterError, UnknownNameError
from torchref_kinetic_plugin.kinetics.activation import Activation
from torchref_kinetic_plugin.kinetics.constraints import Between, Constraint, Positive
from torchref_kinetic_plugin.kinetics.impulses import SUM_TOLERANCE
from torchref_kinetic_plugin.kinetics.instrument import RESPONSES, GaussianResponse, NoResponse, Response
from torchref_kinetic_plugin.kinetics.model import KineticModel
from torchref_kinetic_plugin.kinetics.network import RateNetwork
from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter, as_number
from torchref_kinetic_plugin.kinetics.starts import starting_rates
from torchref_kinetic_plugin.occupancies.regularization import Regularization
from torchref_kinetic_plugin.occupancies.times import rate_in
from torchref_kinetic_plugin.scheme import Scheme

#: Efficiency from which refinement starts when none is given: the middle of its range.
_MIDDLE = 0.5


def read_rates(rates: Mapping[str, Any] | None, time_unit: str | None) -> dict[str, float]:
    """Given rate constants as numbers per time unit, inf where impulsive."""
    if rates is None:
        return {}
    if not isinstance(rates, Mapping):
        raise ParameterError(f"rate_constants is a table from transition to rate, e.g. {{'A->B': 2.0}}, not {rates!r}")
    return {str(name): rate_in(value, time_unit, str(name)) for name, value in rates.items()}


def build_network(
    scheme: Scheme,
    delays: Tensor,
    rates: Mapping[str, float],
    efficiencies: Mapping[str, float] | None,
    regularization: Regularization,
    *,
    initial: Tensor,
    refine_rates: Iterable[str] | None,
    refine_efficiencies: Iterable[str],
    bounds: Mapping[str, tuple[float, float]],
    ties: Mapping[str, tuple[str, float]],
) -> RateNetwork:
    """Rates and efficiencies with their constraints, priors and ties.

    Raises
    ------
    UnknownNameError, ParameterError
        For a name that is no transition, or a value that is not allowed.
    """
    scheme.require_transitions(rates, "rate_constants")
    finite = [step.name for step in scheme.finite_steps]
    refined = finite if refine_rates is None else list(refine_rates)
    for name in _finite_names(scheme, refined, "refine_rates"):
        if name in ties and refine_rates is not None:
            raise ParameterError(f"refine_rates names {name}, which is tied to {ties[name][0]}; refine that one")
    starts = None
    parameters: dict[str, ScalarParameter] = {}
    for name in (name for name in finite if name not in ties):
        constraint = _constraint(bounds.get(name), name)
        value = rates.get(name)
        if value is None and isinstance(constraint, Between):
            value = math.sqrt(constraint.lower * constraint.upper)
        elif value is None:
            starts = starting_rates(scheme, delays.numpy()) if starts is None else starts
            value = starts[name]
        parameters[name] = ScalarParameter(
            f"rate constant of {name}",
            value,
            constraint,
            frozen=name not in refined,
            prior=regularization.rate_prior(name),
        )
    for name, (master, factor) in ties.items():
        given = rates.get(name)
        tied = factor * parameters[master].number
        if given is not None and not math.isclose(given, tied, rel_tol=1e-6):
            raise ParameterError(
                f"rate constant of {name} = {given:g} contradicts its tie to {factor:g} times that of {master} "
                f"({tied:g}); give one of them"
            )
        parameters[name] = parameters[master]
    return RateNetwork(
        scheme,
        {name: parameters[name] for name in finite},
        {name: factor for name, (_, factor) in ties.items()},
        *_read_efficiencies(scheme, efficiencies, refine_efficiencies),
        regularization.efficiency_priors(),
        initial,
    )


def _finite_names(scheme: Scheme, names: Iterable[str], where: str) -> list[str]:
    names = [names] if isinstance(names, str) else list(names)
    for name in names:
        scheme.require_transition(name, where)
        if name in scheme.impulsive:
            raise ParameterError(f"{where} names {name}, whose rate is inf: it has no rate constant")
    return names


def _constraint(bounds: tuple[float, float] | None, name: str) -> Constraint:
    if bounds is None:
        return Positive()
    lower, upper = bounds
    if not (0.0 < lower < upper < math.inf):
        raise ParameterError(
            f"bounds of {name} are {lower:g} to {upper:g}; both must be finite, above 0, the lower one first"
        )
    return Between(lower, upper)


def read_bounds(
    scheme: Scheme, bounds: Mapping[str, Any] | None, time_unit: str | None
) -> dict[str, tuple[float, float]]:
    """Bounds of rate constants, as numbers per time unit."""
    read = {}
    for name in _finite_names(scheme, bounds or {}, "bounds"):
        pair = (bounds or {})[name]
        if isinstance(pair, str) or not isinstance(pair, Iterable) or len(pair := tuple(pair)) != 2:
            raise ParameterError(f"bounds of {name} are a pair (lower, upper), not {pair!r}")
        read[name] = (rate_in(pair[0], time_unit, name), rate_in(pair[1], time_unit, name))
    return read


def read_ties(scheme: Scheme, ties: Mapping[str, Any] | None) -> dict[str, tuple[str, float]]:
    """Ties of rate constants: transition to the one it follows and the factor between them.

    Raises
    ------
    ParameterError
        For a tie to itself, to a transition that is tied too, or a factor that is not above 0.
    """
    read = {}
    for name in _finite_names(scheme, ties or {}, "ties"):
        given = (ties or {})[name]
        master, factor = (given, 1.0) if isinstance(given, str) else given
        _finite_names(scheme, [master], "ties")
        if master == name or master in (ties or {}):
            raise ParameterError(f"{name} is tied to {master}, which is itself tied; name the one that is refined")
        number = as_number(factor, f"factor of the tie of {name}")
        if not (math.isfinite(number) and number > 0.0):
            raise ParameterError(f"factor of the tie of {name} = {number:g}: it must be finite and above 0")
        read[name] = (master, number)
    return read


def _read_efficiencies(
    scheme: Scheme, given: Mapping[str, float] | None, refine: Iterable[str]
) -> tuple[dict[str, float], frozenset[str]]:
    given = {} if given is None else dict(given)
    scheme.require_transitions(given, "efficiencies")
    if isinstance(refine, str):
        refine = [refine]
    refined = frozenset(scheme.require_transition(name, "refine_efficiencies") for name in refine)
    impulses = [step.name for step in scheme.impulses]
    missing = [name for name in impulses if name not in given and name not in refined]
    if len(impulses) > 1 and missing:
        raise ParameterError(
            f"several transitions of rate inf share the molecules of {scheme.initial}: give the efficiencies of "
            f"{', '.join(missing)} (their sum at most 1)"
        )
    middle = _MIDDLE if len(impulses) < 2 else 1.0 / (len(impulses) + 1)
    values = {
        name: given.get(name, (middle if name in impulses else _MIDDLE) if name in refined else 1.0)
        for name in scheme.transitions
    }
    return values, refined


def initial_vector(scheme: Scheme, populations: Mapping[str, float] | None) -> Tensor:
    """Populations (n_states,) before the trigger.

    Raises
    ------
    UnknownNameError
        For a state that does not exist.
    ParameterError
        For populations that are negative or do not sum to 1.
    """
    vector = torch.zeros(len(scheme.states), dtype=torch.float64)
    if populations is None:
        vector[scheme.states.index(scheme.initial)] = 1.0
        return vector
    for state, value in populations.items():
        if state not in scheme.states:
            raise UnknownNameError("state", state, scheme.states, "initial_populations")
        number = as_number(value, f"initial population of {state}")
        if not 0.0 <= number <= 1.0:
            raise ParameterError(f"initial population of {state} = {number:g}: it must lie in [0, 1]")
        vector[scheme.states.index(state)] = number
    total = float(vector.sum())
    if abs(total - 1.0) > SUM_TOLERANCE:
        raise ParameterError(f"initial populations sum to {total:g}; they must sum to 1")
    return vector / total


def build_response(name: str, width: Any, *, refined: bool) -> Response:
    """Build the instrument response that a name asks for.

    Raises
    ------
    UnknownNameError
        For an unknown response.
    ParameterError
        For a width that is not finite and above 0.
    """
    if name not in RESPONSES:
        raise UnknownNameError("response", name, RESPONSES, "instrument_function")
    if name == "none":
        return NoResponse()
    return GaussianResponse(width, frozen=not refined)


def build_model(
    network: RateNetwork,
    response: Response,
    activation: Activation,
    times: Tensor,
    time_zero: float,
    refine_instrument: Iterable[str],
) -> KineticModel:
    """Put the parts together and free the instrument parameters that are to be refined."""
    finite = times[torch.isfinite(times)].abs()
    shortest = float(finite[finite > 0].min()) if bool((finite > 0).any()) else 1.0
    model = KineticModel(network, response, activation, time_zero=time_zero, time_scale=shortest)
    instrument = model.instrument_parameters()
    for name in [refine_instrument] if isinstance(refine_instrument, str) else refine_instrument:
        if name not in instrument:
            raise UnknownNameError("instrument parameter", name, instrument, "refine_instrument")
        instrument[name].unfreeze()
    return model
