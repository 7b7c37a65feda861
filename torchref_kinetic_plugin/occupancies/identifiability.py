"""What a series cannot tell apart, known from the scheme alone: refusals and remarks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from torchref_kinetic_plugin.errors import ParameterError, TimeError
from torchref_kinetic_plugin.kinetics.model import KineticModel

#: Widths around the trigger within which a delay says something of the width and of time zero.
_NEAR = 3.0


def refined_efficiencies(model: KineticModel) -> frozenset[str]:
    """Transitions whose efficiency is refined."""
    free = {name for name, p in model.network.efficiency_parameters().items() if not p.frozen}
    return frozenset(free | (model.network.impulses.refined if model.network.impulses else frozenset()))


def require_identifiable(model: KineticModel) -> None:
    """Refuse to refine what the scheme makes inseparable.

    Raises
    ------
    ParameterError
        Naming the parameters and the reason.
    """
    scheme = model.scheme
    free = refined_efficiencies(model)
    for name in scheme.transitions:
        if name in free and (reason := scheme.efficiency_refusal(name)):
            raise ParameterError(f"the efficiency of {name} cannot be refined: {reason}")
    triggers = [step for step in scheme.steps if scheme.states[step.source] == scheme.initial]
    acts_once = scheme.light_activated or all(step.name in scheme.impulsive for step in triggers)
    if acts_once and len(triggers) == 1 and triggers[0].name in free and model.activation.scale_refined:
        raise ParameterError(
            f"activation and the efficiency of {triggers[0].name}, the only step of the trigger, are one number "
            "(their product); refine one and freeze the other"
        )


def require_delay_after_trigger(models: Sequence[tuple[KineticModel, Tensor]]) -> None:
    """Refuse to refine kinetics against delays that are all before the trigger.

    Parameters
    ----------
    models : sequence of (KineticModel, Tensor)
        Of all experiments, each with its measured times (n_times,).

    Raises
    ------
    TimeError
        When something is refined, time zero is not, and no delay of any experiment is after it.
    """
    refined = any(parameter.requires_grad for model, _ in models for parameter in model.parameters())
    if not refined or any(not model.time_zero.frozen or _reaches_trigger(model, times) for model, times in models):
        return
    raise TimeError(
        "every delay is before the trigger, where nothing has happened yet: no parameter of the kinetics can be "
        "refined; are the signs of the delays, their unit and time_zero right?"
    )


def _reaches_trigger(model: KineticModel, times: Tensor) -> bool:
    width = model.response.width
    reach = _NEAR * width.number if width is not None else 0.0
    return bool((times - model.time_zero.number >= -reach).any())


def remarks(model: KineticModel, times: Tensor) -> list[str]:
    """What is refined although the times or the scheme say little about it, in words.

    Parameters
    ----------
    model : KineticModel
        The model at its present values.
    times : Tensor
        Measured times (n_times,).
    """
    return [*_timing_remarks(model, times), *_efficiency_remarks(model)]


def _timing_remarks(model: KineticModel, times: Tensor) -> list[str]:
    found = []
    delays = times[torch.isfinite(times)] - model.time_zero.number
    width = model.response.width
    sigma = width.number if width is not None else None
    if sigma is not None:
        near = int((delays.abs() <= _NEAR * sigma).sum())
    else:
        # Without a response, a delay is near the trigger when the fastest process is still under way.
        fastest = max((k for k in model.rate_constants().values() if math.isfinite(k)), default=0.0)
        near = int((fastest * delays.abs() <= _NEAR).sum())
    refined = {name: not p.frozen for name, p in model.instrument_parameters().items()}
    if not near and refined.get("width"):
        found.append(
            "instrument_width is refined, but no delay lies within three widths of the trigger: the data "
            "hardly determine it; freeze it"
        )
    if not near and refined["time_zero"]:
        found.append(
            "time_zero is refined, but no delay lies near the trigger: the data hardly determine it; freeze it"
        )
    if sigma is not None:
        refined_rates, rates = model.network.refined_rates(), model.rate_constants()
        for name in (step.name for step in model.scheme.finite_steps):
            rate = rates[name]
            if name in refined_rates and rate * sigma > 1.0:
                found.append(
                    f"the rate constant of {name} is refined, but its time constant {1.0 / rate:.3g} is shorter "
                    f"than the instrument width {sigma:.3g}: the response hides it"
                )
    return found


def _efficiency_remarks(model: KineticModel) -> list[str]:
    """States whose exits have more free numbers than there are places to see them arrive."""
    found = []
    scheme = model.scheme
    free = refined_efficiencies(model)
    for source in {step.source for step in scheme.finite_steps}:
        exits = [step for step in scheme.finite_steps if step.source == source]
        failing = [step for step in exits if step.name in free]
        if not failing:
            continue
        places = {step.target for step in exits} | {step.ground for step in failing}
        rates = [s.name for s in exits if s.name in model.network.refined_rates()]
        if len(rates) + len(failing) > len(places):
            found.append(
                f"the exits of {scheme.states[source]} have {len(rates)} rate constants and {len(failing)} "
                f"efficiencies ({', '.join(s.name for s in failing)}) refined, but only {len(places)} destinations "
                "show: only combinations of them are determined"
            )
    return found
