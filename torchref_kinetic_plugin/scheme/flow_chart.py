"""Flow charts: ``"A->B, B<->C, C->A, D"`` as text to states and transitions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from torchref_kinetic_plugin.errors import FlowChartError

_NAME = re.compile(r"\w[\w']*")
_ARROW = re.compile(r"<->|->")
_LOOKALIKE = re.compile(r"=>|<=>|<=|<-|-->|→|⇌|↔|>|-|=")


@dataclass(frozen=True)
class Transition:
    """One step of a scheme.

    Attributes
    ----------
    source, target : str
        The states it leaves and enters, as written in the flow chart.
    """

    source: str
    target: str

    @property
    def name(self) -> str:
        """``"A->B"``."""
        return f"{self.source}->{self.target}"


@dataclass(frozen=True)
class FlowChart:
    """States and transitions in the order in which the text names them."""

    states: tuple[str, ...]
    transitions: tuple[Transition, ...]

    @property
    def text(self) -> str:
        """The flow chart in its plainest form, one entry a transition or bare state."""
        entries = [step.name for step in self.transitions]
        named = dict.fromkeys(name for step in self.transitions for name in (step.source, step.target))
        bare = [state for state in self.states if state not in named]
        # The order of states matters (the first is the initial one); where transitions alone do not give
        # it, all states are named first.
        if tuple(named) + tuple(bare) == self.states:
            return ",".join([*entries, *bare])
        return ",".join([*self.states, *entries])


def parse_flow_chart(text: str) -> FlowChart:
    """Read a flow chart.

    Entries are separated by commas. An entry is a chain of states joined by ``->`` or ``<->``
    (``A->B->C``, ``A<->B``) or a bare name, a state that does not react. Names are letters, digits,
    underscores and primes. White space is free.

    Parameters
    ----------
    text : str
        The flow chart.

    Returns
    -------
    FlowChart

    Raises
    ------
    FlowChartError
        Empty or unreadable text, a reserved ``*``, a transition of a state to itself, or one named twice.
    """
    if not isinstance(text, str):
        raise FlowChartError(f"a flow chart is text such as 'A->B,B->C', not {type(text).__name__}")
    if not text.strip():
        raise FlowChartError("the flow chart is empty; write transitions such as 'A->B,B->C'")
    states: dict[str, None] = {}
    transitions: dict[Transition, None] = {}
    for number, entry in enumerate(text.split(","), start=1):
        names, arrows = _parse_entry(entry, number, text)
        for name in names:
            states.setdefault(name)
        for left, arrow, right in zip(names, arrows, names[1:], strict=False):
            if left == right:
                raise FlowChartError(
                    f"{left}{arrow}{right} in {text!r} leads from a state to itself; a state's own decay "
                    "needs a state to go to"
                )
            steps = [Transition(left, right)]
            if arrow == "<->":
                steps.append(Transition(right, left))
            for step in steps:
                if step in transitions:
                    raise FlowChartError(
                        f"transition {step.name} stands twice in {text!r}; each transition has one rate constant"
                    )
                transitions[step] = None
    return FlowChart(tuple(states), tuple(transitions))


def _parse_entry(entry: str, number: int, text: str) -> tuple[list[str], list[str]]:
    """Names and arrows of one entry; as many arrows as names, less one."""
    if not entry.strip():
        raise FlowChartError(f"entry {number} of the flow chart {text!r} is empty; remove the extra comma")
    if "*" in entry:
        raise FlowChartError(
            f"'*' in {entry.strip()!r} is reserved for inactive copies of states; write the state without it "
            "and use light_activated for copies that react no more"
        )
    names: list[str] = []
    arrows: list[str] = []
    rest = entry.strip()
    while True:
        name = _NAME.match(rest)
        if name is None:
            raise FlowChartError(_unreadable(entry, rest, "a state's name", text))
        names.append(name.group())
        rest = rest[name.end() :].lstrip()
        if not rest:
            return names, arrows
        arrow = _ARROW.match(rest)
        if arrow is None:
            raise FlowChartError(_unreadable(entry, rest, "'->' or '<->'", text))
        arrows.append(arrow.group())
        rest = rest[arrow.end() :].lstrip()


def _unreadable(entry: str, rest: str, expected: str, text: str) -> str:
    found = f"{rest[:12]!r}" if rest else "the end"
    message = f"cannot read {entry.strip()!r} in the flow chart {text!r}: {expected} expected, {found} found"
    lookalike = _LOOKALIKE.match(rest)
    if lookalike is None:
        return message + "; names are letters, digits, underscores and primes"
    meant = {"<-": "B->A with the states exchanged", "<=": "B->A with the states exchanged"}
    both_ways = lookalike.group() in ("<=>", "⇌", "↔")
    return message + f"; write {meant.get(lookalike.group(), 'A<->B' if both_ways else 'A->B')}"
