"""Which of the refined quantities stand for all, and what raw information says about them."""

import numpy as np
import pytest

from torchref_kinetic_plugin.analysis.coordinates import Coordinate
from torchref_kinetic_plugin.analysis.quantities import IndependentQuantities, Quantity

N_RAW = 6


def quantity(name, slope):
    return Quantity(("298K", "occupancy", name), 0.5, "", Coordinate("linear"), np.asarray(slope), name)


@pytest.fixture
def raw():
    root = np.random.default_rng(0).standard_normal((N_RAW, 2 * N_RAW))
    return root @ root.T


def slopes(*sizes):
    return np.array(sizes)[:, None] * np.random.default_rng(1).standard_normal((len(sizes), N_RAW))


def test_information_is_the_inverse_of_the_propagated_covariance(raw):
    directions = slopes(1.0, 0.3, 2.0)
    found = IndependentQuantities([quantity(str(row), each) for row, each in enumerate(directions)])
    expected = np.linalg.inv(directions @ np.linalg.inv(raw) @ directions.T)
    np.testing.assert_allclose(found.information(raw), expected, rtol=1e-10)


@pytest.mark.parametrize("small", [1e-3, 1e-6, 6e-7, 1e-8])
def test_a_quantity_that_hardly_moves_is_one_of_them(raw, small):
    """Singular values of the slopes say nothing of how many there are."""
    directions = slopes(1.0, small, 2.0)
    found = IndependentQuantities([quantity(str(row), each) for row, each in enumerate(directions)])
    assert [each.name for each in found.quantities] == ["0", "1", "2"]
    expected = np.linalg.inv(directions @ np.linalg.inv(raw) @ directions.T)
    np.testing.assert_allclose(found.information(raw), expected, rtol=1e-7, atol=1e-9 / small)


@pytest.mark.parametrize("small", [0.0, 6.6e-16])
def test_a_quantity_at_the_end_of_its_range_is_left_out_without_a_warning(raw, small):
    directions = slopes(1.0, small, 2.0)
    found = IndependentQuantities([quantity(str(row), each) for row, each in enumerate(directions)])
    assert [each.name for each in found.quantities] == ["0", "2"]
    moving = directions[[0, 2]]
    expected = np.linalg.inv(moving @ np.linalg.inv(raw) @ moving.T)
    np.testing.assert_allclose(found.information(raw), expected, rtol=1e-10)


def test_of_several_that_say_the_same_the_first_stays():
    one, two = slopes(1.0, 1.0)
    found = IndependentQuantities(
        [quantity("a", one), quantity("b", 3.0 * one), quantity("c", two), quantity("d", one - two)]
    )
    assert [each.name for each in found.quantities] == ["a", "c"]


def test_without_any_there_is_no_information():
    assert IndependentQuantities([]).quantities == ()
