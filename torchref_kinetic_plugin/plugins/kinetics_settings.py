"""Section ``[kinetics]`` of the refinement file; no torch, so that a file is checked in an instant."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationInfo,
    field_validator,
    model_validator,
)

from torchref_kinetic_plugin.errors import ParameterError, UnknownNameError
from torchref_kinetic_plugin.scheme import Scheme, parse_flow_chart, parse_rate, parse_time


def _rate(value: object) -> object:
    """TOML has an ``inf`` of its own; every other rate needs its unit."""
    text = "inf" if isinstance(value, float) and value == math.inf else value
    parse_rate(text)  # type: ignore[arg-type]  # it refuses what is not text, with a better message
    return text


def _time(value: object) -> object:
    parse_time(value)  # type: ignore[arg-type]  # as for rates
    return value


def _finite_time(value: str) -> str:
    if not math.isfinite(parse_time(value)):
        raise ParameterError(f"{value!r} is not a finite time")
    return value


def _positive_time(value: str) -> str:
    if not 0.0 < parse_time(value) < math.inf:
        raise ParameterError(f"a width is finite and above 0, not {value!r}")
    return value


def _finite_rate(value: str) -> str:
    if not 0.0 < parse_rate(value) < math.inf:
        raise ParameterError(f"this rate is finite and above 0, not {value!r}")
    return value


Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Fraction = Annotated[float, Strict(), Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Strict(), Field(gt=0.0, allow_inf_nan=False)]
Rate = Annotated[str, BeforeValidator(_rate)]
FiniteRate = Annotated[Rate, AfterValidator(_finite_rate)]
Time = Annotated[str, BeforeValidator(_time), AfterValidator(_finite_time)]
Width = Annotated[str, BeforeValidator(_time), AfterValidator(_positive_time)]


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
    shared_rates: list[str] | Literal["all"] = Field(
        default_factory=list,
        description='Transitions whose rate constant is the same in all experiments, or "all"; by default none.',
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
        "shared_rates",
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
                impulsive=[name for name, rate in rates.items() if math.isinf(parse_rate(rate))],
            )
        widths = [self.instrument_width, *(e.instrument_width for e in self.experiments.values())]
        if self.instrument_function == "none" and (any(widths) or "width" in self.refine_instrument):
            raise ParameterError("instrument_width means nothing without instrument_function = 'gaussian'")
        if self.instrument_function == "gaussian" and self.instrument_width is None and not all(widths[1:] or [None]):
            raise ParameterError("instrument_function = 'gaussian' needs an instrument_width, e.g. '50 ns'")
        return self


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
