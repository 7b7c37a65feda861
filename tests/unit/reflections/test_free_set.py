"""One free set over all datasets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest

from tests.unit.reflections import crystals
from torchref_kinetic_plugin.errors import FileError, InputError
from torchref_kinetic_plugin.reflections import (
    FreeFlags,
    Observations,
    one_free_set,
    read_observations,
    write_free_set,
)
from torchref_kinetic_plugin.reflections.asymmetric_unit import reflection_keys

ALL = crystals.observations(crystals.reflections(d_min=2.5), np.full(len(crystals.reflections(d_min=2.5)), 10.0))
HKL = ALL.hkl
N = len(HKL)
#: One in ten, not in step with anything.
TEST = np.random.default_rng(2).uniform(size=N) < 0.1


def dataset(rows: np.ndarray, free: np.ndarray | None = None, name: str = "a.mtz") -> Observations:
    """Reflections in rows of HKL (indices or mask), flagged as (n,) says."""
    chosen = crystals.observations(HKL[rows], np.full(len(HKL[rows]), 10.0), path=name)
    if free is None:
        return chosen
    return replace(chosen, flags=FreeFlags(reflection_keys(HKL[rows]), np.array(free, dtype=bool), "FREE", "1 = free"))


def test_flags_of_the_reference_count() -> None:
    got = one_free_set(dataset(np.arange(N), TEST), [dataset(np.arange(100))], seed=1)
    np.testing.assert_array_equal(got.hkl, HKL)
    np.testing.assert_array_equal(got.free, TEST)
    assert not got.validation.any()
    assert got.fraction == pytest.approx(TEST.mean())
    assert got.remarks == ("free set from 'a.mtz': 1 = free",)


def test_a_set_is_drawn_where_no_file_has_one() -> None:
    got = one_free_set(dataset(np.arange(N)), seed=7)
    assert got.free.mean() == pytest.approx(0.05, abs=4.0 * np.sqrt(0.05 / N))
    assert got.remarks[0] == "no dataset has free flags"
    assert got.remarks[1] == (
        f"{N:,} of {N:,} reflections without a free flag: {int(got.free.sum()):,} drawn as free (5.0 %, seed 7)"
    )
    assert one_free_set(dataset(np.arange(N)), seed=7, fraction=0.2).free.mean() == pytest.approx(0.2, abs=0.04)
    other = one_free_set(dataset(np.arange(N)), seed=8)
    # Another seed is an independent draw.
    assert (other.free & got.free).sum() < 0.4 * got.free.sum()


def test_a_draw_depends_on_the_reflection_and_the_seed_alone() -> None:
    random = np.random.default_rng(3)
    first, second = random.permutation(N)[: N // 2], random.permutation(N)[: N // 2]
    whole = one_free_set(dataset(np.arange(N)), seed=7)
    once = one_free_set(dataset(first), [dataset(second)], seed=7)
    again = one_free_set(dataset(second), [dataset(first)], seed=7)
    np.testing.assert_array_equal(once.keys, again.keys)
    np.testing.assert_array_equal(once.free, again.free)
    np.testing.assert_array_equal(once.free, whole.at(once.hkl)[0])
    # The draw is the same for reflections that the set did not hold.
    np.testing.assert_array_equal(one_free_set(dataset(first), seed=7).at(HKL)[0], whole.free)


def test_missing_flags_are_extended_by_those_that_agree_then_drawn() -> None:
    half, most = np.arange(N // 2), np.arange(3 * N // 4)
    got = one_free_set(dataset(half, TEST[half]), [dataset(most, TEST[most], "b.mtz"), dataset(np.arange(N))], seed=4)
    np.testing.assert_array_equal(got.free[most], TEST[most])
    drawn = got.free[3 * N // 4 :]
    assert got.fraction == pytest.approx(TEST[most].mean())
    assert drawn.mean() == pytest.approx(0.1, abs=0.06)
    assert f"{len(most) - len(half):,} flags that it lacks taken from datasets that agree with it" in got.remarks
    assert any(f"{N - len(most):,} of {N:,} reflections without a free flag" in each for each in got.remarks)


def test_the_first_dataset_with_flags_stands_in_for_the_reference() -> None:
    got = one_free_set(dataset(np.arange(N)), [dataset(np.arange(N), TEST, "b.mtz")], seed=1)
    np.testing.assert_array_equal(got.free, TEST)
    assert got.remarks[0].startswith("free set from 'b.mtz'")


def test_disagreement_is_reported_and_not_used() -> None:
    half = np.arange(N // 2)
    wrong = TEST.copy()
    wrong[:5] = ~wrong[:5]
    got = one_free_set(dataset(half, TEST[half]), [dataset(np.arange(N), wrong, "b.mtz")], seed=1)
    np.testing.assert_array_equal(got.free[half], TEST[half])
    assert (
        f"'b.mtz' flags 5 of {N // 2:,} common reflections otherwise than 'a.mtz'; its flags are not used"
        in got.remarks
    )
    np.testing.assert_array_equal(
        got.free, one_free_set(dataset(half, TEST[half]), [dataset(np.arange(N))], seed=1).free
    )


def test_others_that_dispute_a_flag_leave_it_to_the_draw() -> None:
    half = np.arange(N // 2)
    wrong = TEST.copy()
    wrong[-4:] = ~wrong[-4:]
    others = [dataset(np.arange(N), TEST, "b.mtz"), dataset(np.arange(N), wrong, "c.mtz")]
    got = one_free_set(dataset(half, TEST[half]), others, seed=1)
    np.testing.assert_array_equal(got.free[:-4], TEST[:-4])
    assert "4 flags that it lacks are disputed among the other datasets, and drawn" in got.remarks
    np.testing.assert_array_equal(got.free, one_free_set(dataset(half, TEST[half]), others[::-1], seed=1).free)


def test_validation_reflections_are_work_reflections() -> None:
    got = one_free_set(dataset(np.arange(N), TEST), seed=5, validation_fraction=0.1)
    assert not (got.free & got.validation).any()
    assert got.validation[~TEST].mean() == pytest.approx(0.1, abs=0.03)
    free, validation = got.at(HKL[::3])
    np.testing.assert_array_equal(free, TEST[::3])
    np.testing.assert_array_equal(validation, got.validation[::3])
    assert got.remarks[-1].startswith(f"{int(got.validation.sum()):,} reflections for validation")


def test_written_and_read_back(tmp_path: Path) -> None:
    got = one_free_set(dataset(np.arange(N), TEST), seed=5, validation_fraction=0.1)
    write_free_set(path := tmp_path / "free.mtz", got)
    columns = [("F", "F", np.full(N, 10.0)), ("SIGF", "Q", np.ones(N))]
    # Its flags stand in a file of their own; put beside data, they are recognized.
    written = gemmi.read_mtz_file(str(path))
    assert written.column_labels() == ["H", "K", "L", "FreeR_flag", "Validation_flag"]
    assert written.spacegroup.xhm() == crystals.GROUP
    assert written.cell.parameters == crystals.CELL
    table = np.array(written.array)
    columns.append(("FreeR_flag", "I", table[:, 3]))
    read = read_observations(crystals.write_mtz(tmp_path / "data.mtz", table[:, :3], columns))
    np.testing.assert_array_equal(read.free, TEST.astype(np.int8))
    assert set(map(tuple, table[table[:, 4] == 1, :3])) == set(map(tuple, got.hkl[got.validation]))
    np.testing.assert_array_equal(one_free_set(read, seed=99).free, got.free)
    with pytest.raises(FileError, match="cannot write"):
        write_free_set(tmp_path / "none" / "free.mtz", got)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed = -1"),
        ({"seed": 1, "fraction": 0.0}, "free fraction = 0.0: a number between 0 and 0.5"),
        ({"seed": 1, "fraction": 0.7}, "free fraction = 0.7"),
        ({"seed": 1, "validation_fraction": -0.1}, "validation fraction = -0.1"),
        ({"seed": 1, "fraction": 1e-9}, "none of .* is free; give a larger free fraction"),
    ],
)
def test_impossible_draws_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        one_free_set(dataset(np.arange(N)), **options)  # type: ignore[arg-type]
