"""What a user says of rates that several experiments have in common: read, and held against the scheme."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, final

from torchref_kinetic_plugin.errors import ParameterError, UnknownNameError
from torchref_kinetic_plugin.kinetics.parameters import as_number
from torchref_kinetic_plugin.kinetics.thermodynamics import LAWS, RateLaw
from torchref_kinetic_plugin.scheme import EquilibriumPair, Scheme

#: Keys of the table of priors on laws; None is off.
LAW_PRIORS = ("enthalpy_prior_mean", "enthalpy_prior_std", "law_spread")


@final
@dataclass(frozen=True)
class LawOptions:
    """Options of `occupancies_kinetics_multiexperiment` on laws and equilibria, as given; meaning as there."""

    rate_law: str | Mapping[str, str] | None = None
    reference_temperature: float | None = None
    activation_enthalpies: Mapping[str, float] = field(default_factory=dict)
    refine_enthalpies: Iterable[str] | None = None
    equilibrium: Sequence[str] | str = ()
    equilibrium_constants: Mapping[str, float] = field(default_factory=dict)
    reaction_enthalpies: Mapping[str, float] = field(default_factory=dict)
    pseudo_first_order: Sequence[str] = ()
    regularization: Mapping[str, Any] = field(default_factory=dict)

    def as_table(self) -> dict[str, Any]:
        """Plain values."""
        plain: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Mapping):
                plain[each.name] = {k: dict(v) if isinstance(v, Mapping) else v for k, v in value.items()}
            else:
                plain[each.name] = list(value) if isinstance(value, list | tuple | set | frozenset) else value
        return plain


def read_laws(
    scheme: Scheme, options: LawOptions, shared: Collection[str], tied: Collection[str], back: Mapping[str, str]
) -> dict[str, RateLaw]:
    """The law of each transition that has one, in flow-chart order.

    Parameters
    ----------
    scheme : Scheme
        The mechanism.
    options : LawOptions
        What the user says.
    shared, tied : collection of str
        Transitions that are shared, or tied to another.
    back : mapping
        Back step of each pair in equilibrium, to the name of the pair.

    Raises
    ------
    UnknownNameError, ParameterError
        For a law or transition that does not exist, or one whose rate is said twice.
    """
    given = options.rate_law
    if given is None:
        return {}
    finite = [step.name for step in scheme.finite_steps]
    if isinstance(given, str):
        law = _law(given)
        if shared:
            raise ParameterError(
                f"{', '.join(shared)}: shared says one rate constant at all temperatures, and rate_law = {given!r} "
                "another at each; give rate_law as a table of those that follow a law, or 'constant' for some"
            )
        return {name: law for name in finite if name not in tied and name not in back}
    scheme.require_transitions(given, "rate_law")
    for name, value in given.items():
        _law(value)
        if name not in finite:
            raise ParameterError(f"rate_law names {name}, whose rate is inf: it has no rate constant")
        if name in shared:
            raise ParameterError(
                f"{name} is shared, one rate constant at all temperatures, and has rate_law {value!r}; give one of them"
            )
        if name in tied:
            raise ParameterError(f"{name} is tied to another transition and has rate_law {value!r}; give one of them")
        if name in back:
            raise ParameterError(
                f"rate_law names {name}, whose rate follows from the equilibrium {back[name]}; leave it out"
            )
    return {name: LAWS[given[name]] for name in finite if name in given}


def _law(name: object) -> RateLaw:
    if not isinstance(name, str) or name not in LAWS:
        raise UnknownNameError("law", name, LAWS, "rate_law")
    return LAWS[name]


def read_enthalpies(options: LawOptions, laws: Mapping[str, RateLaw]) -> dict[str, float]:
    """Given starts of activation enthalpies (of activation energies with ``arrhenius``), kJ/mol."""
    return {
        name: _finite(value, f"activation enthalpy of {name}")
        for name, value in _with_energy(options.activation_enthalpies, laws, "activation_enthalpies").items()
    }


def read_refined_enthalpies(options: LawOptions, laws: Mapping[str, RateLaw]) -> frozenset[str] | None:
    """Transitions whose enthalpy is refined; None where nothing was said."""
    if options.refine_enthalpies is None:
        return None
    names = options.refine_enthalpies
    names = [names] if isinstance(names, str) else list(names)
    return frozenset(_with_energy(dict.fromkeys(names), laws, "refine_enthalpies"))


def _with_energy(table: Mapping[str, Any], laws: Mapping[str, RateLaw], where: str) -> Mapping[str, Any]:
    allowed = [name for name, law in laws.items() if law.energy_name is not None]
    for name in table:
        if name not in allowed:
            if not allowed:
                raise ParameterError(f"{where} means nothing without rate_law = 'eyring' or 'arrhenius'")
            raise UnknownNameError("transition with an enthalpy", name, allowed, where)
    return table


def read_pair_values(
    given: Mapping[str, Any], pairs: Sequence[EquilibriumPair], where: str, *, positive: bool
) -> dict[str, float]:
    """Numbers by pair; those given for a pair turned round are turned."""
    found: dict[str, float] = {}
    names = {pair.name: pair.name for pair in pairs} | {f"{p.target}<->{p.source}": p.name for p in pairs}
    for key, value in given.items():
        text = key.replace(" ", "")
        if text not in names:
            if not pairs:
                raise ParameterError(f"{where} means nothing without equilibrium")
            raise UnknownNameError("pair in equilibrium", key, [pair.name for pair in pairs], where)
        number = _finite(value, f"{where} of {key}")
        if positive and number <= 0.0:
            raise ParameterError(f"{where} of {key} = {number:g}: it must be above 0")
        turned = text != names[text]
        found[names[text]] = (1.0 / number if positive else -number) if turned else number
    return found


def read_law_priors(options: LawOptions, laws: Mapping[str, RateLaw]) -> dict[str, dict[str, float | None]]:
    """Each of `LAW_PRIORS` by transition that follows a law.

    Raises
    ------
    UnknownNameError, ParameterError
        For an unknown key or transition, a width that is not above 0, or half of a prior.
    """
    table = options.regularization
    for key in table:
        if key not in LAW_PRIORS:
            raise UnknownNameError("key", key, LAW_PRIORS, "regularization of laws")
    found: dict[str, dict[str, float | None]] = {}
    for key in LAW_PRIORS:
        given = table.get(key)
        if given is not None and not laws:
            raise ParameterError(f"regularization {key} means nothing without rate_law")
        values = dict(given) if isinstance(given, Mapping) else {"default": given}
        default = values.pop("default", None)
        for name in values:
            if name not in laws:
                raise UnknownNameError("transition with a law", name, laws, f"regularization {key}")
        found[key] = {name: _prior(values.get(name, default), key, name) for name in laws}
    means, stds = found["enthalpy_prior_mean"], found["enthalpy_prior_std"]
    for name, law in laws.items():
        if law.energy_name is not None and (means[name] is None) != (stds[name] is None):
            raise ParameterError(
                f"the prior on the enthalpy of {name} needs enthalpy_prior_mean and enthalpy_prior_std"
            )
    return found


def _prior(value: Any, key: str, name: str) -> float | None:
    if value is None:
        return None
    number = _finite(value, f"regularization {key} of {name}")
    if key != "enthalpy_prior_mean" and number <= 0.0:
        raise ParameterError(f"regularization {key} = {number:g} for {name}: it must be above 0")
    return number


def _finite(value: Any, label: str) -> float:
    number = as_number(value, label)
    if not math.isfinite(number):
        raise ParameterError(f"{label} = {number:g}: it must be finite")
    return number
