"""Occupancies between the delays."""

import math

import numpy as np
import torch

from tests.unit.refinement.small_series import NAMES, TIMES, provider, series
from torchref_kinetic_plugin.refinement.curves import occupancy_curves
from torchref_kinetic_plugin.refinement.estimates import occupancy_estimates
from torchref_kinetic_plugin.refinement.uncertainty import Uncertainty, estimate_uncertainty


def uncertainty(names, covariance):
    return Uncertainty(names, covariance, (), from_curvature=True, information=np.linalg.pinv(covariance))


def test_curves_pass_through_the_occupancies_with_their_intervals():
    made, model = provider(), series()
    found = estimate_uncertainty([model], made)
    curves = occupancy_curves(made, found, NAMES)
    assert [each.structure for each in curves] == list(NAMES)
    rows = occupancy_estimates([model], [[str(time) for time in TIMES]], NAMES, made, found)
    for curve in curves:
        places = np.log(curve.times_s)
        own = [each for each in rows if each.structure == curve.structure]
        for pick in ("occupancy", "lower", "upper"):
            between = np.interp(np.log(TIMES), places, getattr(curve, pick))
            np.testing.assert_allclose(between, [getattr(each, pick) for each in own], atol=2e-3)
        assert curve.times_s[0] < min(TIMES)
        assert curve.times_s[-1] > max(TIMES)
    total = np.sum([each.occupancy for each in curves], axis=0)
    np.testing.assert_allclose(total, 1.0, atol=1e-12)


def test_errors_are_those_of_differences():
    made = provider()
    module = made.modules_by_experiment[0]
    raw = [each for each in module.parameters() if each.requires_grad]
    covariance = np.diag([0.01, 0.02, 0.03])
    (_, _, third) = occupancy_curves(made, uncertainty(("a", "b", "c"), covariance), NAMES)
    times = torch.tensor(third.times_s, dtype=torch.float64) * 1e9
    variance = np.zeros(len(times))
    for number, each in enumerate(raw):
        ends = []
        with torch.no_grad():
            for step in (1e-5, -2e-5):
                each.add_(step)
                ends.append(module.occupancies_at(times)[2].numpy())
            each.add_(1e-5)
        variance += covariance[number, number] * ((ends[0] - ends[1]) / 2e-5) ** 2
    half = 0.5 * (np.array(third.upper) - np.array(third.lower))
    np.testing.assert_allclose(half, 1.959963984540054 * np.sqrt(variance), atol=1e-7, rtol=1e-4)


def test_without_refined_parameters_there_are_no_intervals():
    found = uncertainty((), np.zeros((0, 0)))
    curves = occupancy_curves(provider(), found, NAMES)
    assert len(curves) == 3
    assert all(each.lower == each.upper == () for each in curves)


def test_negative_and_infinite_delays_leave_curves_where_a_plot_has_room():
    made = provider(times=(-1e-6, 1e-8, 1e-5, math.inf))
    curves = occupancy_curves(made, uncertainty((), np.zeros((0, 0))), NAMES)
    dark = [each for each in curves if each.structure == "dark"]
    assert len(dark) == 2
    before, after = sorted(dark, key=lambda each: each.times_s[0])
    assert before.times_s[0] == -1e-6
    assert set(before.occupancy) == {1.0}
    assert after.times_s[0] > 0.0
    assert all(math.isfinite(time) for time in after.times_s)


def test_free_occupancies_have_no_curves():
    assert occupancy_curves(provider("unrestrained"), uncertainty((), np.zeros((0, 0))), NAMES) == []
