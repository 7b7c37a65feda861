"""What the model leaves, by resolution."""

import itertools

import numpy as np
import pytest

from tests.unit.refinement.small_series import TIMES, provider, series
from torchref_kinetic_plugin.refinement.agreement import agreements, scaled_amplitudes
from torchref_kinetic_plugin.refinement.residuals import mean_sigma, shell_residuals


def occupancies():
    return provider()()[0].detach()


def test_shells_hold_every_reflection_once():
    model = series(missing=0.1, n_references=2)
    rows = shell_residuals(model, occupancies())
    names = model.data.datasets
    assert list(dict.fromkeys(each.dataset for each in rows)) == list(names)
    shells = {(each.d_max, each.d_min) for each in rows}
    assert len(rows) == len(names) * len(shells)
    for row, name in enumerate(names):
        own = [each for each in rows if each.dataset == name]
        assert sum(each.n_reflections for each in own) == model.data.grid.mask[row].sum()
        assert all(high.d_min >= low.d_max - 1e-9 for high, low in itertools.pairwise(own))
        with_reference = model.data.grid.mask[row] & model.data.grid.mask[:2].any(axis=0)
        assert sum(each.n_differences for each in own) == (0 if row < 2 else with_reference.sum())


def test_r_of_the_shells_is_r_of_all():
    model = series(missing=0.1)
    rows = shell_residuals(model, occupancies())
    scaled = scaled_amplitudes(model, occupancies())
    observed, calculated = scaled.observed, scaled.calculated
    for row, name in enumerate(model.data.datasets):
        seen = model.data.grid.mask[row]
        expected = np.abs(observed[row] - calculated[row])[seen].sum() / observed[row][seen].sum()
        total, error = 0.0, 0.0
        for each in (each for each in rows if each.dataset == name):
            d = model.data.grid.resolution
            shell = seen & (d <= each.d_max) & (d >= each.d_min)
            total += observed[row][shell].sum()
            error += each.r * observed[row][shell].sum()
        assert error / total == pytest.approx(expected, rel=1e-3)
        (agreement,) = (each for each in agreements(model, occupancies()) if each.dataset == name)
        assert min(agreement.r_work, agreement.r_free) <= expected <= max(agreement.r_work, agreement.r_free)


def test_at_the_truth_differences_are_as_large_as_errors_and_a_wrong_timepoint_stands_out():
    # With noise this large nothing else counts: neither phase errors, nor where the change is.
    model = series(noise=0.2)
    rows = shell_residuals(model, occupancies())
    right = [each.difference for each in rows if each.difference is not None]
    assert np.median(right) == pytest.approx(1.0, abs=0.05)
    model = series(noise=0.03)
    wrong = occupancies().clone()
    wrong[:, 2] = wrong[:, 5]
    rows = shell_residuals(model, wrong)
    by_point = {
        name: np.mean([each.difference for each in rows if each.dataset == name])
        for name in model.data.datasets[model.data.n_references :]
    }
    assert max(by_point, key=by_point.get) == model.data.datasets[model.data.n_references + 2]


def test_without_references_there_are_no_differences():
    model = series(n_references=0)
    rows = shell_residuals(model, occupancies())
    assert len({each.dataset for each in rows}) == len(TIMES)
    assert all(each.difference is None and each.n_differences == 0 for each in rows)
    assert all(0.0 < each.r < 1.0 for each in rows)


def test_standard_error_of_a_weighted_mean():
    sigmas = np.array([[3.0, np.nan, 1.0, np.nan], [4.0, 2.0, 1.0, np.nan]])
    np.testing.assert_allclose(mean_sigma(sigmas), [2.4, 2.0, 2.0**-0.5, np.nan])
