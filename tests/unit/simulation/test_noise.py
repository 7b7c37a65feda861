from __future__ import annotations

import itertools

import gemmi
import numpy as np
import pytest
from scipy import integrate, stats

from tests.unit.simulation.conftest import crystal, simulate
from torchref_kinetic_plugin.errors import FileError, InputError, ParameterError
from torchref_kinetic_plugin.simulation import IntensityNoise, MeasuredNoise
from torchref_kinetic_plugin.simulation.amplitudes import mean_intensity, posterior_amplitudes
from torchref_kinetic_plugin.simulation.structure_factors import common_crystal, unique_reflections


def test_the_noise_has_the_stated_sigma(series):
    for dataset in series.datasets:
        mean = dataset.true_intensity.mean()
        stated = (0.04 * dataset.true_intensity) ** 2 + 0.001 * mean * dataset.true_intensity + (0.02 * mean) ** 2
        np.testing.assert_allclose(dataset.sigma_intensity**2, stated)
        residual = (dataset.intensity - dataset.true_intensity) / dataset.sigma_intensity
        assert 1e-4 < stats.chi2.cdf((residual**2).sum(), len(residual)) < 1 - 1e-4
        assert stats.kstest(residual, "norm").pvalue > 1e-4


def test_intensity_over_sigma_falls_with_resolution(series):
    dataset = series.datasets[0]
    order = np.argsort(series.reflections.s_squared)
    ratio = (dataset.true_intensity / dataset.sigma_intensity)[order]
    assert ratio[: len(ratio) // 5].mean() > 2.0 * ratio[-len(ratio) // 5 :].mean()


def test_datasets_have_noise_of_their_own(series):
    first, second = ((d.intensity - d.true_intensity) / d.sigma_intensity for d in series.datasets[:2])
    assert abs(np.corrcoef(first, second)[0, 1]) < 4.0 / np.sqrt(len(first))


def test_amplitudes_are_positive_where_intensities_are_not(structures):
    series = simulate(structures, noise=IntensityNoise(background=0.3))
    for dataset in series.datasets:
        assert dataset.negative_intensities > 20
        assert dataset.amplitude.min() > 0.0
        assert dataset.sigma_amplitude.min() > 0.0


@pytest.mark.parametrize("centric", [False, True])
@pytest.mark.parametrize(("intensity", "sigma"), [(100.0, 3.0), (4.0, 5.0), (-8.0, 5.0), (-60.0, 5.0), (0.0, 80.0)])
def test_amplitudes_are_the_posterior_mean(intensity, sigma, centric):
    expected = 50.0

    def density(f: float) -> float:
        wilson = np.exp(-(f**2) / (2 * expected)) if centric else f * np.exp(-(f**2) / expected)
        best = max(intensity, 0.0)
        return wilson * np.exp(-0.5 * ((f**2 - intensity) ** 2 - (best - intensity) ** 2) / sigma**2)

    points = np.linspace(0.0, 30.0, 61)
    moments = [
        sum(integrate.quad(lambda f, p=p: f**p * density(f), a, b)[0] for a, b in itertools.pairwise(points))
        for p in range(3)
    ]
    mean = moments[1] / moments[0]
    deviation = np.sqrt(moments[2] / moments[0] - mean**2)
    got = posterior_amplitudes(np.array([intensity]), np.array([sigma]), np.array([expected]), np.array([centric]))
    np.testing.assert_allclose([got[0][0], got[1][0]], [mean, deviation], rtol=1e-5)


def test_strong_intensities_become_their_roots():
    intensity = np.array([1e4, 2e6])
    amplitude, sigma = posterior_amplitudes(
        intensity, np.array([1e2, 1e4]), np.array([1e4, 1e6]), np.array([False, True])
    )
    np.testing.assert_allclose(amplitude, np.sqrt(intensity), rtol=1e-3)
    np.testing.assert_allclose(sigma, [0.5, 1e4 / 2 / np.sqrt(2e6)], rtol=1e-2)


def reflections_to(d_min: float):
    cell, group = common_crystal([crystal(1, cell=(40.0, 42.0, 44.0, 90.0, 90.0, 90.0))])
    return unique_reflections(cell, group, d_min=d_min, d_max=15.0)


def measured_mtz(path, *, kind: str, noise) -> gemmi.Mtz:
    """MTZ of Wilson-distributed data whose sigmas follow a formula."""
    reflections = reflections_to(1.8)
    rng = np.random.default_rng(0)
    intensity = 1e3 * np.exp(-20 * reflections.s_squared) * rng.exponential(size=len(reflections))
    sigma = noise(intensity)
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = reflections.space_group
    mtz.set_cell_for_all(reflections.cell)
    mtz.add_dataset("real")
    value = intensity if kind == "J" else np.sqrt(intensity)
    sigmas = sigma if kind == "J" else sigma / (2 * np.sqrt(intensity))
    mtz.add_column("I" if kind == "J" else "F", kind)
    mtz.add_column("SIG", "Q")
    mtz.set_data(np.column_stack([reflections.hkl, value, sigmas]).astype(np.float32))
    mtz.write_to_file(str(path))
    return mtz


@pytest.mark.parametrize("kind", ["J", "F"])
def test_sigmas_of_a_real_measurement_are_taken_over(tmp_path, kind):
    path = tmp_path / "real.mtz"
    measured_mtz(path, kind=kind, noise=lambda i: 0.1 * i + 5.0)
    noise = MeasuredNoise(path)
    reflections = reflections_to(2.0)
    rng = np.random.default_rng(1)
    # The same crystal at a hundred times the scale: the relation, not the numbers, is taken over.
    intensity = 1e5 * np.exp(-20 * reflections.s_squared) * rng.exponential(size=len(reflections))
    sigma = noise.sigma(intensity, reflections, rng)
    expected = 0.1 * intensity + 500.0
    assert abs(np.mean(sigma / expected) - 1.0) < 0.05
    assert np.corrcoef(sigma, expected)[0, 1] > 0.97
    assert noise.description() == {
        "model": "measured",
        "file": "real.mtz",
        "columns": ["I" if kind == "J" else "F", "SIG"],
    }


def test_sigmas_are_not_extrapolated(tmp_path):
    path = tmp_path / "real.mtz"
    measured_mtz(path, kind="J", noise=lambda i: i + 1.0)
    rng = np.random.default_rng(1)
    noise = MeasuredNoise(path)
    finer = reflections_to(1.5)
    with pytest.raises(ParameterError, match="raise d_min"):
        noise.sigma(np.ones(len(finer)), finer, rng)
    cell, group = common_crystal([crystal(1, cell=(40.0, 42.0, 44.0, 90.0, 90.0, 90.0))])
    coarser = unique_reflections(cell, group, d_min=3.0)
    with pytest.raises(ParameterError, match="set d_max"):
        noise.sigma(np.ones(len(coarser)), coarser, rng)


def test_unusable_measurements_are_refused(tmp_path):
    with pytest.raises(FileError, match="cannot read"):
        MeasuredNoise(tmp_path / "absent.mtz")
    path = tmp_path / "real.mtz"
    mtz = measured_mtz(path, kind="J", noise=lambda i: i + 1.0)
    with pytest.raises(FileError, match="no column 'X'"):
        MeasuredNoise(path, ("X", "SIG"))
    mtz.column_with_label("SIG").type = "R"
    mtz.write_to_file(str(path))
    with pytest.raises(FileError, match="followed by their sigmas"):
        MeasuredNoise(path)
    mtz.column_with_label("SIG").type = "Q"
    mtz.set_data(np.array(mtz.array)[:100])
    mtz.write_to_file(str(path))
    with pytest.raises(FileError, match="100 reflections"):
        MeasuredNoise(path)


def test_impossible_noise_is_refused():
    with pytest.raises(ParameterError, match="background"):
        IntensityNoise(background=0.0)
    with pytest.raises(ParameterError, match="counting"):
        IntensityNoise(counting=-1.0)
    reflections = reflections_to(3.0)
    with pytest.raises(InputError, match="no signal"):
        mean_intensity(-np.ones(len(reflections)), reflections)
