"""Invariants of populations over random schemes."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchref_kinetic_plugin.occupancies import occupancies_kinetics

STATES = "ABCDEF"


@st.composite
def schemes(draw):
    """Arguments of a random scheme with rates over eighteen decades."""
    n = draw(st.integers(2, len(STATES)))
    pairs = [(a, b) for a in STATES[:n] for b in STATES[:n] if a != b]
    edges = draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=8, unique=True))
    names = [f"{a}->{b}" for a, b in edges]
    initial = edges[0][0]
    light = draw(st.booleans())
    rates = {name: 10.0 ** draw(st.floats(-6, 12)) for name in names}
    efficiencies = {name: draw(st.floats(0, 1)) for name in names}
    exits = [name for name, (a, _) in zip(names, edges, strict=True) if a == initial]
    if draw(st.booleans()):
        rates[exits[0]] = math.inf
    response = draw(st.sampled_from([{}, {"instrument_function": "gaussian"}]))
    if response:
        response = response | {"instrument_width": 10.0 ** draw(st.floats(-12, 6))}
    return {
        "flow_chart": ",".join(names), "rate_constants": rates, "efficiencies": efficiencies, "light_activated": light,
        "activation": draw(st.floats(0, 1)), "initial_state": initial, "refine_instrument": (), "verbose": 0, **response,
    }  # fmt: skip


TIMES = st.lists(
    st.one_of(st.floats(-1e3, 1e6), st.floats(-12, 6).map(lambda x: 10.0**x), st.just(math.inf), st.just(0.0)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(schemes(), TIMES)
def test_populations_are_populations(scheme, times):
    populations = occupancies_kinetics(time=times, **scheme).populations().detach()
    assert float((populations.sum(1) - 1.0).abs().max()) <= 1e-12
    assert float(populations.min()) >= -1e-12
    assert float(populations.max()) <= 1.0 + 1e-12


@settings(max_examples=60, deadline=None)
@given(schemes(), TIMES, st.randoms(use_true_random=False))
def test_order_of_times_does_not_matter(scheme, times, random):
    order = list(range(len(times)))
    random.shuffle(order)
    straight = occupancies_kinetics(time=times, **scheme)()
    shuffled = occupancies_kinetics(time=[times[i] for i in order], **scheme)()
    torch.testing.assert_close(shuffled, straight[:, order], atol=1e-13, rtol=1e-11)


@settings(max_examples=60, deadline=None)
@given(schemes(), TIMES)
def test_names_and_order_of_states_do_not_matter(scheme, times):
    plain = occupancies_kinetics(time=times, **scheme)
    rename = {state: f"x{number}" for number, state in enumerate(reversed(STATES))}

    def renamed(name):
        return "->".join(rename[s] for s in name.split("->"))

    other = dict(scheme)
    # All states named first, in another order.
    other["flow_chart"] = ",".join(
        [*sorted(rename[s] for s in plain.scheme.chart.states), *map(renamed, plain.scheme.transitions)]
    )
    for key in ("rate_constants", "efficiencies"):
        other[key] = {renamed(name): value for name, value in scheme[key].items()}
    other["initial_state"] = rename[scheme["initial_state"]]
    moved = occupancies_kinetics(time=times, **other)
    columns = [
        moved.scheme.states.index(rename[s.rstrip("*")] + ("*" if s.endswith("*") else "")) for s in plain.scheme.states
    ]
    torch.testing.assert_close(moved.populations()[:, columns], plain.populations(), atol=1e-13, rtol=1e-10)


@settings(max_examples=60, deadline=None)
@given(schemes(), st.floats(-6, 4).map(lambda x: 10.0**x), st.floats(-6, 4).map(lambda x: 10.0**x))
def test_later_populations_follow_from_earlier_ones(scheme, s, t):
    """P(s + t) = exp(K t) P(s)."""
    scheme = {
        k: v for k, v in scheme.items() if k not in ("instrument_function", "instrument_width", "refine_instrument")
    }
    scheme |= {"activation": 1.0}
    model = occupancies_kinetics(time=[s, s + t], **scheme)
    first, second = model.populations().detach()
    rates = model.kinetics.network.rate_matrix().detach()
    from torchref_kinetic_plugin.kinetics.propagation import propagate

    later = propagate(rates, first, torch.tensor([(s + t) - s], dtype=torch.float64))[0]
    torch.testing.assert_close(later, second, atol=1e-12, rtol=0)


@settings(max_examples=40, deadline=None)
@given(schemes(), TIMES)
def test_gradients_are_finite(scheme, times):
    model = occupancies_kinetics(time=times, **scheme)
    model.unfreeze_instrument(list(model.kinetics.instrument_parameters()))
    (model() * torch.arange(1.0, model.nstates + 1, dtype=torch.float64).unsqueeze(1)).sum().backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert torch.isfinite(parameter.grad), name
