import pytest
import torch

from torchref_kinetic_plugin.kinetics.propagation import propagate
from torchref_kinetic_plugin.kinetics.stationary import stationary_populations, strong_components


def matrix(n, edges):
    rates = torch.zeros(n, n, dtype=torch.float64)
    for source, target, rate in edges:
        rates[target, source] += rate
    return rates


def first(n):
    return torch.eye(n, dtype=torch.float64)[0]


def test_branch_divides_by_its_rates():
    result = stationary_populations(matrix(3, [(0, 1, 3e9), (0, 2, 1e9)]), first(3))
    torch.testing.assert_close(result, torch.tensor([0.0, 0.75, 0.25], dtype=torch.float64))


def test_reversible_pair_reaches_its_equilibrium_at_any_ratio():
    result = stationary_populations(matrix(2, [(0, 1, 1e15), (1, 0, 1e-3)]), first(2))
    assert float(result[0]) == pytest.approx(1e-18, rel=1e-14)
    assert float(result[1]) == 1.0


def test_closed_cycle_is_populated_inversely_to_the_exits():
    result = stationary_populations(matrix(3, [(0, 1, 1.0), (1, 2, 2.0), (2, 0, 4.0)]), first(3))
    torch.testing.assert_close(result, torch.tensor([4.0, 2.0, 1.0], dtype=torch.float64) / 7.0)


def test_several_closed_classes_keep_what_reaches_them_and_isolated_states_what_they_have():
    rates = matrix(5, [(0, 1, 1.0), (0, 2, 1.0), (2, 3, 5.0), (3, 2, 15.0)])
    start = torch.tensor([0.8, 0.0, 0.0, 0.0, 0.2], dtype=torch.float64)
    expected = torch.tensor([0.0, 0.4, 0.3, 0.1, 0.2], dtype=torch.float64)
    torch.testing.assert_close(stationary_populations(rates, start), expected)


def test_transient_states_that_feed_each_other():
    rates = matrix(4, [(0, 1, 1.0), (1, 0, 3.0), (1, 2, 1.0), (0, 3, 0.5)])
    long = propagate(rates, first(4), torch.tensor([1e4], dtype=torch.float64))[0]
    torch.testing.assert_close(stationary_populations(rates, first(4)), long, rtol=1e-12, atol=1e-14)


def test_gradcheck():
    edges = [(0, 1, 1.0), (1, 0, 3.0), (1, 2, 1.0), (2, 3, 0.5), (3, 2, 2.0)]
    mask = (matrix(4, edges) > 0).double()
    rates = matrix(4, edges).requires_grad_()
    start = first(4).requires_grad_()
    assert torch.autograd.gradcheck(lambda r, p: stationary_populations(r * mask, p), (rates, start))


def test_strong_components():
    leads = matrix(5, [(0, 1, 1.0), (1, 2, 1.0), (2, 1, 1.0), (3, 0, 1.0)]) > 0
    assert strong_components(leads) == [[0], [1, 2], [3], [4]]
