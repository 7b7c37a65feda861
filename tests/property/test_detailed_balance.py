"""Reversible cycles obey detailed balance, whatever their parameters."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchref_kinetic_plugin.occupancies import occupancies_kinetics_multiexperiment

NUMBERS = st.floats(-4.0, 4.0)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(NUMBERS, min_size=20, max_size=20), st.sampled_from(["A<->B,B<->C,C<->A", "B->A,C->B,A->C,A->B,B->C,C->A"])
)
def test_the_product_of_rates_around_a_cycle_is_the_same_both_ways(moves, chart):
    """Kolmogorov's criterion, and no net current at the stationary state, at every temperature."""
    experiments = [
        {"name": f"{t}", "time": [0.3, math.inf], "temperature": t, "temperature_before": t - 20.0}
        for t in (270.0, 295.0, 330.0)
    ]
    model = occupancies_kinetics_multiexperiment(
        chart, experiments, equilibrium="all", rate_law="eyring", regularization={"law_spread": 0.5}, verbose=0
    )
    with torch.no_grad():
        for parameter, move in zip([p for p in model.parameters() if p.requires_grad], moves, strict=False):
            parameter.add_(move)
    for single, (name, k) in zip(model.models, model.get_rate_constants().items(), strict=True):
        onward = k["A->B"] * k["B->C"] * k["C->A"]
        back = k["B->A"] * k["C->B"] * k["A->C"]
        assert math.isclose(onward, back, rel_tol=1e-12), name
        populations = single.populations()[1].tolist()
        index = {state: number for number, state in enumerate(single.scheme.states)}
        for pair in ("AB", "BC", "CA"):
            there = populations[index[pair[0]]] * k[f"{pair[0]}->{pair[1]}"]
            here = populations[index[pair[1]]] * k[f"{pair[1]}->{pair[0]}"]
            assert math.isclose(there, here, rel_tol=1e-10), (name, pair)
        assert abs(single.reference_occupancies().sum().item() - 1.0) < 1e-12
