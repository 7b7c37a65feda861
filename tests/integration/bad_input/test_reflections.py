"""Reflection files that are wrong: refused with the file, the value and what is wanted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.integration.bad_input.inputs import FLAGS, Inputs, Reflections

F, SIGMA = "F-obs", "SIGF-obs"
Change = Callable[[Reflections], object]


def setting(**values: object) -> Change:
    """Another cell or space group."""

    def change(table: Reflections) -> None:
        for name, value in values.items():
            setattr(table, name, value)

    return change


def valued(label: str, value: float, rows: slice | int = slice(None)) -> Change:
    """One value in some rows of a column."""

    def change(table: Reflections) -> None:
        table.values[label][rows] = value

    return change


def without(*labels: str) -> Change:
    def change(table: Reflections) -> None:
        for label in labels:
            table.drop(label)

    return change


def rows(chosen: Callable[[int], np.ndarray]) -> Change:
    return lambda table: table.keep(chosen(len(table.hkl)))


def scaled(factor: float) -> Change:
    def change(table: Reflections) -> None:
        table.values[F] *= factor
        table.values[SIGMA] *= factor

    return change


def resolution(low: float, high: float) -> Change:
    def change(table: Reflections) -> None:
        table.keep((table.spacing < low) & (table.spacing > high))

    return change


def friedel_rows(table: Reflections) -> None:
    table.keep(np.r_[0 : len(table.hkl), 50:70])
    table.hkl[-20:] *= -1


def one_mate(table: Reflections) -> None:
    table.rename(F, "F(+)", "G")
    table.rename(SIGMA, "SIGF(+)", "L")


def calculated(table: Reflections) -> None:
    table.rename(F, "FC")
    table.drop(SIGMA)


def two_sets(table: Reflections) -> None:
    table.put("F2", "F", table.values[F])
    table.put("SIGF2", "Q", table.values[SIGMA])
    table.rename(F, "F1")
    table.rename(SIGMA, "SIGF1")


def all_negative(table: Reflections) -> None:
    table.as_intensities()
    table.values["IMEAN"] *= -1.0


def half_free(table: Reflections) -> None:
    table.values[FLAGS] = np.arange(len(table.hkl)) % 2.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (setting(group="P 2 2 2"), "'t01.mtz' is in space group P 2 2 2, 'dark.mtz' in P 21 21 21; the point group is the"),
        (setting(group="P 1"), "'t01.mtz' is in space group P 1, 'dark.mtz' in P 21 21 21"),
        (setting(cell=(24, 26, 23, 90, 90, 90)), "c 22 -> 23 (+4.55 %); a change of more than 1 % is not isomorphous"),
        (setting(cell=(24, 26, 22, 90, 100, 90)), "the unit cell 24 26 22 90 100 90 is impossible in space group P 21"),
        (setting(cell=(0, 0, 0, 90, 90, 90)), "'t01.mtz' has an impossible unit cell: 0 0 0 90 90 90"),
        (valued(FLAGS, 1.0), "'t01.mtz': the free flags 'R-free-flags' are all 1: all reflections are free, or none is"),
        (half_free, "it cannot be told which are free; name the free value"),
        (without(SIGMA), "no observed amplitudes or intensities with sigmas; found: F-obs (amplitude)"),
        (without(F), "no observed amplitudes or intensities with sigmas; found: SIGF-obs (sigma)"),
        (without(F, SIGMA), "no observed amplitudes or intensities with sigmas; found: R-free-flags (integer)"),
        (calculated, "calculated amplitudes or map coefficients are no data: FC"),
        (two_sets, "has several sets of observations: F1, SIGF1; F2, SIGF2; name one, e.g. columns = {F = \"F1\", SIGF"),
        (valued(F, np.nan), "'t01.mtz': no reflection has both a value and a sigma in F-obs, SIGF-obs"),
        (valued(SIGMA, np.nan), "'t01.mtz': no reflection has both a value and a sigma in F-obs, SIGF-obs"),
        (valued(F, np.inf), "'t01.mtz': no reflection has both a value and a sigma in F-obs, SIGF-obs"),
        (valued(F, 0.0), "'t01.mtz': every value in F-obs is zero; that is no measurement"),
        (valued(SIGMA, 0.0, 5), "1 of 529 sigmas in SIGF-obs are zero or negative, e.g. 0 for (0, 1, 2)"),
        (valued(SIGMA, -1.0, 5), "1 of 529 sigmas in SIGF-obs are zero or negative, e.g. -1 for (0, 1, 2)"),
        (valued(F, -3.0, 5), "1 amplitudes in F-obs are negative, e.g. -3 for (0, 1, 2); name the column as I if it holds"),
        (rows(lambda _: np.arange(10)), "'t01.mtz' has 10 usable reflections; at least 50 are needed"),
        (rows(lambda n: np.r_[0:n, 0:5]), "5 reflections more than once, e.g. (0, 0, 2) and an equivalent or Friedel mate"),
        (friedel_rows, "20 reflections more than once, e.g. (0, 6, 7) and an equivalent or Friedel mate of it; merge"),
        (one_mate, "found: F(+) (amplitude of a Friedel mate), SIGF(+) (sigma of a Friedel mate's amplitude), R-free"),
        (lambda table: table.put("M/ISYM", "Y", np.ones(len(table.hkl))), "'t01.mtz' holds unmerged observations"),
        (all_negative, "'t01.mtz': no signal: the mean intensity is nowhere significantly above zero"),
        (scaled(1e28), "in F-obs, SIGF-obs is no measurement"),
        (lambda table: table.add(np.array([[900, 0, 0]])), "(900, 0, 0) would have d = 0.027 A; indices or cell are wrong"),
        (resolution(np.inf, 6.0), "'t01.mtz' has 47 usable reflections; at least 50 are needed"),
    ],
)  # fmt: skip
def test_refused(inputs: Inputs, capsys: pytest.CaptureFixture[str], change: Change, message: str) -> None:
    inputs.reflections(change, "t01")
    inputs.refused(capsys, message)


def test_a_reference_without_signal_is_refused(inputs: Inputs, capsys: pytest.CaptureFixture[str]) -> None:
    inputs.reflections(valued(F, 0.0), "dark")
    inputs.refused(capsys, "'dark.mtz': every value in F-obs is zero; that is no measurement")


def test_data_of_another_space_group_than_the_models(inputs: Inputs, capsys: pytest.CaptureFixture[str]) -> None:
    inputs.reflections(setting(group="P 21 21 2"))
    inputs.refused(capsys, "space group 'P 21 21 21' in 'dark.pdb', but 'P 21 21 2' in the data")


def test_datasets_without_a_common_reflection(inputs: Inputs, capsys: pytest.CaptureFixture[str]) -> None:
    inputs.reflections(resolution(np.inf, 3.5), "dark")
    inputs.reflections(resolution(3.4, 0.0), "t01", "t02", "t03")
    inputs.refused(capsys, "'t01.mtz' and 'dark.mtz' have 0 common reflections; at least 50 are needed")


def test_a_file_cut_short(inputs: Inputs, capsys: pytest.CaptureFixture[str]) -> None:
    path = inputs.directory / "t01.mtz"
    path.write_bytes(path.read_bytes()[:4000])
    inputs.refused(capsys, "'t01.mtz' cannot be read as MTZ: it is damaged or cut short, its header is missing")
    path.write_bytes(b"")
    inputs.refused(capsys, "'t01.mtz' is empty")
    inputs.write("t01.mtz", (inputs.directory / "dark.pdb").read_text())
    inputs.refused(capsys, "'t01.mtz' is neither an MTZ nor an mmCIF file")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ('F = "FP"', "unknown column 'FP' in 'dark.mtz' (F); allowed: F-obs, SIGF-obs, R-free-flags"),
        ('F = "SIGF-obs"', "F = 'SIGF-obs' is of type sigma, not amplitude"),
        ('F = "F-obs", I = "I"', "columns name both F = 'F-obs' and I = 'I'; name one"),
        ('free = "F-obs"', "the free flags 'F-obs' are no whole numbers"),
    ],
)
def test_columns(inputs: Inputs, capsys: pytest.CaptureFixture[str], columns: str, message: str) -> None:
    inputs.edit("references", f"columns = {{{columns}}}\nreferences")
    inputs.refused(capsys, message)


def test_a_free_value_that_is_not_there(inputs: Inputs, capsys: pytest.CaptureFixture[str]) -> None:
    inputs.edit("references", "free_value = 7\nreferences")
    inputs.refused(capsys, "'R-free-flags' never have the value 7, named as free; they have 0 (436), 1 (100)")
