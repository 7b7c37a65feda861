"""Intensities from amplitudes: the inverse of French & Wilson, and squares."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.reflections import crystals
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.reflections import (
    french_wilson,
    from_amplitudes,
    inverse_french_wilson,
    read_observations,
)
from torchref_kinetic_plugin.reflections.from_amplitudes import ACENTRIC_LIMIT, CENTRIC_LIMIT, squared

HKL = crystals.reflections(d_min=1.8)
N = len(HKL)


def simulated(seed: int, noise: float) -> dict[str, np.ndarray]:
    """Intensities with a normal error of so many times the mean at high resolution, and what they truly are."""
    made = crystals.observations(HKL, np.full(N, 10.0))
    truth = crystals.wilson_intensities(crystals.GROUP, made.hkl, seed=seed)
    random = np.random.default_rng(seed + 1)
    sigma = noise * 1000.0 * random.uniform(0.5, 1.5, N) * np.exp(-15.0 / (2.0 * 1.8**2))
    return {
        "truth": truth,
        "intensity": truth + random.normal(0.0, sigma),
        "sigma": sigma,
        "mean": 1000.0 * np.exp(-15.0 / (2.0 * made.resolution**2)) * made.epsilon,
        "centric": made.centric,
        "epsilon": made.epsilon,
        "resolution": made.resolution,
    }


@given(
    x=st.floats(-19.0, 5000.0),
    mean=st.floats(0.02, 100.0),
    sigma=st.floats(1e-3, 1e6),
    centric=st.booleans(),
)
def test_round_trip(x: float, mean: float, sigma: float, centric: bool) -> None:
    intensity = sigma * (x + 1.0 / ((2.0 if centric else 1.0) * mean))
    given_back = (np.array([mean * sigma]), np.array([centric]))
    amplitude, error = french_wilson(np.array([intensity]), np.array([sigma]), *given_back)
    got = inverse_french_wilson(amplitude, error, *given_back)
    assert got[1][0] == pytest.approx(sigma, rel=1e-6)
    assert got[0][0] == pytest.approx(intensity, rel=1e-6, abs=2e-6 * sigma)
    again = french_wilson(*got, *given_back)
    assert again[0][0] == pytest.approx(amplitude[0], rel=1e-7)
    assert again[1][0] == pytest.approx(error[0], rel=1e-7)


def test_closed_form_at_zero() -> None:
    # I = 0 without prior: F^2 is 0.82218^2 sigma (acentric) and 0.58137^2 sigma (centric), ratios of gamma functions.
    amplitude, error = np.array([0.8221789587, 0.5813683170]), np.array([0.3491508567, 0.3741653077])
    got = inverse_french_wilson(amplitude, error, np.full(2, 1e12), np.array([False, True]))
    np.testing.assert_allclose(got[0], 0.0, atol=1e-7)
    np.testing.assert_allclose(got[1], 1.0, rtol=1e-7)


def test_strong_reflections_are_squares() -> None:
    amplitude, error = np.full(2, 1e3), np.full(2, 2.0)
    got = inverse_french_wilson(amplitude, error, np.full(2, 1e6), np.array([False, True]))
    np.testing.assert_allclose(got[0], 1e6, rtol=1e-4)
    np.testing.assert_allclose(got[1], 4e3, rtol=1e-4)


def test_what_the_measurement_did_not_say_is_not_invented() -> None:
    centric = np.array([False, True])
    mean = np.full(2, 50.0)
    amplitude, error = french_wilson(np.zeros(2), np.full(2, 1e6), mean, centric)
    intensity, sigma = inverse_french_wilson(amplitude, error, mean, centric)
    # At x = -20, sigma is some 20 times w S.
    np.testing.assert_allclose(intensity, amplitude**2)
    assert (sigma > 15.0 * mean).all()
    # In a dataset, such reflections are counted.
    data = simulated(9, 0.3)
    amplitude, error = french_wilson(data["intensity"], data["sigma"], data["mean"], data["centric"])
    rows = np.flatnonzero(~data["centric"])[1000:1005]
    amplitude[rows], error[rows] = french_wilson(
        np.zeros(5), 1e4 * data["mean"][rows], data["mean"][rows], data["centric"][rows]
    )
    error[rows] *= 1.0 - 1e-6
    got = from_amplitudes(amplitude, error, data["epsilon"], data["resolution"], data["centric"])
    assert "5 are mostly prior" in got.text
    assert (np.abs(got.intensity[rows]) < 0.1 * got.sigma[rows]).all()


def test_the_limits_are_those_of_the_prior() -> None:
    assert pytest.approx(1.91306, abs=1e-5) == ACENTRIC_LIMIT
    assert pytest.approx(1.32361, abs=1e-5) == CENTRIC_LIMIT
    for limit, centric in ((ACENTRIC_LIMIT, False), (CENTRIC_LIMIT, True)):
        for ratio in (limit * (1.0 - 1e-9), 0.0):
            with pytest.raises(InputError, match="1 amplitudes are less than 1.9131 .acentric. or 1.3236 .centric."):
                inverse_french_wilson(np.array([ratio]), np.ones(1), np.ones(1), np.array([centric]))
        assert np.isfinite(
            inverse_french_wilson(np.array([limit * (1.0 + 1e-9)]), np.ones(1), np.ones(1), np.array([centric]))
        ).all()
    with pytest.raises(InputError, match="above zero"):
        inverse_french_wilson(np.ones(1), np.zeros(1), np.ones(1), np.array([False]))


def test_squares_have_the_moments_of_a_squared_normal() -> None:
    drawn = np.random.default_rng(3).normal(2.0, 0.7, 400_000) ** 2
    value, sigma = squared(np.array([2.0]), np.array([0.7]))
    assert value[0] == 4.0
    # The mean of F^2 is larger by sigma^2; as an estimate of the true intensity F^2 stands.
    assert drawn.mean() - 0.49 == pytest.approx(value[0], abs=0.02)
    assert drawn.std() == pytest.approx(sigma[0], rel=0.01)
    # Nothing measured still has an error.
    assert squared(np.zeros(1), np.ones(1))[1][0] == pytest.approx(np.sqrt(2.0))


@pytest.mark.parametrize(("noise", "off"), [(0.1, 0.01), (0.5, 0.04), (2.0, 0.08)])
def test_intensities_come_back_with_an_estimated_mean(noise: float, off: float) -> None:
    data = simulated(5, noise)
    amplitude, error = french_wilson(data["intensity"], data["sigma"], data["mean"], data["centric"])
    got = from_amplitudes(amplitude, error, data["epsilon"], data["resolution"], data["centric"])
    assert got.text.startswith(f"{N:,} amplitudes taken for French & Wilson's and inverted to intensities")
    difference = (got.intensity - data["intensity"]) / data["sigma"]
    assert np.sqrt((difference**2).mean()) < off
    np.testing.assert_allclose(got.sigma, data["sigma"], rtol=1e-6)
    # What the likelihood rests on: unbiased, with the errors that they say.
    pulls = (got.intensity - data["truth"]) / got.sigma
    assert pulls.mean() == pytest.approx(0.0, abs=0.05)
    assert pulls.std() == pytest.approx(1.0, abs=0.05)


def test_squares_of_weak_french_wilson_amplitudes_would_be_biased() -> None:
    """Why they are inverted: the mean of weak intensities is 0.5 sigma too high as squares."""
    data = simulated(6, 2.0)
    amplitude, error = french_wilson(data["intensity"], data["sigma"], data["mean"], data["centric"])
    got = from_amplitudes(amplitude, error, data["epsilon"], data["resolution"], data["centric"])
    weak = data["truth"] < 0.3 * data["sigma"]
    assert weak.sum() > 1000
    inverted = ((got.intensity - data["truth"]) / data["sigma"])[weak].mean()
    as_square = ((amplitude**2 - data["truth"]) / data["sigma"])[weak].mean()
    assert abs(inverted) < 0.1
    assert as_square > 0.3


def test_amplitudes_that_are_not_french_wilsons_are_squared() -> None:
    data = simulated(7, 0.1)
    amplitude, error = np.sqrt(data["truth"]), np.full(N, 8.0)
    got = from_amplitudes(amplitude, error, data["epsilon"], data["resolution"], data["centric"])
    below = int((amplitude < 8.0 * np.where(data["centric"], CENTRIC_LIMIT, ACENTRIC_LIMIT)).sum())
    assert below > 0.02 * N
    assert got.text == (
        f"{below:,} of {N:,} amplitudes are less certain than French & Wilson's can be: intensities are their squares"
    )
    np.testing.assert_allclose(got.intensity, data["truth"])
    np.testing.assert_allclose(got.sigma, np.sqrt(4.0 * data["truth"] * 64.0 + 2.0 * 8.0**4))


def test_single_ones_below_the_limit_are_squared() -> None:
    data = simulated(8, 0.3)
    amplitude, error = french_wilson(data["intensity"], data["sigma"], data["mean"], data["centric"])
    before = from_amplitudes(amplitude, error, data["epsilon"], data["resolution"], data["centric"])
    odd = np.array([3, 500, 900])
    changed = error.copy()
    changed[odd] = amplitude[odd]
    got = from_amplitudes(amplitude, changed, data["epsilon"], data["resolution"], data["centric"])
    np.testing.assert_allclose(got.intensity[odd], amplitude[odd] ** 2)
    np.testing.assert_allclose(got.sigma[odd], np.sqrt(6.0) * amplitude[odd] ** 2)
    rest = np.setdiff1d(np.arange(N), odd)
    np.testing.assert_allclose(got.sigma[rest], before.sigma[rest], rtol=1e-9)
    assert f"{N - 3:,} amplitudes taken for French & Wilson's" in got.text
    assert f"3 of {N:,} amplitudes are less certain" in got.text


def test_where_only_the_prior_speaks_only_sigma_is_kept() -> None:
    data = simulated(9, 0.3)
    amplitude, error = french_wilson(data["intensity"], data["sigma"], data["mean"], data["centric"])
    # sigma is three times the mean that the shells show, but the prior was a third of that: x = -9 and I = -6 sigma.
    rows = np.flatnonzero(~data["centric"])[1000:1010]
    mean = data["mean"][rows]
    amplitude[rows], error[rows] = french_wilson(np.zeros(10), 3.0 * mean, mean / 3.0, data["centric"][rows])
    got = from_amplitudes(amplitude, error, data["epsilon"], data["resolution"], data["centric"])
    np.testing.assert_allclose(got.intensity[rows], amplitude[rows] ** 2)
    np.testing.assert_allclose(got.sigma[rows], 3.0 * mean, rtol=1e-6)
    assert "10 are mostly prior: of these only the sigma of the intensity is known" in got.text


def test_amplitudes_without_signal_are_squared() -> None:
    amplitude = np.full(150, 3.0)
    amplitude[0] = 1e6
    got = from_amplitudes(amplitude, np.ones(150), np.ones(150), np.linspace(3.0, 9.0, 150), np.zeros(150, dtype=bool))
    assert got.text.startswith("intensities are squares of amplitudes: no signal")
    np.testing.assert_array_equal(got.intensity, amplitude**2)


def test_files_of_intensities_keep_them(tmp_path: Path) -> None:
    data = simulated(10, 0.5)
    hkl = crystals.observations(HKL, np.full(N, 10.0)).hkl
    measured, sigma = (data[name].astype(np.float32).astype(float) for name in ("intensity", "sigma"))
    path = crystals.write_mtz(tmp_path / "i.mtz", hkl, [("IMEAN", "J", measured), ("SIGIMEAN", "Q", sigma)])
    read = read_observations(path)
    assert (measured < 0.0).sum() > 100
    np.testing.assert_array_equal(read.intensity, measured)
    np.testing.assert_array_equal(read.intensity_sigma, sigma)
    columns = {"intensity_meas": measured.tolist(), "intensity_sigma": sigma.tolist()}
    (tmp_path / "i.cif.gz").write_bytes(gzip.compress(crystals.cif_text(hkl, columns).encode()))
    other = read_observations(tmp_path / "i.cif.gz")
    np.testing.assert_array_equal(other.intensity, measured)
    np.testing.assert_array_equal(other.amplitude, read.amplitude)
    # Its amplitudes, written and read as such, are the same measurements.
    columns = [("F", "F", read.amplitude), ("SIGF", "Q", read.sigma)]
    back = read_observations(crystals.write_mtz(tmp_path / "f.mtz", read.hkl, columns))
    assert back.kind == "amplitude"
    assert back.remarks[-1].startswith(f"{N:,} amplitudes taken for French & Wilson's")
    np.testing.assert_allclose(back.intensity_sigma, sigma, rtol=1e-3)
    assert np.sqrt((((back.intensity - measured) / sigma) ** 2).mean()) < 0.05


def test_friedel_mates_are_inverted_one_by_one(tmp_path: Path) -> None:
    data = simulated(11, 1.0)
    hkl = crystals.observations(HKL, np.full(N, 10.0)).hkl
    random = np.random.default_rng(12)
    measured = data["truth"] + data["sigma"] * random.normal(size=(2, N))
    mates = [french_wilson(each, data["sigma"], data["mean"], data["centric"]) for each in measured]
    mates[0][0][:50] = np.nan
    mates[1][0][40:60] = np.nan
    columns = [
        (f"{name}({sign})", letter, mate[part])
        for sign, mate in zip("+-", mates, strict=True)
        for part, (name, letter) in enumerate((("F", "G"), ("SIGF", "L")))
    ]
    read = read_observations(crystals.write_mtz(tmp_path / "a.mtz", hkl, columns))
    assert any(each.startswith("of Friedel mates: ") and "inverted" in each for each in read.remarks)
    assert len(read) == N - 10
    truth, sigma = (np.delete(data[name], slice(40, 50)) for name in ("truth", "sigma"))
    np.testing.assert_allclose(read.intensity_sigma[:50], sigma[:50], rtol=1e-3)
    np.testing.assert_allclose(read.intensity_sigma[50:], sigma[50:] / np.sqrt(2.0), rtol=1e-3)
    pulls = (read.intensity - truth) / read.intensity_sigma
    assert pulls.mean() == pytest.approx(0.0, abs=0.1)
    assert pulls.std() == pytest.approx(1.0, abs=0.05)
