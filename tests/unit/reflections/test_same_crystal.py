"""Space groups and cells against each other."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.reflections import crystals
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.reflections import Observations, check_same_crystal

HKL = crystals.reflections(d_min=5.0)


def dataset(group: str = "P 21 21 21", cell: tuple[float, ...] = crystals.CELL, path: str = "b.mtz") -> Observations:
    return crystals.observations(HKL, np.full(len(HKL), 10.0), group=group, cell=cell, path=path)


REFERENCE = dataset(path="a.mtz")


def test_the_same_cell_has_nothing_to_say() -> None:
    change = check_same_crystal(REFERENCE, dataset())
    assert change.relative == (0.0,) * 6
    assert (change.volume, change.text) == (0.0, "")


def test_a_small_change_is_told() -> None:
    change = check_same_crystal(REFERENCE, dataset(cell=(30.06, 36.0, 41.958, 90.0, 90.0, 90.0)))
    assert change.relative == pytest.approx((0.002, 0.0, -0.001, 0.0, 0.0, 0.0))
    assert change.volume == pytest.approx(1.002 * 0.999 - 1.0)
    assert change.text == (
        "cell of 'b.mtz' against 'a.mtz': a 30 -> 30.06 (+0.20 %), c 42 -> 41.958 (-0.10 %); volume +0.10 %"
    )


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (dataset(cell=(30.0, 36.0, 42.5, 90.0, 90.0, 90.0)), r"c 42 -> 42.5 .\+1.19 %.; a change of more than 1 %"),
        (dataset("P 21 21 2"), "space group P 21 21 2, 'a.mtz' in P 21 21 21; the point group is the same"),
        (dataset("P 1 21 1"), "'b.mtz' is in space group P 1 21 1, 'a.mtz' in P 21 21 21$"),
    ],
)
def test_another_crystal_is_refused(other: Observations, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_same_crystal(REFERENCE, other)


def test_another_setting_is_named() -> None:
    first, second = dataset("P 21 21 2", path="a.mtz"), dataset("P 2 21 21")
    with pytest.raises(InputError, match="it is the same group in another setting, reindex one of them"):
        check_same_crystal(first, second)


def test_the_tolerance_counts() -> None:
    other = dataset(cell=(30.0, 36.0, 42.5, 90.0, 90.0, 90.0))
    assert check_same_crystal(REFERENCE, other, tolerance=0.02).relative[2] == pytest.approx(0.5 / 42.0)
