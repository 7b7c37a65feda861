"""Conventions of free flags."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.reflections import crystals
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.reflections import read_observations

HKL = crystals.reflections(d_min=3.5)
N = len(HKL)
#: One in twenty, not in step with anything.
TEST = np.random.default_rng(5).permutation(np.arange(N)) % 20


def written(folder: Path, flags: np.ndarray, label: str = "FreeR_flag") -> Path:
    columns = [("FP", "F", np.full(N, 10.0)), ("SIGFP", "Q", np.ones(N)), (label, "I", flags)]
    return crystals.write_mtz(folder / "flags.mtz", HKL, columns)


@pytest.mark.parametrize(
    ("name", "flags", "shown"),
    [
        ("CCP4", TEST, "0 = free (CCP4: test sets 0 to 19)"),
        ("CCP4, as two values", np.where(TEST == 0, 0, 1), "0 = free (the minority of 0 and 1)"),
        ("X-PLOR, CNS, phenix", np.where(TEST == 0, 1, 0), "1 = free (the minority of 0 and 1)"),
        ("SHELX", np.where(TEST == 0, -1, 1), "-1 = free (the minority of -1 and 1)"),
        ("CCP4, ten sets", np.where(TEST == 0, 0, 1 + TEST % 9), "0 = free (CCP4: test sets 0 to 9)"),
    ],
)
def test_conventions(tmp_path: Path, name: str, flags: np.ndarray, shown: str) -> None:
    read = read_observations(written(tmp_path, flags.astype(float)))
    assert read.free is not None, name
    free = {tuple(h) for h in read.hkl[read.free == 1].tolist()}
    assert free == {tuple(h) for h in HKL[TEST == 0].tolist()}
    assert (read.free >= 0).all()
    count = int((TEST == 0).sum())
    assert any(f"FreeR_flag: {shown}, {count:,} of {N:,}" in remark for remark in read.remarks)
    assert read.columns["free"] == "FreeR_flag"


def test_the_free_value_can_be_named(tmp_path: Path) -> None:
    path = written(tmp_path, TEST.astype(float))
    read = read_observations(path, free_value=7)
    assert read.free is not None
    assert {tuple(h) for h in read.hkl[read.free == 1].tolist()} == {tuple(h) for h in HKL[TEST == 7].tolist()}
    with pytest.raises(InputError, match="never have the value 33, named as free; they have 0 "):
        read_observations(path, free_value=33)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (np.zeros(N), "are all 0: all reflections are free, or none is"),
        (np.ones(N), "are all 1: all reflections are free, or none is"),
        (np.arange(N) % 2, "it cannot be told which are free; name the free value"),
        (np.where(TEST == 0, 1, np.where(TEST == 1, 2, 0)), "it cannot be told which are free"),
        (1 + TEST, "it cannot be told which are free"),
        (TEST + 0.5, "are no whole numbers"),
        (np.where(TEST == 0, 1e25, 1.0), "are no whole numbers"),
        (np.full(N, np.nan), "are missing for all observed reflections"),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path: Path, flags: np.ndarray, message: str) -> None:
    path = written(tmp_path, flags.astype(float))
    with pytest.raises(InputError, match=message):
        read_observations(path, {"free": "FreeR_flag"})


def test_all_free_by_a_named_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make all of .* free"):
        read_observations(written(tmp_path, np.ones(N)), free_value=1)


def test_a_file_without_flags_says_so(tmp_path: Path) -> None:
    columns = [("FP", "F", np.full(N, 10.0)), ("SIGFP", "Q", np.ones(N)), ("BATCHES", "I", np.ones(N))]
    path = crystals.write_mtz(tmp_path / "none.mtz", HKL, columns)
    read = read_observations(path)
    assert read.free is None
    assert "no free flags" in read.remarks
    assert "no free flags found; integer columns not taken for them: BATCHES" in read.remarks
    assert read_observations(path, {"free": "FreeR_flag"}, free_may_be_absent=True).flags is None


def test_flags_can_be_left_out_and_misspelt_or_doubled_ones_are_errors(tmp_path: Path) -> None:
    path = written(tmp_path, np.zeros(N))
    assert read_observations(path, {"free": ""}).flags is None
    both = [("FP", "F", np.full(N, 10.0)), ("SIGFP", "Q", np.ones(N))]
    both += [("FreeR_flag", "I", TEST), ("R-free-flags", "I", TEST)]
    with pytest.raises(InputError, match="several columns of free flags: FreeR_flag, R-free-flags; name one"):
        read_observations(crystals.write_mtz(tmp_path / "both.mtz", HKL, both))


def test_reflections_without_flag_or_observation(tmp_path: Path) -> None:
    flags = (TEST == 0).astype(float)
    flags[:7] = np.nan
    amplitude = np.full(N, 10.0)
    amplitude[100:160] = np.nan
    columns = [("FP", "F", amplitude), ("SIGFP", "Q", np.ones(N)), ("FREE", "I", flags)]
    read = read_observations(crystals.write_mtz(tmp_path / "some.mtz", HKL, columns))
    assert read.free is not None
    assert read.flags is not None
    assert len(read) == N - 60
    assert (read.free == -1).sum() == 7
    # Flags of reflections that were not observed here may be needed for another dataset.
    assert len(read.flags.keys) == N - 7
    assert "7 observed reflections have no free flag" in read.remarks


def test_fill_values_of_unobserved_reflections_are_not_flags(tmp_path: Path) -> None:
    amplitude = np.full(N, 10.0)
    amplitude[N // 3 :] = np.nan
    flags = np.where(TEST == 0, 0.0, 1.0)
    flags[N // 3 :] = 0.0
    columns = [("FP", "F", amplitude), ("SIGFP", "Q", np.ones(N)), ("FREE", "I", flags)]
    read = read_observations(crystals.write_mtz(tmp_path / "filled.mtz", HKL, columns))
    assert read.flags is not None
    assert len(read.flags.keys) == N // 3
    assert read.flags.free.sum() == (TEST[: N // 3] == 0).sum()
    assert "FREE: flags of reflections without observation look filled in, and are not used" in read.remarks
