"""A scheme: a flow chart with its initial state, its trigger and where each failure falls back to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from torchref_kinetic_plugin.errors import FlowChartError, ParameterError, UnknownNameError
from torchref_kinetic_plugin.scheme.flow_chart import FlowChart, parse_flow_chart


@dataclass(frozen=True)
class Step:
    """One transition, resolved to state indices.

    Attributes
    ----------
    name : str
        As the user wrote it, e.g. ``"C->A"``, also where it leads to A*.
    source, target : int
        Where the molecules come from, and where the fraction ``eta`` goes.
    ground : int
        Where the fraction ``1 - eta`` goes: the initial state or its inactive copy.
    """

    name: str
    source: int
    target: int
    ground: int


@dataclass(frozen=True)
class Scheme:
    """A kinetic mechanism without numbers.

    Attributes
    ----------
    chart : FlowChart
        States and transitions as written.
    initial : str
        The state that the trigger acts on.
    light_activated : bool
        Whether the trigger acts once: what returns to the initial state becomes its inactive copy.
    impulsive : frozenset of str
        Transitions of infinite rate, which act once at the trigger.
    """

    chart: FlowChart
    initial: str
    light_activated: bool
    impulsive: frozenset[str]

    @classmethod
    def build(
        cls,
        flow_chart: str,
        *,
        light_activated: bool = False,
        initial: str | None = None,
        impulsive: Iterable[str] = (),
    ) -> Scheme:
        """Read a flow chart and check that its parts fit together.

        Raises
        ------
        FlowChartError
            For an unreadable flow chart, or light activation without a transition out of the initial state.
        UnknownNameError
            For an initial state or an impulsive transition that the chart does not have.
        ParameterError
            For an infinite rate that does not leave the initial state.
        """
        chart = parse_flow_chart(flow_chart)
        start = chart.states[0] if initial is None else initial
        if start not in chart.states:
            raise UnknownNameError("state", start, chart.states, "initial_state")
        scheme = cls(chart, start, bool(light_activated), frozenset(impulsive))
        leaving = {step.name for step in chart.transitions if step.source == start}
        if light_activated and not leaving:
            raise FlowChartError(
                f"light_activated needs a transition out of the initial state {start!r} in {flow_chart!r}"
            )
        for name in scheme.impulsive:
            scheme.require_transition(name, "rate_constants")
            if name not in leaving:
                raise ParameterError(
                    f"the rate of {name} is inf, but only transitions out of the initial state {start!r} can "
                    "be impulses at the trigger; give a finite rate"
                )
        return scheme

    @property
    def inactive(self) -> str | None:
        """Name of the inactive copy of the initial state, if there is one."""
        return f"{self.initial}*" if self.light_activated else None

    @cached_property
    def states(self) -> tuple[str, ...]:
        """All states in flow-chart order, the inactive copy last."""
        return self.chart.states + ((self.inactive,) if self.inactive else ())

    @cached_property
    def transitions(self) -> tuple[str, ...]:
        """Names of all transitions in flow-chart order."""
        return tuple(step.name for step in self.chart.transitions)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """All transitions resolved to indices, returns to the initial state redirected to its copy."""
        index = {state: number for number, state in enumerate(self.states)}
        ground = index[self.inactive or self.initial]
        return tuple(
            Step(
                step.name,
                index[step.source],
                ground if step.target == self.initial else index[step.target],
                ground,
            )
            for step in self.chart.transitions
        )

    @property
    def finite_steps(self) -> tuple[Step, ...]:
        """The transitions that have a rate constant."""
        return tuple(step for step in self.steps if step.name not in self.impulsive)

    @property
    def impulses(self) -> tuple[Step, ...]:
        """The transitions that act once, at the trigger."""
        return tuple(step for step in self.steps if step.name in self.impulsive)

    def require_transition(self, name: object, where: str) -> str:
        """Return the name if the scheme has such a transition, else raise `UnknownNameError`."""
        if not isinstance(name, str) or name not in self.transitions:
            raise UnknownNameError("transition", name, self.transitions, where)
        return name

    def require_transitions(self, names: Collection[str] | Mapping[str, object], where: str) -> None:
        """Raise `UnknownNameError` for the first name that is not a transition."""
        if isinstance(names, str):
            raise ParameterError(f"{where} is a list of transitions; write [{names!r}]")
        for name in names:
            self.require_transition(name, where)

    def efficiency_refusal(self, name: str) -> str | None:
        """Say why the efficiency of a transition cannot be told apart from its rate, or None if it can."""
        step = self.steps[self.transitions.index(name)]
        if step.target == step.ground:
            return f"{name} leads into the ground state, where its failures go too: success and failure coincide"
        if step.source == step.ground and name not in self.impulsive:
            return (
                f"{name} leaves the initial state of a scheme that is not light-activated: what fails returns to "
                "where it was, so only the effective rate (efficiency times rate constant) shows; refine the "
                "rate constant"
            )
        return None

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """Fewest transitions from the initial state to each state; 0 where it cannot be reached."""
        depth = {self.states.index(self.initial): 0}
        frontier = list(depth)
        while frontier:
            found = [step.target for state in frontier for step in self.steps if step.source == state]
            deeper = depth[frontier[0]] + 1
            frontier = [state for state in dict.fromkeys(found) if state not in depth]
            depth.update(dict.fromkeys(frontier, deeper))
        return tuple(depth.get(state, 0) for state in range(len(self.states)))
