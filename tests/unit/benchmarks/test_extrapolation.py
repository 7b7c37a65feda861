from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from benchmarks.extrapolation import calculated_difference, extrapolated, normalized_weights, projected, scanned


def test_q_weights_by_hand():
    # q = 1 / (1 + sigma^2 / <sigma^2> + 0.05 dF^2 / <dF^2>); <sigma^2> = 5, <dF^2> = 10
    found = normalized_weights(np.array([2.0, 4.0, np.nan]), np.array([1.0, 3.0, 1.0]))
    q = np.array([1 / (1 + 1 / 5 + 0.05 * 0.4), 1 / (1 + 9 / 5 + 0.05 * 1.6)])
    assert_allclose(found[:2], q / q.mean())
    assert np.isnan(found[2])


def test_extrapolation_by_hand():
    # Equal differences and sigmas have weights of 1.
    found = extrapolated(np.array([10.0, 20.0]), np.array([2.0, -2.0]), np.array([0.5, 0.5]), 0.25)
    assert_allclose(found.amplitude, [18.0, 12.0])
    assert_allclose(found.sigma, [2.0, 2.0])


def test_what_others_contribute_is_taken_off_and_negative_amplitudes_are_left_out():
    found = extrapolated(np.array([10.0, 5.0]), np.array([2.0, -2.0]), np.array([0.5, 0.5]), 0.25, np.array([1.0, 0.0]))
    assert_allclose(found.amplitude, [14.0, np.nan])
    assert np.isnan(found.sigma[1])


@pytest.fixture
def components():
    rng = np.random.default_rng(5)
    dark = rng.standard_normal((1, 500)) + 1j * rng.standard_normal((1, 500))
    change = rng.standard_normal((2, 500)) + 1j * rng.standard_normal((2, 500))
    return np.concatenate([10.0 * dark, 10.0 * dark + change])


def test_projection_returns_the_occupancies_of_exact_differences(components):
    difference = calculated_difference(components, np.array([0.2, 0.1]))
    difference[7] = np.nan
    found, covariance = projected(difference, np.ones(500), components)
    assert_allclose(found, [0.2, 0.1], atol=1e-7)
    assert_allclose(covariance, 0.0, atol=1e-12)


def test_projection_states_its_error(components):
    rng = np.random.default_rng(6)
    truth = np.array([0.3, 0.15])
    draws = [
        projected(calculated_difference(components, truth) + rng.normal(0.0, 0.4, 500), np.full(500, 3.0), components)
        for _ in range(60)
    ]
    values = np.array([found for found, _ in draws])
    stated = np.sqrt(np.mean([np.diag(covariance) for _, covariance in draws], axis=0))
    assert_allclose(values.mean(axis=0), truth, atol=4.0 * stated.max() / np.sqrt(60))
    assert_allclose(values.std(axis=0), stated, rtol=0.35)


def test_the_scan_finds_the_occupancy_at_given_shares(components):
    shares = np.array([0.75, 0.25])
    difference = calculated_difference(components, 0.32 * shares)
    assert scanned(difference, np.ones(500), components, shares) == pytest.approx(0.32)
