"""The numbers of docs/accuracy.md, kept."""

import mpmath as mp
import pytest

from tests.reference.cases import CASES, WIDTHS, gradient_errors, population_errors
from tests.reference.exact import Modes, derivative
from tests.reference.oracle import convolved_populations

BY_NAME = {case.name: case for case in CASES}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", BY_NAME)
def test_populations(name, width):
    errors = population_errors(BY_NAME[name], width)
    assert errors.population <= 1e-10
    assert errors.total <= 1e-12
    assert errors.outside <= 1e-12


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", [case.name for case in CASES if "12 states" not in case.name])
def test_gradients(name, width):
    errors = gradient_errors(BY_NAME[name], width)
    assert max(errors.values()) <= 1.0, errors


def test_the_reference_against_closed_forms():
    mp.mp.dps = 60
    # Equal rates: the waiting time is gamma distributed.
    chain = Modes(4, [(i, i + 1, 1.7) for i in range(3)], [1, 0, 0, 0], [1, 0, 0, 0], equal=4)
    x = mp.mpf(1.7) * mp.mpf("0.9")
    for i in range(3):
        assert abs(chain.at(mp.mpf("0.9"))[i] - mp.exp(-x) * x**i / mp.factorial(i)) < 1e-40
    # A closed cycle of equal rates turns with complex eigenvalues k (exp(+-2 pi i / 3) - 1).
    cycle = Modes(3, [(0, 1, 1), (1, 2, 1), (2, 0, 1)], [1, 0, 0], [1, 0, 0])
    expected = (1 + 2 * mp.exp(mp.mpf(-3) / 2) * mp.cos(mp.sqrt(3) / 2)) / 3
    assert abs(cycle.at(1)[0] - expected) < 1e-40
    assert max(abs(p - mp.mpf(1) / 3) for p in cycle.final) < 1e-40
    # One decay behind a Gaussian response, against the integral.
    decay = Modes(2, [(0, 1, 2)], [1, 0], [1, 0])
    integral = mp.quad(lambda s: mp.exp(-2 * s) * mp.npdf(mp.mpf("0.3") - s, 0, mp.mpf("0.5")), [0, 0.3, 2, 10])
    assert abs(decay.at(mp.mpf("0.3"), mp.mpf("0.5"))[0] - integral - mp.erfc(mp.mpf("0.6") / mp.sqrt(2)) / 2) < 1e-25
    assert abs(derivative(lambda v: [mp.exp(v)], 1)[0] - mp.e) < 1e-30


@pytest.mark.parametrize("sigma", ["0.001", "0.7", "200"])
def test_the_reference_against_another(sigma):
    """Modes of the rate matrix and the inverse of its Laplace transform have nothing in common but the answer."""
    edges = [(0, 1, 2.0), (1, 0, 0.5), (1, 2, 2.0), (2, 3, 2.0), (3, 1, 0.25), (2, 4, 1e-3)]
    before, after = [1, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0]
    modes = Modes(5, edges, before, after, equal=2)
    with mp.workdps(60):
        width = mp.mpf(sigma)
        times = [-2 * width, 0, width / 3, 1, 10, 1000]
        for time, row in zip(times, convolved_populations(edges, before, after, times, width), strict=True):
            for one, other in zip(modes.at(time, width), row, strict=True):
                assert abs(one - other) < mp.mpf("1e-40")
