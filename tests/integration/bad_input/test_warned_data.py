"""Reflection files that are odd and can be used: what is done with them, and that it is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.integration.bad_input.inputs import FLAGS, Inputs, Reflections
from torchref_kinetic_plugin.reflections import read_observations

F, SIGMA = "F-obs", "SIGF-obs"
ABSENT = np.array([[1, 0, 0], [3, 0, 0], [0, 1, 0], [0, 0, 5]])

Captured = pytest.CaptureFixture[str]


def noisy_intensities(table: Reflections) -> None:
    """Intensities of which every twentieth is below zero, as those of weak reflections are."""
    table.as_intensities()
    table.values["IMEAN"][::20] = -0.5 * table.values["SIGIMEAN"][::20]


def mates(table: Reflections) -> None:
    """Friedel mates in place of their mean, 1 % up and down."""
    amplitude, sigma = table.values[F], table.values[SIGMA]
    table.drop(F)
    table.drop(SIGMA)
    for sign, factor in (("+", 1.01), ("-", 0.99)):
        table.put(f"F({sign})", "G", factor * amplitude)
        table.put(f"SIGF({sign})", "L", np.sqrt(2.0) * sigma)


def mates_beside_the_mean(table: Reflections) -> None:
    amplitude, sigma = table.values[F], table.values[SIGMA]
    table.put("F(+)", "G", amplitude * 2.0)
    table.put("SIGF(+)", "L", sigma)
    table.put("F(-)", "G", amplitude * 3.0)
    table.put("SIGF(-)", "L", sigma)


def free_drawn(said: str) -> list[str]:
    return [line for line in said.splitlines() if "free" in line]


def test_negative_intensities_become_small_amplitudes(inputs: Inputs, capsys: Captured, sound: Path) -> None:
    inputs.reflections(noisy_intensities, "t01")
    inputs.accepted(
        capsys,
        "- 100_ns: 529 intensities (27 negative) converted to amplitudes by French & Wilson",
        "1,738 observations to refine against, 397 free",
    )
    found = read_observations(inputs.directory / "t01.mtz")
    negative = found.intensity < 0.0
    assert negative.sum() == 27
    assert (found.amplitude > 0.0).all()
    # A reflection measured half a sigma below zero is of the order of its error.
    assert (found.amplitude[negative] ** 2 < 2.0 * found.intensity_sigma[negative]).all()
    strong = found.intensity > 10.0 * found.intensity_sigma
    measured = read_observations(sound / "t01.mtz")
    np.testing.assert_allclose(found.amplitude[strong], measured.amplitude[strong], rtol=0.01)


def test_systematic_absences_are_removed(inputs: Inputs, capsys: Captured, sound: Path) -> None:
    inputs.reflections(lambda table: table.add(ABSENT, F=500.0, SIGF=1.0), "t01")
    inputs.accepted(
        capsys,
        "- 100_ns: 4 systematic absences of P 21 21 21 removed; 4 of them are above 5 sigma: is the space group right?",
        "1,738 observations to refine against, 397 free",
    )
    np.testing.assert_array_equal(
        read_observations(inputs.directory / "t01.mtz").hkl, read_observations(sound / "t01.mtz").hkl
    )


def test_the_origin_is_removed(inputs: Inputs, capsys: Captured) -> None:
    inputs.reflections(lambda table: table.add(np.zeros((1, 3), dtype=int), F=1e4, SIGF=1.0), "t01")
    inputs.accepted(capsys, "- 100_ns: the reflection (0, 0, 0) removed", "1,738 observations to refine against")


def test_friedel_mates_in_one_file_and_means_in_the_others(inputs: Inputs, capsys: Captured, sound: Path) -> None:
    inputs.reflections(mates, "t01")
    inputs.accepted(
        capsys,
        "- 100_ns: 529 pairs of Friedel mates merged to their weighted mean, from F(+), F(-)",
        "1,738 observations to refine against, 397 free",
    )
    found, measured = (read_observations(each / "t01.mtz") for each in (inputs.directory, sound))
    np.testing.assert_allclose(found.amplitude, measured.amplitude, rtol=1e-5)
    np.testing.assert_allclose(found.sigma, measured.sigma, rtol=1e-5)


def test_the_mean_goes_before_friedel_mates(inputs: Inputs, capsys: Captured, sound: Path) -> None:
    inputs.reflections(mates_beside_the_mean, "t01")
    inputs.accepted(capsys, "- 100_ns: F-obs, SIGF-obs used; also in the file: F(+), F(-), SIGF(+), SIGF(-)")
    found, measured = (read_observations(each / "t01.mtz") for each in (inputs.directory, sound))
    np.testing.assert_array_equal(found.amplitude, measured.amplitude)


def test_values_that_are_not_finite_are_left_out(inputs: Inputs, capsys: Captured) -> None:
    def spoiled(table: Reflections) -> None:
        table.values[F][10:15] = np.nan
        table.values[SIGMA][15:18] = np.inf

    inputs.reflections(spoiled, "t01")
    said = inputs.accepted(capsys, "- 100_ns: 8 reflections with a value or a sigma that is not finite")
    assert "100_ns       100 ns           521" in said


def test_free_flags_are_drawn_where_there_are_none(inputs: Inputs, capsys: Captured) -> None:
    inputs.reflections(lambda table: table.drop(FLAGS))
    first = inputs.accepted(
        capsys,
        "- no dataset has free flags",
        "561 of 561 reflections without a free flag: 35 drawn as free (5.0 %, seed 1)",
    )
    assert free_drawn(inputs.accepted(capsys)) == free_drawn(first)
    inputs.edit("[refinement]", "[refinement]\nseed = 2")
    assert "(5.0 %, seed 2)" in inputs.accepted(capsys)


def test_flags_that_differ_are_not_used(inputs: Inputs, capsys: Captured) -> None:
    def rolled(table: Reflections) -> None:
        table.values[FLAGS] = np.roll(table.values[FLAGS], 3)

    inputs.reflections(rolled, "t01")
    inputs.accepted(
        capsys, "'t01.mtz' flags 153 of 506 common reflections otherwise than 'dark.mtz'; its flags are not"
    )


def test_delays_given_twice_are_two_measurements(inputs: Inputs, capsys: Captured) -> None:
    inputs.edit('time = "1 us", file', 'time = "100 ns", file')
    inputs.accepted(
        capsys,
        "- experiment_1: 100_ns, 100_ns_2 have one delay, 100 ns; each counts as a measurement of its own",
        "1,738 observations to refine against, 397 free",
    )


def test_resolution_that_the_data_do_not_have(inputs: Inputs, capsys: Captured) -> None:
    inputs.edit("[refinement]", "[refinement]\nd_min = 1.8")
    inputs.accepted(capsys, "- experiment_1: d_min = 1.8 A is asked for, but the data end at 2.50 A")


def test_a_dataset_that_ends_before_the_others(inputs: Inputs, capsys: Captured) -> None:
    inputs.reflections(lambda table: table.keep(table.spacing > 4.0), "t01")
    said = inputs.accepted(
        capsys, "- experiment_1: datasets that end before the others, which reach 2.50 A: 100_ns (4.0"
    )
    # What one dataset lacks is missing there and nowhere else.
    assert "dark      reference           536" in said
    assert "1_us        1.00 us           535" in said


def test_a_cell_that_changes_a_little(inputs: Inputs, capsys: Captured) -> None:
    def longer(table: Reflections) -> None:
        table.cell = (24.1, *table.cell[1:])

    inputs.reflections(longer, "t01")
    inputs.accepted(capsys, "cell of 't01.mtz' against 'dark.mtz': a 24 -> 24.1 (+0.42 %); volume +0.42 %")


def test_data_of_something_else(inputs: Inputs, capsys: Captured) -> None:
    def shuffled(table: Reflections) -> None:
        table.values[F] = np.random.default_rng(1).permutation(table.values[F])

    inputs.reflections(shuffled, "t01")
    inputs.accepted(capsys, "- 100_ns does not agree with dark: R = 0.6")
    inputs.verb = ["refine", "--quiet"]
    inputs.refused(capsys, "100_ns does not agree with the other datasets after scaling: R = 0.6")


def test_sigmas_that_are_far_too_large(inputs: Inputs, capsys: Captured) -> None:
    def enlarged(table: Reflections) -> None:
        table.values[SIGMA] *= 20.0

    inputs.reflections(enlarged)
    inputs.accepted(capsys, "sigmas are too large, or the datasets share observations")
