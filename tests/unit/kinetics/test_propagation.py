import math

import numpy as np
import pytest
import scipy.linalg
import torch

from torchref_kinetic_plugin.kinetics.flow import relax, time_derivative
from torchref_kinetic_plugin.kinetics.propagation import build_chain, propagate


def rate_matrix(n, edges):
    rates = torch.zeros(n, n, dtype=torch.float64)
    for source, target, rate in edges:
        rates[target, source] += rate
    return rates


def generator(rates):
    return rates - torch.diag(rates.sum(0))


NETWORK = rate_matrix(4, [(0, 1, 1.3), (1, 0, 0.7), (1, 2, 2.0), (2, 3, 0.1), (3, 1, 0.4)])
START = torch.tensor([0.7, 0.2, 0.1, 0.0], dtype=torch.float64)


def test_single_decay_is_an_exponential():
    rates = rate_matrix(2, [(0, 1, 0.37)])
    times = torch.tensor([0.0, 1e-9, 0.1, 1.0, 30.0, 1e4], dtype=torch.float64)
    populations = propagate(rates, torch.tensor([1.0, 0.0], dtype=torch.float64), times)
    np.testing.assert_allclose(populations[:, 0], torch.exp(-0.37 * times), rtol=1e-13, atol=0)
    np.testing.assert_allclose(populations[:, 1], -torch.expm1(-0.37 * times), rtol=1e-13, atol=0)


def test_agrees_with_scipy_on_a_network_with_cycles():
    times = torch.tensor([0.0, 0.01, 0.5, 3.0, 40.0], dtype=torch.float64)
    expected = [scipy.linalg.expm(generator(NETWORK).numpy() * float(t)) @ START.numpy() for t in times]
    np.testing.assert_allclose(propagate(NETWORK, START, times), expected, atol=1e-14)


def test_a_slow_rate_survives_beside_a_fast_one():
    # In a float64 K the slow exit is lost in the diagonal; here C fills at the rate the equilibrium allows.
    rates = rate_matrix(3, [(0, 1, 1e15), (1, 0, 1e15), (1, 2, 1e-3)])
    times = torch.tensor([1.0, 100.0], dtype=torch.float64)
    populations = propagate(rates, torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64), times)
    np.testing.assert_allclose(populations[:, 2], -torch.expm1(-0.5e-3 * times), rtol=1e-12)


def test_rows_may_start_apart():
    times = torch.tensor([0.3, 0.3, 2.0], dtype=torch.float64)
    starts = torch.eye(4, dtype=torch.float64)[:3]
    together = propagate(NETWORK, starts, times)
    for row in range(3):
        torch.testing.assert_close(together[row], propagate(NETWORK, starts[row], times[row : row + 1])[0])


def test_a_longer_chain_serves_shorter_times():
    times = torch.tensor([0.2, 1.7], dtype=torch.float64)
    chain = build_chain(NETWORK, 1e6)
    assert torch.equal(propagate(NETWORK, START, times, chain=chain), propagate(NETWORK, START, times))


def test_no_rates_and_no_times():
    still = torch.zeros(2, 2, dtype=torch.float64)
    start = torch.tensor([0.25, 0.75], dtype=torch.float64)
    times = torch.tensor([0.0, 5.0], dtype=torch.float64)
    assert torch.equal(propagate(still, start, times), start.expand(2, 2))
    assert torch.equal(time_derivative(still, start, times), torch.zeros(2, 2, dtype=torch.float64))
    assert propagate(NETWORK, START, times[:0]).shape == (0, 4)


def test_gradcheck_in_both_modes():
    times = torch.tensor([0.0, 0.01, 0.5, 3.0, 40.0], dtype=torch.float64)
    mask = (NETWORK > 0).double()
    rates = NETWORK.clone().requires_grad_()
    start = START.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda r, p: propagate(r * mask, p, times), (rates, start), check_forward_ad=True)


def test_gradients_stay_finite_and_right_for_equal_rates():
    # P_C = 1 - exp(-kt)(1 + kt) for A->B->C at equal rates: dP_C/dk1 = dP_C/dk2 = k t^2 exp(-kt) / 2.
    k, t = 0.8, 1.5
    rates = rate_matrix(3, [(0, 1, k), (1, 2, k)]).requires_grad_()
    start = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    propagate(rates, start, torch.tensor([t], dtype=torch.float64))[0, 2].backward()
    expected = k * t**2 * math.exp(-k * t) / 2
    assert float(rates.grad[1, 0]) == pytest.approx(expected, rel=1e-13)
    assert float(rates.grad[2, 1]) == pytest.approx(expected, rel=1e-13)


def test_time_derivative_is_K_P_where_that_can_be_formed():
    times = torch.tensor([0.0, 0.01, 0.5, 3.0], dtype=torch.float64)
    expected = propagate(NETWORK, START, times) @ generator(NETWORK).T
    torch.testing.assert_close(time_derivative(NETWORK, START, times), expected, rtol=1e-12, atol=1e-15)


def test_time_derivative_keeps_its_relative_accuracy_in_a_fast_equilibrium():
    # A<->B at 1e15 share what the slow exit leaves: d(A+B)/dt = -k/2 (A+B), half of it each.
    rates = rate_matrix(3, [(0, 1, 1e15), (1, 0, 1e15), (1, 2, 1e-3)])
    start = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    slope = time_derivative(rates, start, torch.tensor([1.0, 1000.0], dtype=torch.float64))
    flow = 0.5e-3 * np.exp(-0.5e-3 * np.array([1.0, 1000.0]))
    np.testing.assert_allclose(slope, np.outer(flow, [-0.5, -0.5, 1.0]), rtol=1e-11)


def test_time_derivative_survives_a_fast_branch():
    rates = rate_matrix(4, [(0, 1, 1e15), (0, 2, 1e15), (1, 3, 1e-3)])
    start = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    slope = time_derivative(rates, start, torch.tensor([1.0], dtype=torch.float64))[0]
    flow = 0.5e-3 * math.exp(-1e-3)
    np.testing.assert_allclose(slope, [0.0, -flow, 0.0, flow], rtol=1e-11, atol=1e-25)


def test_relax_is_propagate_for_differences():
    times = torch.tensor([0.0, 0.4, 7.0, 1.0], dtype=torch.float64)
    moves = torch.tensor([[1.0, -1.0, 0.0, 0.0]], dtype=torch.float64).expand(4, 4)
    torch.testing.assert_close(relax(NETWORK, moves, times), propagate(NETWORK, moves, times), rtol=1e-12, atol=1e-16)
