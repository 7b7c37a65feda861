"""All datasets on one list of reflections."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.reflections import crystals
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.reflections import Observations, merge_grid, one_free_set

HKL = crystals.reflections(d_min=3.0)
N = len(HKL)


def series(count: int, missing: float) -> list[Observations]:
    random = np.random.default_rng(4)
    made = []
    for number in range(count):
        rows = np.flatnonzero(random.uniform(size=N) >= missing)
        values = 10.0 + random.uniform(size=len(rows))
        made.append(crystals.observations(random.permutation(HKL[rows]), values, path=f"{number}.mtz"))
    return made


def test_each_value_stands_where_its_reflection_does() -> None:
    datasets = series(5, 0.3)
    grid = merge_grid(datasets, one_free_set(datasets[0], datasets[1:], seed=1))
    assert grid.paths == ("0.mtz", "1.mtz", "2.mtz", "3.mtz", "4.mtz")
    assert grid.amplitude.shape == (5, len(grid.hkl))
    column = {tuple(h): i for i, h in enumerate(grid.hkl.tolist())}
    for row, each in enumerate(datasets):
        place = [column[tuple(h)] for h in each.hkl.tolist()]
        for name in ("amplitude", "sigma", "intensity", "intensity_sigma"):
            np.testing.assert_array_equal(getattr(grid, name)[row, place], getattr(each, name))
            assert np.isnan(np.delete(getattr(grid, name)[row], place)).all()
        assert grid.mask[row].sum() == len(each)
    np.testing.assert_allclose(grid.resolution, grid.cell.calculate_d_array(grid.hkl))
    zero = (grid.hkl == 0).sum(axis=1)
    # In P 21 21 21 a reflection with an index zero is centric, and those on an axis are twice as strong.
    np.testing.assert_array_equal(grid.centric, zero >= 1)
    np.testing.assert_array_equal(grid.epsilon, np.where(zero == 2, 2.0, 1.0))


def test_what_one_lacks_is_missing_there_and_nowhere_else() -> None:
    datasets = series(64, 0.1)
    grid = merge_grid(datasets, one_free_set(datasets[0], datasets[1:], seed=1))
    assert grid.mask.sum() == sum(len(each) for each in datasets)
    assert grid.mask.mean() >= 0.89
    assert len(grid.hkl) == N


def test_the_free_set_is_that_of_the_experiment() -> None:
    datasets = series(3, 0.5)
    chosen = one_free_set(datasets[0], datasets[1:], seed=1, validation_fraction=0.1)
    grid = merge_grid(datasets, chosen)
    assert len(grid.hkl) == len(chosen.hkl)
    np.testing.assert_array_equal(grid.free, chosen.free)
    np.testing.assert_array_equal(grid.validation, chosen.validation)
    # A free set made of one dataset answers for all.
    alone = merge_grid(datasets, one_free_set(datasets[0], seed=1, validation_fraction=0.1))
    np.testing.assert_array_equal(alone.free, grid.free)


def test_the_order_of_datasets_is_kept_and_nothing_else_depends_on_it() -> None:
    datasets = series(4, 0.3)
    chosen = one_free_set(datasets[0], datasets[1:], seed=1)
    grid, turned = merge_grid(datasets, chosen), merge_grid(datasets[::-1], chosen)
    np.testing.assert_array_equal(grid.hkl, turned.hkl)
    np.testing.assert_array_equal(grid.amplitude, turned.amplitude[::-1])


def test_other_crystals_are_refused_and_cell_changes_told() -> None:
    first = series(1, 0.0)[0]
    chosen = one_free_set(first, seed=1)
    cell = (30.03, 36.0, 42.0, 90.0, 90.0, 90.0)
    close = crystals.observations(HKL, np.full(N, 10.0), cell=cell, path="close.mtz")
    grid = merge_grid([first, close], chosen)
    assert grid.cell.parameters == crystals.CELL
    assert grid.cell_changes[0].text == ""
    assert grid.cell_changes[1].relative[0] == pytest.approx(0.001)
    with pytest.raises(InputError, match="is not isomorphous"):
        merge_grid([first, close], chosen, tolerance=1e-4)
    with pytest.raises(InputError, match="no datasets"):
        merge_grid([], chosen)
    other = crystals.observations(HKL, np.full(N, 10.0), group="P 1 21 1", path="other.mtz")
    with pytest.raises(InputError, match="the free set is in space group P 21 21 21, 'other.mtz' in P 1 21 1"):
        merge_grid([other], chosen)
