import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import ndtr

from torchref_kinetic_plugin.kinetics.propagation import propagate
from torchref_kinetic_plugin.kinetics.response import WINDOW, convolved_populations


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


CYCLE = torch.zeros(3, 3, dtype=torch.float64)
CYCLE[1, 0], CYCLE[2, 1], CYCLE[0, 2] = 1.0, 0.6, 0.3
BEFORE = tensor(0.9, 0.1, 0.0)
AFTER = tensor(0.2, 0.8, 0.0)


def test_agrees_with_adaptive_quadrature_of_the_convolution_integral():
    sigma = 0.7
    delays = np.array([-5.0, -0.7, 0.0, 0.4, 2.0, 9.0, 30.0])
    observed = convolved_populations(CYCLE, AFTER, BEFORE, torch.from_numpy(delays), tensor(sigma)[0])

    def population(s, state):
        return float(propagate(CYCLE, AFTER, tensor(s))[0, state])

    for delay, row in zip(delays, observed, strict=True):
        for state in range(3):
            low, high = max(0.0, delay - 12 * sigma), max(0.0, delay + 12 * sigma)
            integral, _ = quad(
                lambda s, d=delay, i=state: population(s, i) * np.exp(-0.5 * ((d - s) / sigma) ** 2),
                low, high, points=[max(delay, low)], epsabs=1e-12, limit=200,
            )  # fmt: skip
            expected = float(BEFORE[state]) * ndtr(-delay / sigma) + integral / (sigma * np.sqrt(2 * np.pi))
            assert float(row[state]) == pytest.approx(expected, abs=1e-11)


def test_a_narrow_response_leaves_the_kinetics_as_they_are():
    delays = tensor(-1.0, 0.5, 3.0)
    sharp = torch.cat([BEFORE.unsqueeze(0), propagate(CYCLE, AFTER, delays[1:])])
    torch.testing.assert_close(
        convolved_populations(CYCLE, AFTER, BEFORE, delays, tensor(1e-9)[0]), sharp, atol=1e-15, rtol=1e-12
    )


def test_the_ends_of_the_window_join():
    sigma = tensor(0.3)[0]
    for edge in (-WINDOW * 0.3, WINDOW * 0.3):
        pair = convolved_populations(CYCLE, AFTER, BEFORE, tensor(edge * (1 - 1e-13), edge * (1 + 1e-13)), sigma)
        torch.testing.assert_close(pair[0], pair[1], atol=1e-12, rtol=0)


def test_one_delay_gives_what_many_give():
    delays = tensor(0.4, -0.2, 5.0, 0.4)
    sigma = tensor(0.5)[0]
    many = convolved_populations(CYCLE, AFTER, BEFORE, delays, sigma)
    for row, delay in zip(many, delays, strict=True):
        one = convolved_populations(CYCLE, AFTER, BEFORE, delay.reshape(1), sigma)[0]
        torch.testing.assert_close(one, row, atol=1e-15, rtol=1e-14)


def test_gradcheck_for_everything():
    mask = (CYCLE > 0).double()
    inputs = [CYCLE.clone(), AFTER.clone(), BEFORE.clone(), tensor(-0.5, 0.0, 0.4, 3.0, 20.0), tensor(0.5)[0]]
    assert torch.autograd.gradcheck(
        lambda r, a, b, t, s: convolved_populations(r * mask, a, b, t, s),
        [value.requires_grad_() for value in inputs],
        check_forward_ad=True,
    )
