"""Where a profile is computed and where it has fallen by 1.92, on curves that are known."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from torchref_kinetic_plugin.analysis.tracing import DROP, TracedPoint, limit_of, trace


def traced(drop, sign, *, error=1.0, furthest=25.0, end=math.inf):
    asked = []

    def refit(distance):
        place = math.copysign(min(abs(distance), end), distance)
        asked.append(distance)
        return TracedPoint(place, drop(place), place)

    return trace(refit, sign, error, furthest), asked


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("error", [0.2, 1.0, 3.0])
def test_a_parabola_ends_at_two_standard_errors_whatever_was_expected(sign, error):
    side, asked = traced(lambda t: 0.5 * (t / 0.4) ** 2, sign, error=error)
    assert limit_of(side) == pytest.approx(sign * 1.959964 * 0.4, rel=1e-5)
    assert len(asked) <= 9


def test_where_the_error_is_known_points_fall_where_they_are_wanted():
    side, asked = traced(lambda t: 0.5 * t**2, 1.0)
    np.testing.assert_allclose([point.drop for point in side], [0.3, 1.0, DROP, 3.0], rtol=1e-6)
    assert len(asked) == 4


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_an_asymmetric_curve_has_the_ends_that_a_root_finder_gives(sign):
    def drop(t):
        return 3.0 * (math.exp(t) - 1.0 - t)

    side, _ = traced(drop, sign, error=1.0 / math.sqrt(3.0))
    exact = brentq(lambda t: drop(t) - DROP, *sorted((0.01 * sign, 5.0 * sign)))
    assert limit_of(side) == pytest.approx(exact, rel=2e-3)


def test_a_curve_that_flattens_below_the_limit_has_none_and_is_followed_to_the_end():
    side, asked = traced(lambda t: 1.5 * (1.0 - math.exp(-(t**2))), 1.0)
    assert limit_of(side) is None
    assert side[-1].distance == 25.0
    assert len(asked) < 10


def test_a_curve_that_rises_late_is_found():
    """Flat over many units, then a cliff."""
    side, _ = traced(lambda t: 0.5 * max(0.0, t - 17.0) ** 2, 1.0)
    assert limit_of(side) == pytest.approx(17.0 + 1.959964, abs=0.02)


def test_a_range_that_ends_before_the_limit_has_none():
    side, _ = traced(lambda t: 0.5 * t**2, 1.0, end=1.2)
    assert limit_of(side) is None
    assert side[-1].distance == 1.2
