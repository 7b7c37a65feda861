"""Section ``[kinetics]`` for another scheme: what it says of states and transitions that the other scheme has too."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from torchref_kinetic_plugin.errors import MappingError, listing
from torchref_kinetic_plugin.plugins.kinetics_settings import KineticsSettings
from torchref_kinetic_plugin.plugins.kinetics_values import number_of
from torchref_kinetic_plugin.scheme import FlowChart, parse_flow_chart

#: Keys that are tables, or lists, of transitions.
_OF_TRANSITIONS = (
    "rate_constants",
    "efficiencies",
    "bounds",
    "ties",
    "activation_enthalpies",
    "rate_law",
    "shared",
    "refine_rates",
    "refine_enthalpies",
    "pseudo_first_order",
    "refine_efficiencies",
)
_OF_PAIRS = ("equilibrium", "equilibrium_constants", "reaction_enthalpies")
_OF_STATES = ("state_mapping", "initial_populations")
#: Largest sum of efficiencies that several impulses start from: some room to grow.
_MOST_EXCITED = 0.9


def alternative_section(section: Mapping[str, Any], scheme: str) -> dict[str, Any]:
    """A section for another scheme on the same structures.

    What is said of states and transitions that the scheme does not have is dropped. A transition that only it has
    starts where the delays can see it; but one out of the initial state, where the section has the trigger act at once
    (``inf``), is an impulse too: what they excite is shared equally at the start, and refined.

    Parameters
    ----------
    section : mapping
        As it stands in a refinement file; it is valid.
    scheme : str
        Flow chart.

    Raises
    ------
    FlowChartError
        For an unreadable flow chart.
    MappingError
        For a state without a structure.
    """
    chart = parse_flow_chart(scheme)
    _require_structures(section, chart)
    names = {step.name for step in chart.transitions}
    pairs = {f"{step.source}<->{step.target}" for step in chart.transitions if f"{step.target}->{step.source}" in names}
    changed: dict[str, Any] = {**section, "scheme": scheme}
    for key, known in (
        *((key, names) for key in _OF_TRANSITIONS),
        *((key, pairs) for key in _OF_PAIRS),
        *((key, set(chart.states)) for key in _OF_STATES),
    ):
        if key in changed:
            changed[key] = _restricted(changed[key], known)
    if "ties" in changed:
        changed["ties"] = {name: to for name, to in changed["ties"].items() if _master(to) in names}
    if "regularization" in changed:
        changed["regularization"] = {
            key: _restricted(value, {*names, "default"}) if isinstance(value, Mapping) else value
            for key, value in changed["regularization"].items()
        }
    if "experiments" in changed:
        changed["experiments"] = {
            name: {
                key: _restricted(value, names) if isinstance(value, Mapping) else value for key, value in own.items()
            }
            for name, own in changed["experiments"].items()
        }
    return _with_impulses(section, changed, chart)


def structures_of(section: Mapping[str, Any]) -> set[str]:
    """Names of the structures that the states of a section have."""
    states = parse_flow_chart(section["scheme"]).states
    mapping = section.get("state_mapping")
    return set(states) if mapping is None else {mapping[state] for state in states}


def _require_structures(section: Mapping[str, Any], chart: FlowChart) -> None:
    known = section.get("state_mapping") or dict.fromkeys(parse_flow_chart(section["scheme"]).states)
    if missing := [state for state in chart.states if state not in known]:
        raise MappingError(
            f"scheme {chart.text!r}: no structure is known of {', '.join(missing)}; the section's state_mapping must "
            f"name every state of every scheme; {listing(known)}"
        )


def _restricted(value: Any, known: Collection[str]) -> Any:
    if isinstance(value, Mapping):
        return {name: entry for name, entry in value.items() if name in known}
    if isinstance(value, list):
        return [name for name in value if name in known]
    return value


def _master(tie: Any) -> str:
    return str(tie if isinstance(tie, str) else tie[0])


def _with_impulses(section: Mapping[str, Any], changed: dict[str, Any], chart: FlowChart) -> dict[str, Any]:
    """The section with new exits of the initial state at once, and with new finite rates refined."""
    settings = KineticsSettings.model_validate(dict(section))
    before = {step.name for step in parse_flow_chart(settings.scheme).transitions}
    new = [step for step in chart.transitions if step.name not in before]
    initial = settings.initial_state or chart.states[0]
    tables = (settings.rate_constants, *(own.rate_constants for own in settings.experiments.values()))
    impulses = {name for table in tables for name, rate in table.items() if math.isinf(number_of(rate))}
    exits = [step.name for step in new if step.source == initial] if impulses else []
    if settings.refine_rates is not None:
        finite = [step.name for step in new if step.name not in exits]
        changed["refine_rates"] = [*changed["refine_rates"], *finite]
    if not exits:
        return changed
    kept = [step.name for step in chart.transitions if step.name in impulses]
    refined = set(settings.refine_efficiencies)
    excited = sum(settings.efficiencies.get(name, 0.5 if name in refined else 1.0) for name in impulses)
    several = [*kept, *exits]
    share = min(excited, _MOST_EXCITED if len(several) > 1 else 1.0) / len(several)
    changed["rate_constants"] = {**changed.get("rate_constants", {}), **dict.fromkeys(exits, "inf")}
    changed["efficiencies"] = {**changed.get("efficiencies", {}), **dict.fromkeys(several, share)}
    if len(several) > 1 or refined & impulses:
        others = [name for name in changed.get("refine_efficiencies", []) if name not in several]
        changed["refine_efficiencies"] = [*others, *several]
    return changed
