"""Schemes on which the model is compared with the exact populations, and the comparison itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

import mpmath as mp
import torch

from tests.reference.exact import Modes, derivative
from torchref_kinetic_plugin.occupancies import occupancies_kinetics

INF = math.inf
ABSOLUTE_GRADIENT = 1e-12
RELATIVE_GRADIENT = 1e-7


@dataclass(frozen=True)
class Case:
    """One scheme with its rates and the times at which it is compared."""

    name: str
    flow_chart: str
    rates: Mapping[str, float]
    times: tuple[float, ...]
    efficiencies: Mapping[str, float] = field(default_factory=dict)
    light_activated: bool = False
    initial_populations: Mapping[str, float] | None = None
    equal: int = 1

    @property
    def fastest(self) -> float:
        """Shortest time constant."""
        return 1.0 / max(k for k in self.rates.values() if math.isfinite(k))

    def states(self) -> list[str]:
        names = dict.fromkeys(s for pair in self.rates for s in pair.split("->"))
        return [*names, "A*"] if self.light_activated else list(names)

    def model(self, sigma: float = 0.0, *, gradients: bool = False) -> occupancies_kinetics:
        response = {"instrument_function": "gaussian", "instrument_width": sigma} if sigma else {}
        free = [name for name in self.efficiencies if name.split("->")[0] != "A" or self.light_activated]
        return occupancies_kinetics(
            self.flow_chart,
            self.times,
            rate_constants=self.rates,
            efficiencies=self.efficiencies,
            light_activated=self.light_activated,
            initial_populations=self.initial_populations,
            refine_efficiencies=free if gradients else (),
            refine_instrument=(["width"] if sigma else []) + ["time_zero"] if gradients else (),
            verbose=0,
            **response,
        )

    def modes(self, log_rates: Mapping[str, object] = {}, logits: Mapping[str, object] = {}) -> Modes:
        """The exact solution, with some ln k or logit eta in place of the given values."""
        names = self.states()
        ground = names.index("A*" if self.light_activated else "A")
        before = [mp.mpf(0)] * len(names)
        if self.initial_populations is None:
            before[0] = mp.mpf(1)
        else:
            for state, value in self.initial_populations.items():
                before[names.index(state)] = mp.mpf(value)
        after = list(before)
        edges = []
        for name, rate in self.rates.items():
            source, target = (names.index(s) for s in name.split("->"))
            target = ground if names[target] == "A" else target
            eta = self._efficiency(name, logits)
            if math.isinf(rate):
                after[target] += before[source] * eta
                after[source] -= before[source] * eta
                continue
            k = mp.exp(log_rates[name]) if name in log_rates else mp.mpf(rate)
            edges.append((source, target, k * eta))
            if source != ground and eta != 1:
                edges.append((source, ground, k * (1 - eta)))
        if self.light_activated and any(math.isinf(rate) for rate in self.rates.values()):
            after[ground] += after[0]
            after[0] = mp.mpf(0)
        return Modes(len(names), edges, before, after, equal=self.equal)

    def _efficiency(self, name: str, logits: Mapping[str, object]) -> mp.mpf:
        if name in logits:
            return 1 / (1 + mp.exp(-mp.mpf(logits[name])))
        return mp.mpf(self.efficiencies.get(name, 1.0))

    def occupancies(self, populations: list[mp.mpf]) -> list[mp.mpf]:
        """A and A* are one structure."""
        return [populations[0] + populations[-1], *populations[1:-1]] if self.light_activated else populations


def _chain(n: int, rate: Callable[[int], float]) -> tuple[str, dict[str, float]]:
    names = "ABCDEFGHIJKL"[:n]
    rates = {f"{a}->{b}": rate(i) for i, (a, b) in enumerate(pairwise(names))}
    return ",".join(rates), rates


_WIDE = (INF, 1e-15, -1.0, 0.0, 3e-12, 1e-9, 2e-6, 1e-3, 0.2, 1.0, 50.0, 1e3, 1e3)
_PLAIN = (5.0, -2.0, 0.0, 0.02, 0.3, 1.0, 1.0, 30.0, INF)
_STIFF12_CHART, _STIFF12 = _chain(12, lambda i: 10.0 ** (15 - 1.8 * i))
_EQUAL12_CHART, _EQUAL12 = _chain(12, lambda _: 2.0)

CASES = [
    Case("decay", "A->B", {"A->B": 0.8}, _PLAIN),
    Case("equal rates, 4 states", *_chain(4, lambda _: 1.7), _PLAIN, equal=4),
    Case("equal rates, 12 states", _EQUAL12_CHART, _EQUAL12, _PLAIN, equal=12),
    Case("closed cycle", "A->B,B->C,C->A", {"A->B": 1.0, "B->C": 1.0, "C->A": 1.0}, _PLAIN),
    Case(
        "closed cycle, 6 states",
        "A->B,B->C,C->D,D->E,E->F,F->A",
        {"A->B": 1.0, "B->C": 2.0, "C->D": 0.5, "D->E": 1.5, "E->F": 1.0, "F->A": 3.0},
        _PLAIN,
    ),
    Case(
        "closed cycle, 12 states",
        ",".join([_EQUAL12_CHART, "L->A"]),
        {**_EQUAL12, "L->A": 2.0},
        _PLAIN,
    ),
    Case(
        "reversible network",
        "A<->B,B<->C,C<->A",
        {"A->B": 1.0, "B->A": 0.3, "B->C": 4.0, "C->B": 0.1, "C->A": 0.2, "A->C": 0.7},
        _PLAIN,
    ),
    Case(
        "branches",
        "A->B,A->C,B->D,C->D,D->E",
        {"A->B": 2.0, "A->C": 0.5, "B->D": 1.0, "C->D": 0.2, "D->E": 0.05},
        _PLAIN,
        efficiencies={"B->D": 0.7, "C->D": 0.4},
    ),
    Case(
        "photocycle",
        "A->B,B->C,C->A",
        {"A->B": INF, "B->C": 2.0, "C->A": 0.04},
        _PLAIN,
        efficiencies={"A->B": 0.3, "B->C": 0.8},
        light_activated=True,
    ),
    Case(
        "photocycle with a finite trigger",
        "A->B,B->C,C->A",
        {"A->B": 30.0, "B->C": 2.0, "C->A": 0.04},
        _PLAIN,
        efficiencies={"A->B": 0.3, "B->C": 0.8},
        light_activated=True,
    ),
    Case(
        "mixture before the trigger",
        "A<->B,B->C",
        {"A->B": 1.0, "B->A": 2.0, "B->C": 0.1},
        _PLAIN,
        initial_populations={"A": 0.7, "B": 0.2, "C": 0.1},
    ),
    Case(
        "rates from 1e-3 to 1e15, fast equilibria",
        "A<->B,B->C,C<->D,D->E",
        {"A->B": 1e15, "B->A": 3e14, "B->C": 1e-3, "C->D": 1e6, "D->C": 2e9, "D->E": 50.0},
        _WIDE,
    ),
    Case(
        "rates from 1e-3 to 1e15, branches",
        "A->B,A->C,B->D,C->D,D->E",
        {"A->B": 1e15, "A->C": 2e15, "B->D": 1e9, "C->D": 1e3, "D->E": 1e-3},
        _WIDE,
        efficiencies={"C->D": 0.25},
    ),
    Case("rates from 1e-5 to 1e15, 12 states", _STIFF12_CHART, _STIFF12, _WIDE),
    Case(
        "12 states with returns",
        _STIFF12_CHART + ",F->E,L->D",
        {**_STIFF12, "F->E": 1e8, "L->D": 0.01},
        _WIDE,
    ),
]  # fmt: skip

#: Response widths in units of the fastest time constant; 0 is no response.
WIDTHS = (0.0, 1e-3, 1.0, 1e3)


@cache
def _modes(name: str) -> Modes:
    return next(case for case in CASES if case.name == name).modes()


@dataclass(frozen=True)
class Errors:
    """Largest errors of a comparison."""

    population: float
    total: float
    outside: float


def population_errors(case: Case, width: float) -> Errors:
    """Compare populations at all times with the exact ones."""
    sigma = width * case.fastest
    computed = case.model(sigma).populations().detach()
    modes = _modes(case.name)
    exact = [modes.at(t, sigma) for t in case.times]
    error = max(
        abs(float(mp.mpf(c) - e))
        for row, reference in zip(computed.tolist(), exact, strict=True)
        for c, e in zip(row, reference, strict=True)
    )
    total = float((computed.sum(1) - 1.0).abs().max())
    outside = float(torch.maximum(-computed, computed - 1.0).max())
    return Errors(error, total, max(outside, 0.0))


def gradient_errors(case: Case, width: float) -> dict[str, float]:
    """Error of each gradient in units of what is allowed: 1e-7 relative, or 1e-12 absolute."""
    sigma = width * case.fastest
    model = case.model(sigma, gradients=True)
    occupancies = model()
    network = model.kinetics.network
    inputs = {f"ln k({name})": p.raw for name, p in network.rate_parameters().items()}
    references = {f"ln k({name})": _rate_derivative(case, name, sigma) for name in network.rate_parameters()}
    shares = dict(network.efficiency_parameters())
    if network.impulses is not None:
        shares |= dict(network.impulses.shares.items())
    for name, share in shares.items():
        if not share.frozen:
            inputs[f"logit eta({name})"] = share.raw
            references[f"logit eta({name})"] = _efficiency_derivative(case, name, sigma)
    modes = _modes(case.name)
    if sigma:
        inputs["ln sigma"] = model.kinetics.response.width.raw
        references["ln sigma"] = _over_times(
            case, lambda t: derivative(lambda s: case.occupancies(modes.at(t, mp.mpf(sigma) * mp.exp(s))), 0)
        )
    inputs["t0"] = model.kinetics.time_zero.raw
    # Per unit of time, not of its raw parameter: slow slopes must not hide behind fast rates.
    units = {"t0": mp.mpf(model.kinetics.time_zero.constraint.scale)}
    references["t0"] = _over_times(case, lambda t: _shift_derivative(case, modes, t, sigma))
    worst = dict.fromkeys(inputs, 0.0)
    for structure in range(occupancies.shape[0]):
        for number, time in enumerate(case.times):
            found = torch.autograd.grad(
                occupancies[structure, number], list(inputs.values()), retain_graph=True, allow_unused=True
            )
            for key, value in zip(inputs, found, strict=True):
                reference = references[key][number]
                if reference is None:
                    continue
                got = mp.mpf(0 if value is None else value.item()) / units.get(key, 1)
                assert mp.isfinite(got), (case.name, key, time)
                error = abs(got - reference[structure])
                allowed = max(RELATIVE_GRADIENT * abs(reference[structure]), ABSOLUTE_GRADIENT)
                worst[key] = max(worst[key], float(error / allowed))
    return worst


def _over_times(case: Case, function: Callable[[float], list[mp.mpf] | None]) -> list[list[mp.mpf] | None]:
    return [function(t) if math.isfinite(t) else [mp.mpf(0)] * len(case.states()) for t in case.times]


def _shift_derivative(case: Case, modes: Modes, t: float, sigma: float) -> list[mp.mpf] | None:
    if not sigma and t <= 0.0:
        # The populations jump at the trigger, where only the side after it has a slope; before it there is none.
        return [mp.mpf(0)] * len(case.states()) if t < 0.0 else None
    slopes = derivative(lambda shift: case.occupancies(modes.at(mp.mpf(t) * (1 - shift), sigma)), 0) if t else None
    if slopes is not None:
        return [s / mp.mpf(t) for s in slopes]
    unit = mp.mpf(sigma)
    slopes = derivative(lambda shift: case.occupancies(modes.at(-unit * shift, sigma)), 0)
    return [s / unit for s in slopes]


def _rate_derivative(case: Case, name: str, sigma: float) -> list[list[mp.mpf]]:
    return _parameter_derivative(case, sigma, mp.log(mp.mpf(case.rates[name])), lambda x: case.modes({name: x}))


def _efficiency_derivative(case: Case, name: str, sigma: float) -> list[list[mp.mpf]]:
    eta = mp.mpf(case.efficiencies[name])
    return _parameter_derivative(case, sigma, mp.log(eta / (1 - eta)), lambda x: case.modes(logits={name: x}))


def _parameter_derivative(
    case: Case, sigma: float, at: mp.mpf, modes_at: Callable[[mp.mpf], Modes]
) -> list[list[mp.mpf]]:
    with mp.workdps(160 + 50 * case.equal):
        h = mp.mpf("1e-20")
        up, down = modes_at(at + h), modes_at(at - h)
        return [
            [
                (u - d) / (2 * h)
                for u, d in zip(case.occupancies(up.at(t, sigma)), case.occupancies(down.at(t, sigma)), strict=True)
            ]
            for t in case.times
        ]
