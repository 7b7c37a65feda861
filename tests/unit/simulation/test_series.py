from __future__ import annotations

from dataclasses import replace

import gemmi
import numpy as np
import pytest

from tests.unit.simulation.conftest import OCCUPANCIES, SETTINGS, simulate
from torchref_kinetic_plugin.errors import FileError, InputError
from torchref_kinetic_plugin.simulation import (
    IntensityNoise,
    ModelError,
    ScalingSpread,
    read_truth,
    simulate_series,
    truth_of,
    write_series,
)
from torchref_kinetic_plugin.simulation.campaign_truth import write_truth


def test_the_model_error_is_one_vector_at_every_delay(series):
    assert np.abs(series.model_error).min() > 0.0
    for dataset in series.datasets:
        on_absolute_scale = np.sqrt(dataset.true_intensity) / dataset.factors
        np.testing.assert_allclose(on_absolute_scale, np.abs(dataset.mixture + series.model_error), rtol=1e-10)


def test_the_model_error_has_the_r_factor_asked_for(structures):
    for target in (0.08, 0.2):
        series = simulate(structures, error=ModelError(r_factor=target, sites=50))
        dark = series.datasets[0]
        true = np.abs(dark.mixture + series.model_error)
        assert np.sum(np.abs(true - np.abs(dark.mixture))) / np.sum(true) == pytest.approx(target, abs=1e-7)


def test_datasets_are_unequal_in_scale_and_displacement(series):
    scales = [dataset.scaling.scale for dataset in series.datasets]
    assert len(set(scales)) == len(scales)
    assert all(1.0 < scale < 9.0 for scale in scales)
    for dataset in series.datasets:
        b11, b22, b33, *off_diagonal = dataset.scaling.b_cart
        assert len({b11, b22, b33}) == 3
        np.testing.assert_allclose(off_diagonal, 0.0, atol=1e-12)  # by the crystal's symmetry
        s = series.reflections.hkl / np.array(series.reflections.cell.parameters[:3])
        expected = dataset.scaling.scale * np.exp(-0.25 * (s**2 @ np.array([b11, b22, b33])))
        np.testing.assert_allclose(dataset.factors, expected, rtol=1e-12)


def test_the_missing_fraction_is_that_asked_for(structures):
    series = simulate(structures, missing=[0.0, 0.1, 0.3, 0.5])
    n = len(series.reflections)
    for dataset, missing in zip(series.datasets, (0.0, 0.1, 0.3, 0.5), strict=True):
        deviation = np.sqrt(missing * (1.0 - missing) / n)
        assert abs(dataset.completeness - (1.0 - missing)) <= 4.0 * deviation
    assert series.datasets[1].measured.tolist() != series.datasets[2].measured.tolist()
    assert abs(series.free.mean() - 0.07) < 4.0 * np.sqrt(0.07 * 0.93 / n)


