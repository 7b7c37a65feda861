"""Observed against possible reflections."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from tests.unit.reflections import crystals
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.reflections import completeness


@pytest.mark.parametrize("group", ["P 21 21 21", "C 1 2 1", "P 31 2 1", "R 3:H", "I 2 3", "P 1"])
def test_all_possible_reflections_are_complete(group: str) -> None:
    hkl = crystals.reflections(group)
    got = completeness(crystals.observations(hkl, np.full(len(hkl), 10.0), group=group))
    assert got.overall.completeness == 1.0
    assert got.overall.n_possible == len(hkl)
    assert [shell.completeness for shell in got.shells] == [1.0] * 10
    assert sum(shell.n_possible for shell in got.shells) == len(hkl)


def test_what_is_missing_is_counted_in_its_shell() -> None:
    hkl = crystals.reflections()
    d = gemmi.UnitCell(*crystals.CELL).calculate_d_array(hkl)
    gone = np.random.default_rng(3).permutation(np.flatnonzero((d < 3.6) & (d > 3.05)))[:100]
    kept = np.delete(hkl, gone, axis=0)
    got = completeness(crystals.observations(kept, np.full(len(kept), 10.0)), n_shells=5)
    assert got.overall.n_possible - got.overall.n_observed == 100
    assert got.overall.completeness == pytest.approx(1.0 - 100 / len(hkl))
    edges = [got.shells[0].d_max, *(shell.d_min for shell in got.shells)]
    assert (np.diff(edges) < 0.0).all()
    # Shells of equal volume hold like numbers.
    volumes = np.diff(np.array(edges) ** -3.0)
    np.testing.assert_allclose(volumes, volumes[0])
    for shell in got.shells:
        missing = int(((d[gone] <= shell.d_max) & (d[gone] > shell.d_min)).sum())
        assert shell.n_possible - shell.n_observed == missing
        assert shell.n_possible == pytest.approx(len(hkl) / 5, rel=0.2)


def test_limits_can_be_given() -> None:
    hkl = crystals.reflections(d_min=3.0)
    made = crystals.observations(hkl, np.full(len(hkl), 10.0))
    got = completeness(made, n_shells=1, d_min=2.55, d_max=19.9)
    possible = gemmi.make_miller_array(made.cell, made.spacegroup, 2.55, 19.9)
    assert got.overall.n_possible == len(possible)
    assert got.overall.n_observed == int((made.resolution <= 19.9).sum())
    empty = completeness(made, n_shells=1, d_min=39.0, d_max=39.1).overall
    assert (empty.n_observed, empty.n_possible) == (0, 0)
    assert np.isnan(empty.completeness)


@pytest.mark.parametrize("options", [{"n_shells": 0}, {"d_min": 5.0, "d_max": 4.0}, {"d_min": -1.0}])
def test_impossible_limits_are_refused(options: dict[str, float]) -> None:
    hkl = crystals.reflections(d_min=5.0)
    with pytest.raises(InputError, match="0 < d_min < d_max is wanted"):
        completeness(crystals.observations(hkl, np.full(len(hkl), 10.0)), **options)  # type: ignore[arg-type]
