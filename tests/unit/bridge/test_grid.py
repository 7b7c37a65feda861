"""Datasets on one list of reflections."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.bridge import crystals
from torchref_kinetic_plugin.bridge import one_grid
from torchref_kinetic_plugin.errors import CrystalError, ShapeError


@pytest.mark.parametrize("group", crystals.GROUPS)
def test_every_observation_is_kept_where_it_was_measured(group: str) -> None:
    where, random = crystals.crystal(group), np.random.default_rng(2)
    every = crystals.reflections(where, 2.0)
    true = {tuple(h): float(i + 1) for i, h in enumerate(where.to_asu(every).tolist())}
    operations = where.space_group.operations().sym_ops
    datasets, counts = [], []
    for _ in range(4):
        chosen = random.permutation(np.flatnonzero(random.uniform(size=len(every)) > 0.1))
        # Each reflection as any of its equivalents.
        images = np.array(
            [
                np.array(operations[random.integers(len(operations))].apply_to_hkl([int(i) for i in h]))
                * random.choice([-1, 1])
                for h in every[chosen]
            ],
            dtype=np.int32,
        )
        values = np.array([true[tuple(h)] for h in where.to_asu(images).tolist()])
        datasets.append((images, values, np.ones(len(chosen))))
        counts.append(len(chosen))
    grid = one_grid(datasets, where)
    np.testing.assert_array_equal(grid.present.sum(axis=1), counts)
    expected = np.array([true[tuple(h)] for h in grid.hkl.tolist()])
    for row in grid.amplitudes:
        np.testing.assert_array_equal(row[np.isfinite(row)], expected[np.isfinite(row)])
    assert len(np.unique(grid.hkl, axis=0)) == len(grid.hkl)
    np.testing.assert_array_equal(where.to_asu(grid.hkl), grid.hkl)


def test_values_without_a_sigma_are_no_observations() -> None:
    where = crystals.crystal("P 1")
    hkl = crystals.reflections(where, 6.0)
    amplitudes, sigmas = np.ones(len(hkl)), np.ones(len(hkl))
    sigmas[:3] = 0.0, -1.0, np.nan
    amplitudes[3] = np.inf
    grid = one_grid([(hkl, amplitudes, sigmas)], where)
    assert grid.present.sum() == len(hkl) - 4
    np.testing.assert_array_equal(np.isfinite(grid.sigmas), grid.present)


def test_bad_datasets_are_refused_by_name() -> None:
    where = crystals.crystal("P 21 21 21")
    hkl, one = np.array([[1, 2, 3], [-1, 2, -3]], dtype=np.int32), np.ones(2)
    with pytest.raises(CrystalError, match="dark has 1 reflections more than once"):
        one_grid([(hkl, one, one)], where, ["dark"])
    with pytest.raises(ShapeError, match="dataset 1: 2 indices, 1 amplitudes and 2 sigmas"):
        one_grid([(hkl, one[:1], one)], where)
    with pytest.raises(CrystalError, match="no reflections"):
        one_grid([(hkl[:0], one[:0], one[:0])], where)
    with pytest.raises(CrystalError, match="no datasets"):
        one_grid([], where)
