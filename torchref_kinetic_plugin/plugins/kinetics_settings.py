"""Section ``[kinetics]`` of the refinement file; no torch, so that a file is checked in an instant."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationInfo, field_validator, model_validator

from torchref_kinetic_plugin.errors import ParameterError, UnknownNameError
from torchref_kinetic_plugin.plugins.kinetics_rates import require_orders, require_within_bounds
from torchref_kinetic_plugin.plugins.kinetics_values import (
    FiniteRate,
    Fraction,
    Law,
    Number,
    Positive,
    PulseEnergy,
    Rate,
    Time,
    Width,
    number_of,
)
from torchref_kinetic_plugin.scheme import Scheme, parse_flow_chart
from torchref_kinetic_plugin.scheme.equilibrium import equilibrium_pairs

#: Keys of ``[kinetics.regularization]`` that concern laws.
LAW_PRIORS = ("enthalpy_prior_mean", "enthalpy_prior_std", "law_spread")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RegularizationSettings(_Section):
    """Section ``[kinetics.regularization]``: priors, off at a weight of 0.

    Each takes a value, or a table from transition to value with ``default`` for the others.
    """

    rate_prior_weight: Number | dict[str, Number] = Field(default=0.0, description="Weight of the prior on ln k.")
    rate_prior_mean: FiniteRate | dict[str, FiniteRate] | None = Field(
        default=None,
        description='Rate at which the prior is centred, e.g. "1/(1 us)"; by default it follows the delays.',
    )
    rate_prior_std: Positive | dict[str, Positive] = Field(default=2.0, description="Standard deviation of ln k.")
    efficiency_prior_weight: Number | dict[str, Number] = Field(
        default=0.0, description="Weight of the prior that prefers efficiencies near 1."
    )
    enthalpy_prior_mean: Number | dict[str, Number] | None = Field(
        default=None, description="Mean of a normal prior on enthalpies of activation, kJ/mol; by default none."
    )
    enthalpy_prior_std: Positive | dict[str, Positive] | None = Field(
        default=None, description="Its standard deviation, kJ/mol."
    )
    law_spread: Positive | dict[str, Positive] | None = Field(
        default=None,
        description="Standard deviation of ln k of an experiment about its rate_law; by default the law is exact.",
    )


class ActivationLawSettings(_Section):
    """Section ``[kinetics.activation_law]``: activation by the energy of the pump, which saturates."""

    maximum: Fraction = Field(default=1.0, description="Activation by a pulse of any energy.")
    saturation_energy: PulseEnergy | None = Field(
        default=None, description="Energy at which 63 % of it is reached; by default the mean of the experiments."
    )
    refine_maximum: Annotated[bool, Strict()] = Field(default=False, description="Whether the maximum is refined.")
    refine_saturation_energy: Annotated[bool, Strict()] = Field(
        default=True, description="Whether the saturation energy is refined."
    )


class ExperimentKineticsSettings(_Section):
    """Section ``[kinetics.experiments.NAME]``: what one experiment has otherwise than the section above."""

    rate_constants: dict[str, Rate] = Field(default_factory=dict, description="As above, for this experiment.")
    efficiencies: dict[str, Fraction] = Field(default_factory=dict, description="As above, for this experiment.")
    instrument_width: Width | None = Field(default=None, description="As above, for this experiment.")
    time_zero: Time | None = Field(default=None, description="As above, for this experiment.")
    activation: Fraction | None = Field(default=None, description="As above, for this experiment.")


class KineticsSettings(_Section):
    """Section ``[kinetics]``."""

    scheme: str = Field(description="Flow chart, e.g. 'A->B,B->C,C->A'.")
    light_activated: Annotated[bool, Strict()] = Field(
        default=False,
        description="Whether the trigger acts once: what returns to the initial state stays there, inert.",
    )
    initial_state: str | None = Field(
        default=None, description="State on which the trigger acts; by default the first that is named."
    )
    initial_populations: dict[str, Fraction] | None = Field(
        default=None, description="Populations before the trigger, summing to 1; by default all in the initial state."
    )
    state_mapping: dict[str, str] | None = Field(
        default=None, description="State to the name of its structure; may be left out where the names are the same."
    )
    rate_constants: dict[str, Rate] = Field(
        default_factory=dict,
        description='Transition to rate, e.g. "1/(500 ns)", "20 /ms" or "inf"; those left out start where the '
        "delays can observe them.",
    )
    refine_rates: list[str] | None = Field(
        default=None, description="Transitions whose rate constant is refined; by default all finite ones."
    )
    shared: list[str] | Literal["all"] = Field(
        default_factory=list,
        description='Transitions whose rate constant is the same in all experiments, or "all"; by default none.',
    )
    rate_law: Law | dict[str, Law] | None = Field(
        default=None,
        description="How rate constants depend on temperature: one law for all, or a table by transition; by default "
        "each experiment has its own.",
    )
    reference_temperature: Positive | None = Field(
        default=None,
        description="K, at which rate_constants of a law hold; by default the harmonic mean of the experiments.",
    )
    activation_enthalpies: dict[str, Number] = Field(
        default_factory=dict,
        description="Transition to its enthalpy of activation (energy with arrhenius) to start from, kJ/mol; 50.",
    )
    refine_enthalpies: list[str] | None = Field(
        default=None, description="Transitions whose enthalpy is refined; by default all that have one."
    )
    equilibrium: list[str] | Literal["all"] = Field(
        default_factory=list,
        description='Pairs as "A<->B" whose back rate follows from an equilibrium constant, or "all"; by default none.',
    )
    equilibrium_constants: dict[str, Positive] = Field(
        default_factory=dict,
        description="Pair to its constant at the reference temperature to start from, B over A; default 1.",
    )
    reaction_enthalpies: dict[str, Number] = Field(
        default_factory=dict, description="Pair to its enthalpy of reaction to start from, kJ/mol; default 0."
    )
    pseudo_first_order: list[str] = Field(
        default_factory=list,
        description="Transitions whose rate is a second-order constant times the concentration of the experiment.",
    )
    bounds: dict[str, Annotated[list[FiniteRate], Field(min_length=2, max_length=2)]] = Field(
        default_factory=dict, description="Transition to the lowest and highest rate constant allowed."
    )
    ties: dict[str, str | tuple[str, Positive]] = Field(
        default_factory=dict,
        description="Transition to the one whose rate constant it has, or to [transition, factor].",
    )
    efficiencies: dict[str, Fraction] = Field(
        default_factory=dict,
        description="Transition to the fraction that arrives; default 1, or 0.5 where refined.",
    )
    refine_efficiencies: list[str] = Field(
        default_factory=list, description="Transitions whose efficiency is refined; by default none."
    )
    instrument_function: Literal["none", "gaussian"] = Field(default="none", description="Response of the probe.")
    instrument_width: Width | None = Field(
        default=None, description='Its standard deviation (FWHM = 2.355 of these), e.g. "50 ns".'
    )
    time_zero: Time = Field(default="0 s", description="Time of the trigger on the axis of the delays.")
    refine_instrument: list[Literal["width", "time_zero"]] = Field(
        default_factory=list, description="Of 'width' and 'time_zero', those refined; by default none."
    )
    activation: Fraction = Field(default=1.0, description="Fraction of the molecules that the trigger reaches.")
    refine_activation: Annotated[bool, Strict()] = Field(
        default=False, description="Whether the common activation is refined."
    )
    activation_spread: Positive | None = Field(
        default=None,
        description="Standard deviation of the logit of the activation between timepoints; lets each have its own.",
    )
    activation_law: ActivationLawSettings | None = Field(
        default=None, description="How activation depends on the pump_energy of the experiments; by default not."
    )
    regularization: RegularizationSettings = Field(
        default=RegularizationSettings(), description="Priors on rates and efficiencies."
    )
    experiments: dict[str, ExperimentKineticsSettings] = Field(
        default_factory=dict, description="Experiment to what it has otherwise than this section."
    )

    @field_validator("scheme")
    @classmethod
    def _readable(cls, value: str) -> str:
        parse_flow_chart(value)
        return value

    @field_validator(
        "rate_constants",
        "refine_rates",
        "shared",
        "rate_law",
        "activation_enthalpies",
        "refine_enthalpies",
        "pseudo_first_order",
        "bounds",
        "ties",
        "efficiencies",
        "refine_efficiencies",
        "regularization",
        "experiments",
    )
    @classmethod
    def _known_transitions(cls, value: Any, info: ValidationInfo) -> Any:
        # An unreadable scheme has been reported; nothing can be held against it.
        if "scheme" in info.data:
            allowed = [step.name for step in parse_flow_chart(info.data["scheme"]).transitions]
            for name, where in _transitions_named(value, str(info.field_name)):
                if name not in allowed:
                    raise UnknownNameError("transition", name, allowed, where)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for rates in (self.rate_constants, *(e.rate_constants for e in self.experiments.values())):
            Scheme.build(
                self.scheme,
                light_activated=self.light_activated,
                initial=self.initial_state,
                impulsive=[name for name, rate in rates.items() if math.isinf(number_of(rate))],
            )
        _require_rates(self)
        if isinstance(self.rate_law, str) and self.shared == "all":
            raise ParameterError(
                f'shared = "all" says one rate constant at all temperatures, and rate_law = {self.rate_law!r} '
                "another at each; give one of them, or rate_law as a table"
            )
        once = {"shared": shared_transitions(self), "rate_law": _with_law(self)}
        for experiment, own in self.experiments.items():
            for key, names in once.items():
                given = [name for name, rate in own.rate_constants.items() if not math.isinf(number_of(rate))]
                if doubled := [name for name in given if name in names]:
                    raise ParameterError(
                        f"rate_constants of experiment {experiment!r} name {doubled[0]}, which by {key} is given "
                        "once for all experiments"
                    )
        widths = [self.instrument_width, *(e.instrument_width for e in self.experiments.values())]
        if self.instrument_function == "none" and (any(widths) or "width" in self.refine_instrument):
            raise ParameterError("instrument_width means nothing without instrument_function = 'gaussian'")
        if self.instrument_function == "gaussian" and self.instrument_width is None and not all(widths[1:] or [None]):
            raise ParameterError("instrument_function = 'gaussian' needs an instrument_width, e.g. '50 ns'")
        return self


def shared_transitions(settings: KineticsSettings) -> list[str]:
    """Transitions whose rate is shared; ``all`` means those that have a rate of their own."""
    if settings.shared != "all":
        return list(settings.shared)
    tables = [settings.rate_constants, *(e.rate_constants for e in settings.experiments.values())]
    impulsive = {name for table in tables for name, rate in table.items() if math.isinf(number_of(rate))}
    scheme = Scheme.build(
        settings.scheme,
        light_activated=settings.light_activated,
        initial=settings.initial_state,
        impulsive=impulsive,
    )
    back = {pair.back for pair in equilibrium_pairs(scheme, settings.equilibrium)}
    other = {*impulsive, *settings.ties, *_with_law(settings), *back}
    return [name for name in scheme.transitions if name not in other]


def _with_law(settings: KineticsSettings) -> list[str]:
    """Transitions whose rate follows a law, impulses among them where one law is for all."""
    if isinstance(settings.rate_law, str):
        return [step.name for step in parse_flow_chart(settings.scheme).transitions]
    return list(settings.rate_law or ())


def _require_rates(settings: KineticsSettings) -> None:
    """Hold the rates of all tables against each other."""
    starts: dict[str, dict[str, list[str]]] = {
        "rate_constants": {name: [rate] for name, rate in settings.rate_constants.items()}
    }
    for experiment, own in settings.experiments.items():
        starts[f"rate_constants of experiment {experiment!r}"] = {n: [r] for n, r in own.rate_constants.items()}
    means = settings.regularization.rate_prior_mean
    priors = {name: [rate] for name, rate in means.items()} if isinstance(means, dict) else {}
    require_orders({**starts, "bounds": settings.bounds, "rate_prior_mean": priors}, settings.pseudo_first_order)
    require_within_bounds(starts, settings.bounds)


def _transitions_named(value: object, where: str) -> Iterable[tuple[str, str]]:
    """Every transition that a setting names, with the key under which it does."""
    if isinstance(value, RegularizationSettings):
        for key, entry in value:
            if isinstance(entry, dict):
                yield from ((name, f"{where}.{key}") for name in entry if name != "default")
    elif where == "experiments" and isinstance(value, dict):
        for experiment, settings in value.items():
            yield from ((name, f"rate_constants of experiment {experiment!r}") for name in settings.rate_constants)
            yield from ((name, f"efficiencies of experiment {experiment!r}") for name in settings.efficiencies)
    elif isinstance(value, dict | list):
        yield from ((name, where) for name in value)
    if where == "ties" and isinstance(value, dict):
        yield from ((master if isinstance(master, str) else master[0], where) for master in value.values())
