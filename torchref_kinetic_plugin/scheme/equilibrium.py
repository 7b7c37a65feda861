"""Pairs of transitions in equilibrium: which back rates follow from which, and starting constants of states."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from torchref_kinetic_plugin.errors import ParameterError, UnknownNameError
from torchref_kinetic_plugin.scheme.scheme import Scheme


@final
@dataclass(frozen=True)
class EquilibriumPair:
    """Two states with transitions both ways; K is the population of the target over that of the source."""

    source: str
    target: str

    @property
    def name(self) -> str:
        """``"A<->B"``."""
        return f"{self.source}<->{self.target}"

    @property
    def forward(self) -> str:
        """``"A->B"``, whose rate constant is a parameter."""
        return f"{self.source}->{self.target}"

    @property
    def back(self) -> str:
        """``"B->A"``, whose rate constant follows."""
        return f"{self.target}->{self.source}"


def equilibrium_pairs(scheme: Scheme, asked: Sequence[str] | str, leaky: Collection[str] = ()) -> list[EquilibriumPair]:
    """Read the pairs that are asked for and refuse what contradicts detailed balance.

    Parameters
    ----------
    scheme : Scheme
        The mechanism.
    asked : sequence of str or "all"
        As ``["A<->B"]``; "all" are all transitions that run both ways, the forward one named first.
    leaky : collection of str
        Transitions whose efficiency is not 1, or refined.

    Raises
    ------
    UnknownNameError
        For what is not such a pair.
    ParameterError
        For a pair in a scheme that is light-activated, with an ``inf`` rate, with an efficiency, or on a cycle with a
        step that is not in equilibrium.
    """
    possible = reversible_pairs(scheme)
    if isinstance(asked, str) and asked != "all":
        raise ParameterError(f'equilibrium is a list of pairs or "all"; write [{asked!r}]')
    if asked == "all":
        if not possible:
            raise ParameterError('equilibrium = "all": no two states of the scheme have transitions both ways')
        pairs = possible
    else:
        pairs = [_pair(name, possible) for name in asked]
    states = [frozenset((pair.source, pair.target)) for pair in pairs]
    for pair, both in zip(pairs, states, strict=True):
        if states.count(both) > 1:
            raise ParameterError(f"equilibrium names the pair {pair.name} twice")
    if pairs and scheme.light_activated:
        raise ParameterError(
            f"equilibrium of {pairs[0].name}: with light_activated what returns to {scheme.initial} reacts no more, so "
            "nothing is in equilibrium"
        )
    for pair in pairs:
        for name in (pair.forward, pair.back):
            if name in scheme.impulsive:
                raise ParameterError(
                    f"equilibrium of {pair.name}: the rate of {name} is inf, an impulse that acts once"
                )
            if name in leaky:
                raise ParameterError(
                    f"equilibrium of {pair.name}: {name} has an efficiency, and what fails to arrive breaks detailed "
                    "balance; leave the efficiency at 1"
                )
    _refuse_driven_cycles(scheme, pairs, leaky)
    return pairs


def reversible_pairs(scheme: Scheme) -> list[EquilibriumPair]:
    """All pairs of states with finite transitions both ways, the one named first forward."""
    names = [step.name for step in scheme.finite_steps]
    found = [EquilibriumPair(step.source, step.target) for step in scheme.chart.transitions if step.name in names]
    return [pair for number, pair in enumerate(found, start=1) if pair.back in names[number:]]


def _pair(name: object, possible: Sequence[EquilibriumPair]) -> EquilibriumPair:
    allowed = {pair.name: pair for pair in possible}
    turned = {f"{pair.target}<->{pair.source}": EquilibriumPair(pair.target, pair.source) for pair in possible}
    text = name.replace(" ", "") if isinstance(name, str) else name
    found = (allowed | turned).get(text) if isinstance(text, str) else None
    if found is None:
        raise UnknownNameError("pair of transitions", name, allowed, "equilibrium")
    return found


def _refuse_driven_cycles(scheme: Scheme, pairs: Sequence[EquilibriumPair], leaky: Collection[str]) -> None:
    """A pair on a cycle with a step that is not in equilibrium has a current through it, so no detailed balance."""
    balanced = {frozenset((pair.source, pair.target)): pair for pair in pairs}
    others: dict[frozenset[str], str] = {}
    for step in scheme.finite_steps:
        ends = [(step.source, step.target)] + ([(step.source, step.ground)] if step.name in leaky else [])
        for source, target in ends:
            edge = frozenset((scheme.states[source], scheme.states[target]))
            if len(edge) == 2 and edge not in balanced:
                others.setdefault(edge, step.name)
    for component in _blocks([*balanced, *others]):
        driven = [others[edge] for edge in component if edge in others]
        tied = [balanced[edge] for edge in component if edge in balanced]
        if driven and tied:
            raise ParameterError(
                f"equilibrium of {tied[0].name} is refused: it lies on a cycle with {', '.join(driven)}, which is not "
                "in equilibrium; a cycle that is driven round has a net current through every step, so no step of it "
                "obeys detailed balance. Ask for equilibrium of all steps of the cycle or of none"
            )


def _blocks(edges: Sequence[frozenset[str]]) -> list[list[frozenset[str]]]:
    """Edges grouped by the cycles they lie on together: the biconnected components (Hopcroft & Tarjan 1973)."""
    neighbours: dict[str, list[str]] = {}
    for edge in edges:
        a, b = sorted(edge)
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    depth: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[frozenset[str]] = []
    found: list[list[frozenset[str]]] = []

    def visit(state: str, parent: str | None) -> None:
        depth[state] = low[state] = len(depth)
        for other in neighbours[state]:
            edge = frozenset((state, other))
            if other not in depth:
                stack.append(edge)
                visit(other, state)
                low[state] = min(low[state], low[other])
                if low[other] >= depth[state]:
                    block = stack[stack.index(edge) :]
                    del stack[stack.index(edge) :]
                    found.append(block)
            elif other != parent and depth[other] < depth[state]:
                stack.append(edge)
                low[state] = min(low[state], depth[other])

    for state in neighbours:
        if state not in depth:
            visit(state, None)
    return found


def first_states(scheme: Scheme, pairs: Iterable[EquilibriumPair]) -> dict[str, str]:
    """First state, in flow-chart order, of the connected group of each state that a pair names."""
    group: dict[str, str] = {}
    links = [(pair.source, pair.target) for pair in pairs]
    for state in scheme.states:
        if state in group or not any(state in link for link in links):
            continue
        frontier = [state]
        while frontier:
            here = frontier.pop()
            group[here] = state
            frontier += [b if a == here else a for a, b in links if here in (a, b) and not {a, b} <= group.keys()]
    return group


def state_values(
    scheme: Scheme, pairs: Sequence[EquilibriumPair], given: Mapping[str, float], default: float, what: str
) -> dict[str, float]:
    """Values of states whose differences are those given for pairs; 0 for the first state of each group.

    Parameters
    ----------
    scheme : Scheme
        The mechanism.
    pairs : sequence of EquilibriumPair
        Target minus source is what is given.
    given : mapping
        Pair to value.
    default : float
        Of a pair that is neither given nor follows from the others around a cycle.
    what : str
        For messages.

    Raises
    ------
    ParameterError
        For values that contradict each other around a cycle.
    """
    found: dict[str, float] = {}
    groups: dict[str, list[str]] = {}
    # Given ones first: what closes a cycle then follows from them.
    for pair in [*(p for p in pairs if p.name in given), *(p for p in pairs if p.name not in given)]:
        difference = given.get(pair.name, default)
        for state in (pair.source, pair.target):
            if state not in found:
                found[state] = 0.0
                groups[state] = [state]
        if groups[pair.source] is groups[pair.target]:
            follows = found[pair.target] - found[pair.source]
            if pair.name in given and not math.isclose(follows, difference, rel_tol=1e-6, abs_tol=1e-6):
                raise ParameterError(
                    f"{what} of {pair.name} contradicts those of the other pairs on its cycle, from which it follows; "
                    "leave it out"
                )
            continue
        shift = found[pair.source] + difference - found[pair.target]
        joined = groups[pair.source] + groups[pair.target]
        for state in groups[pair.target]:
            found[state] += shift
        for state in joined:
            groups[state] = joined
    first = first_states(scheme, pairs)
    return {state: value - found[first[state]] for state, value in found.items()}


def bound_ligands(scheme: Scheme, pairs: Sequence[EquilibriumPair], binding: Collection[str]) -> dict[str, int]:
    """Ligands bound by each state of a pair, over the first state of its group.

    Raises
    ------
    ParameterError
        When binding and release around a cycle do not cancel.
    """
    change = {pair.name: float((pair.forward in binding) - (pair.back in binding)) for pair in pairs}
    for pair in pairs:
        if pair.forward in binding and pair.back in binding:
            raise ParameterError(
                f"pseudo_first_order names {pair.forward} and {pair.back}, which are in equilibrium: if one binds, the "
                "other releases"
            )
    try:
        values = state_values(scheme, pairs, change, 0.0, "binding")
    except ParameterError:
        raise ParameterError(
            "pseudo_first_order: around a cycle in equilibrium as many steps must bind as release; one that binds is "
            "missing or too many"
        ) from None
    return {state: round(value) for state, value in values.items()}
