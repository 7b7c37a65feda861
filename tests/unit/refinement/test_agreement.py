"""R factors and correlations of differences, against arithmetic written here."""

import math

import numpy as np
import pytest
from scipy.optimize import least_squares

from tests.unit.refinement.small_series import provider, series
from torchref_kinetic_plugin.bridge import fit_scales_to_model
from torchref_kinetic_plugin.refinement.agreement import agreements, weighted_mean


@pytest.fixture(scope="module")
def case():
    """A model with gaps and two references, its agreement, and amplitudes on the model's scale by our own fit."""
    model = series(seed=3, n_references=2, noise=0.1, missing=0.05, d_min=3.8)
    occupancies = provider()()[0].detach()
    grid = model.data.grid
    calculated = np.abs(model.mixture(model.with_references(occupancies)).numpy())
    squares = np.stack([*(grid.hkl.T / np.array([40.0, 45.0, 50.0])[:, None]) ** 2])
    observed, sigma = np.empty_like(calculated), np.empty_like(calculated)
    for row in range(len(calculated)):
        used = grid.mask[row] & ~grid.free

        def residual(c, row=row, used=used):
            scale = np.exp(c[0] + c[1:] @ squares[:, used])
            # One component of the error that all datasets share, 20 electrons, on top of the noise.
            error = np.hypot(grid.sigma[row, used], 20.0 / math.sqrt(2.0) * scale)
            return (grid.amplitude[row, used] - scale * calculated[row, used]) / error

        start = [np.log(np.median(grid.amplitude[row, used] / calculated[row, used])), 0.0, 0.0, 0.0]
        c = least_squares(residual, start, loss="huber", f_scale=3.0).x
        scale = np.exp(c[0] + c[1:] @ squares)
        observed[row], sigma[row] = grid.amplitude[row] / scale, grid.sigma[row] / scale
    return model, agreements(model, occupancies), calculated, observed, sigma


def test_one_for_each_dataset_in_order(case):
    model, found, *_ = case
    grid = model.data.grid
    assert [each.dataset for each in found] == ["dark0", "dark1", "t0", "t1", "t2", "t3", "t4", "t5"]
    assert [each.n_work for each in found] == (grid.mask & ~grid.free).sum(1).tolist()
    assert [each.n_free for each in found] == (grid.mask & grid.free).sum(1).tolist()
    assert found[0].n_work < (~grid.free).sum()


def test_r_factors(case):
    model, found, calculated, observed, _ = case
    grid = model.data.grid
    for row, each in enumerate(found):
        for chosen, value in ((~grid.free, each.r_work), (grid.free, each.r_free)):
            seen = chosen & grid.mask[row]
            plain = np.abs(observed[row, seen] - calculated[row, seen]).sum() / observed[row, seen].sum()
            assert value == pytest.approx(plain, abs=0.005), each.dataset
    assert 0.1 < found[0].r_work < 0.3


def correlation(case, row, chosen, observed, sigma):
    """Of one dataset's differences to the weighted mean of two references, reflection by reflection."""
    grid, calculated = case[0].data.grid, case[2]
    pairs = []
    for h in np.flatnonzero(chosen & grid.mask[row]):
        darks = [(observed[i, h], sigma[i, h] ** -2) for i in (0, 1) if grid.mask[i, h]]
        if darks:
            mean = sum(f * w for f, w in darks) / sum(w for _, w in darks)
            pairs.append((observed[row, h] - mean, calculated[row, h] - calculated[0, h]))
    one, other = np.array(pairs).T - np.mean(pairs, axis=0)[:, None]
    return (one @ other) / math.sqrt((one @ one) * (other @ other))


def test_correlations_of_differences(case):
    """Close to those with the scales found here, equal with the same scales."""
    model, found, calculated, observed, sigma = case
    grid = model.data.grid
    assert all(math.isnan(each.cc_diff_work) and math.isnan(each.cc_diff_free) for each in found[:2])
    scales = fit_scales_to_model(
        grid.amplitude, grid.sigma, calculated, grid.hkl, model.data.crystal, use=~grid.free
    ).values(grid.hkl)
    same = grid.amplitude / scales, grid.sigma / scales
    for row in range(2, len(found)):
        for chosen, value in ((~grid.free, found[row].cc_diff_work), (grid.free, found[row].cc_diff_free)):
            assert value == pytest.approx(correlation(case, row, chosen, *same), rel=1e-9), found[row].dataset
            assert value == pytest.approx(correlation(case, row, chosen, observed, sigma), abs=0.04)
    assert all(each.cc_diff_work > 0.3 for each in found[2:-1])


def test_without_references_there_are_no_differences():
    model = series(n_references=0, noise=0.1, d_min=5.0)
    found = agreements(model, provider()()[0].detach())
    assert len(found) == 6
    assert all(math.isnan(each.cc_diff_work) for each in found)
    assert all(0.05 < each.r_work < 0.4 for each in found)


def test_where_nothing_changes_there_is_no_correlation():
    model = series(noise=0.1, d_min=5.0)
    dark = provider("fixed", occupancies={"298K": {"I1": 0.0, "I2": 0.0}})()[0]
    assert all(math.isnan(each.cc_diff_free) for each in agreements(model, dark))


def test_the_weighted_mean_of_references():
    values = np.array([[1.0, 2.0, np.nan, np.nan], [3.0, np.nan, 5.0, np.nan]])
    sigmas = np.array([[1.0, 1.0, np.nan, np.nan], [2.0, np.nan, 0.1, np.nan]])
    np.testing.assert_allclose(weighted_mean(values, sigmas), [1.4, 2.0, 5.0, np.nan])