def test_the_same_seed_gives_the_same_bytes(structures, series, tmp_path):
    for folder, again in (("a", series), ("b", simulate(structures))):
        write_series(again, tmp_path / folder)
    for name in ("dark.mtz", "t1.mtz", "t3.mtz", "truth.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_another_seed_gives_another_series(structures, series):
    other = simulate(structures, seed=4)
    assert not np.allclose(other.model_error, series.model_error)
    assert other.free.tolist() != series.free.tolist()
    for a, b in zip(series.datasets, other.datasets, strict=True):
        assert a.scaling != b.scaling
        assert a.measured.tolist() != b.measured.tolist()
        assert not np.allclose(a.intensity / a.factors**2, b.intensity / b.factors**2)


def test_another_noise_seed_changes_the_noise_alone(structures, series):
    other = simulate(structures, noise_seed=99)
    np.testing.assert_array_equal(other.model_error, series.model_error)
    np.testing.assert_array_equal(other.free, series.free)
    for a, b in zip(series.datasets, other.datasets, strict=True):
        np.testing.assert_array_equal(a.true_intensity, b.true_intensity)
        np.testing.assert_array_equal(a.measured, b.measured)
        assert not np.any(a.intensity == b.intensity)


def test_a_further_dataset_leaves_the_others_unchanged(structures, series):
    fewer = simulate_series(
        structures,
        OCCUPANCIES[:, :3],
        names=["dark", "t1", "t2"],
        times=[None, 1e-8, 1e-6],
        d_min=1.5,
        seed=3,
        noise=IntensityNoise(),
        scaling=ScalingSpread(scale=3.0),
    )
    for a, b in zip(fewer.datasets, series.datasets, strict=False):
        np.testing.assert_array_equal(a.amplitude, b.amplitude)


def test_the_difference_signal_follows_the_occupancy(series):
    reference, *delays = series.datasets
    assert series.difference_over_sigma(reference) is None
    signals = [series.difference_over_sigma(dataset) for dataset in delays]
    assert signals == sorted(signals, reverse=True)
    assert signals[0] / signals[2] == pytest.approx(4.0, rel=0.3)


def test_files_hold_the_amplitudes_and_one_free_set(series, tmp_path):
    write_series(series, tmp_path / "new" / "folder")
    flags: dict[tuple[int, ...], int] = {}
    for dataset in series.datasets:
        mtz = gemmi.read_mtz_file(str(tmp_path / "new" / "folder" / f"{dataset.name}.mtz"))
        assert mtz.column_labels() == ["H", "K", "L", "F-obs", "SIGF-obs", "R-free-flags"]
        assert [column.type for column in mtz.columns] == ["H", "H", "H", "F", "Q", "I"]
        assert mtz.spacegroup == series.reflections.space_group
        assert mtz.nreflections == dataset.measured.sum()
        data = np.array(mtz.array)
        np.testing.assert_allclose(data[:, 3], dataset.amplitude[dataset.measured], rtol=1e-6)
        np.testing.assert_allclose(data[:, 4], dataset.sigma_amplitude[dataset.measured], rtol=1e-6)
        for *hkl, flag in data[:, [0, 1, 2, 5]].astype(int).tolist():
            assert flags.setdefault(tuple(hkl), flag) == flag
    assert set(flags.values()) == {0, 1}


def test_the_truth_survives_its_file(series, tmp_path):
    written = write_series(
        series,
        tmp_path,
        truth_path=tmp_path / "truth" / "truth.json",
        kinetics={"scheme": "A->B", "rate_constants": {"A->B": "1/(5 ns)"}},
        structure_files={"dark": "dark.pdb"},
    )
    truth = read_truth(tmp_path / "truth" / "truth.json")
    assert (
        truth
        == written
        == truth_of(
            series,
            kinetics={"scheme": "A->B", "rate_constants": {"A->B": "1/(5 ns)"}},
            structure_files={"dark": "dark.pdb"},
        )
    )
    assert truth.structures == {"dark": "dark.pdb", "light": ""}
    assert [dataset.time_s for dataset in truth.datasets] == SETTINGS["times"]
    assert truth.datasets[1].occupancies == {"dark": 0.6, "light": 0.4}
    assert truth.datasets[1].scale == series.datasets[1].scaling.scale


def test_an_unusable_truth_is_refused(series, tmp_path):
    path = tmp_path / "truth.json"
    with pytest.raises(FileError, match="cannot read"):
        read_truth(path)
    for text, words in (("{", "no JSON"), ("[]", "schema None"), ('{"schema": 1}', "no complete truth")):
        path.write_text(text)
        with pytest.raises(FileError, match=words):
            read_truth(path)
    write_truth(replace(truth_of(series), datasets=()), path)
    assert read_truth(path).datasets == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"names": ["a", "b"]}, "shape"),
        ({"names": ["a", "a", "b", "c"]}, "distinct"),
        ({"times": [None, 1.0]}, "2 times for 4"),
        ({"times": [None, 1.0, 2.0, float("nan")]}, "not a number"),
        ({"missing": 1.0}, "missing"),
        ({"missing": [0.1]}, "1 missing fractions"),
        ({"free_fraction": 0.0}, "free_fraction"),
        ({"seed": -1}, "seed"),
        ({"structure_names": ["x"]}, "1 structure_names"),
        ({"structure_names": ["x", "x"]}, "distinct"),
    ],
)
def test_impossible_requests_are_refused(structures, changes, words):
    with pytest.raises(InputError, match=words):
        simulate(structures, **changes)


@pytest.mark.parametrize(
    ("occupancies", "words"),
    [
        (OCCUPANCIES.T, "shape"),
        (OCCUPANCIES * 0.9, "sum to 0.9"),
        (OCCUPANCIES - np.array([[1.5], [-1.5]]), "from 0 to 1"),
        (OCCUPANCIES * np.nan, "finite"),
    ],
)
def test_occupancies_that_are_no_mixture_are_refused(structures, occupancies, words):
    with pytest.raises(InputError, match=words):
        simulate_series(structures, occupancies, **SETTINGS, seed=1, noise=IntensityNoise())


@pytest.mark.parametrize("settings", [{"r_factor": 0.6}, {"r_factor": -0.1}, {"sites": 0}, {"b_range": (5.0, 1.0)}])
def test_impossible_model_errors_are_refused(settings):
    with pytest.raises(InputError):
        ModelError(**settings)


@pytest.mark.parametrize("settings", [{"scale": 0.0}, {"b": -1.0}, {"ln_scale": float("nan")}])
def test_impossible_scalings_are_refused(settings):
    with pytest.raises(InputError):
        ScalingSpread(**settings)
