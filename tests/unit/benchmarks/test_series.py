"""What is timed is the same on both sides."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.framework_series import double_precision, kinetic_model
from benchmarks.series import Series, example, provider, with_timepoints
from torchref_kinetic_plugin.bridge.environment import framework


@pytest.fixture(scope="module")
def series() -> Series:
    return example()


def test_both_fits_start_at_the_same_occupancies(series: Series) -> None:
    ours = provider(series)()[0].detach().numpy()
    theirs = kinetic_model(series)().detach().numpy()
    np.testing.assert_allclose(theirs[:, 0], series.reference_occupancies, atol=1e-6)
    np.testing.assert_allclose(theirs[:, 1:], ours, atol=1e-3)


def test_both_fits_refine_two_rates_and_the_yield(series: Series) -> None:
    ours = [each for each in provider(series).parameters() if each.requires_grad]
    theirs = kinetic_model(series).kinetics
    assert sum(each.numel() for each in ours) == 3
    # And the rate of the trigger, which hardly matters: it is over before the first delay.
    assert sum(each.numel() for each in theirs.parameters() if each.requires_grad) == 4
    theirs()[1:].square().sum().backward()
    slope = theirs.log_rate_constants.grad
    assert abs(slope[0]) < 1e-2 * slope.abs().max()


@pytest.mark.parametrize("n_timepoints", [3, 8, 20])
def test_timepoints_repeat_and_references_stay(series: Series, n_timepoints: int) -> None:
    data, rows = with_timepoints(series.data, n_timepoints)
    assert len(data.times) == n_timepoints
    assert data.n_references == series.data.n_references == 1
    np.testing.assert_array_equal(data.grid.amplitude, series.data.grid.amplitude[rows])
    np.testing.assert_array_equal(rows[1:], 1 + np.arange(n_timepoints) % 8)


def test_double_precision_is_given_back() -> None:
    dtypes = framework("config").dtypes
    before = dtypes.float, dtypes.complex
    with double_precision():
        assert dtypes.float is torch.float64
    assert (dtypes.float, dtypes.complex) == before
