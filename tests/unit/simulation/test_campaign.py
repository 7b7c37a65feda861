"""Several experiments: streams of their own, one free set, one truth."""

from __future__ import annotations

import json

import gemmi
import numpy as np
import pytest
from scipy import stats

from tests.unit.simulation.conftest import CELL, crystal, simulate
from torchref_kinetic_plugin.errors import FileError, InputError, ParameterError, UnknownNameError
from torchref_kinetic_plugin.simulation import CampaignTruth, SimulatedSeries, read_truth, truth_of, write_campaign
from torchref_kinetic_plugin.simulation.streams import Purpose, random_stream, uniform_of_indices

#: Half a per cent longer than the common one.
WARM = (*(1.005 * length for length in CELL[:3]), *CELL[3:])


def experiment(name: str, cell: tuple[float, ...] = CELL) -> SimulatedSeries:
    structures = [crystal(1, cell=cell), crystal(1, shift=0.8, name="light", cell=cell)]
    return simulate(structures, experiment=name)


@pytest.fixture(scope="module")
def campaign() -> list[SimulatedSeries]:
    return [experiment("cold"), experiment("warm", WARM)]


def free_by_index(series: SimulatedSeries) -> dict[tuple[int, ...], bool]:
    return dict(zip(map(tuple, series.reflections.hkl.tolist()), series.free.tolist(), strict=True))


def test_the_free_set_is_one_where_indices_agree(campaign):
    cold, warm = map(free_by_index, campaign)
    common = cold.keys() & warm.keys()
    assert len(common) < len(warm)
    assert all(cold[index] == warm[index] for index in common)
    assert 0.04 < np.mean([cold[index] for index in common]) < 0.10


def test_everything_else_is_drawn_for_each_experiment(campaign):
    same_crystal = experiment("other")
    cold = campaign[0]
    np.testing.assert_array_equal(cold.free, same_crystal.free)
    assert not np.allclose(cold.model_error, same_crystal.model_error)
    for a, b in zip(cold.datasets, same_crystal.datasets, strict=True):
        assert a.scaling != b.scaling
        assert a.measured.tolist() != b.measured.tolist()
        noise = [(each.intensity - each.true_intensity) / each.sigma_intensity for each in (a, b)]
        assert abs(np.corrcoef(*noise)[0, 1]) < 4.0 / np.sqrt(len(noise[0]))


def test_a_series_without_a_name_keeps_its_streams(series, structures):
    again = simulate(structures, experiment="")
    np.testing.assert_array_equal(again.free, series.free)
    np.testing.assert_array_equal(again.datasets[-1].amplitude, series.datasets[-1].amplitude)


def test_numbers_of_indices_are_uniform_and_their_own():
    h = np.arange(-12, 13)
    hkl = np.array(np.meshgrid(h, h, h), dtype=np.int32).reshape(3, -1).T
    drawn = uniform_of_indices(7, Purpose.FREE_FLAGS, hkl)
    assert stats.kstest(drawn, "uniform").pvalue > 1e-4
    cube = drawn.reshape(25, 25, 25)
    for axis in range(3):
        pairs = np.take(cube, range(24), axis), np.take(cube, range(1, 25), axis)
        assert abs(np.corrcoef(pairs[0].ravel(), pairs[1].ravel())[0, 1]) < 4.0 / np.sqrt(pairs[0].size)
    order = np.random.default_rng(0).permutation(len(hkl))[:100]
    np.testing.assert_array_equal(uniform_of_indices(7, Purpose.FREE_FLAGS, hkl[order]), drawn[order])
    # Permuted indices are other indices, and so is another seed.
    assert np.mean(uniform_of_indices(7, Purpose.FREE_FLAGS, hkl[:, [1, 0, 2]]) == drawn) < 0.05
    assert not np.any(uniform_of_indices(8, Purpose.FREE_FLAGS, hkl) == drawn)
    with pytest.raises(ParameterError, match="seed"):
        uniform_of_indices(-1, Purpose.FREE_FLAGS, hkl)


def test_streams_are_told_apart_by_name():
    names = ["", "280K", "300K", "K003"]
    first = [random_stream(1, Purpose.NOISE, 2, name).random() for name in names]
    assert len(set(first)) == len(names)
    assert random_stream(1, Purpose.NOISE, 2).random() == first[0]


def test_the_truth_of_a_campaign_survives_its_file(campaign, tmp_path):
    written = write_campaign(
        campaign, tmp_path, kinetics={"scheme": "A->B"}, conditions={"warm": {"temperature": 320.0}}
    )
    truth = read_truth(tmp_path / "truth.json")
    assert truth == written
    assert isinstance(truth, CampaignTruth)
    assert [each.experiment for each in truth.experiments] == ["cold", "warm"]
    assert [each.conditions for each in truth.experiments] == [{}, {"temperature": 320.0}]
    assert truth.kinetics == {"scheme": "A->B"}
    assert truth["warm"].cell == pytest.approx(WARM)
    assert truth["warm"] == truth_of(campaign[1], kinetics={"scheme": "A->B"}, conditions={"temperature": 320.0})
    assert [dataset.time_s for dataset in truth["cold"].datasets] == [None, 1e-8, 1e-6, float("inf")]
    for each, series in zip(truth.experiments, campaign, strict=True):
        for dataset in each.datasets:
            mtz = gemmi.read_mtz_file(str(tmp_path / dataset.file))
            assert mtz.nreflections == dataset.n_reflections
            assert mtz.cell.parameters == pytest.approx(series.reflections.cell.parameters, rel=1e-6)
    with pytest.raises(UnknownNameError, match="wram.*did you mean 'warm'"):
        truth["wram"]


def test_a_truth_of_one_series_is_a_campaign_of_one(series):
    truth = truth_of(series)
    assert truth.experiments == (truth,)
    assert (truth.experiment, truth.conditions) == ("", {})


def test_unusable_campaigns_are_refused(campaign, series, tmp_path):
    with pytest.raises(InputError, match="not distinct"):
        write_campaign([campaign[0], campaign[0]], tmp_path)
    with pytest.raises(InputError, match="not distinct"):
        write_campaign([campaign[0], series], tmp_path)
    with pytest.raises(InputError, match="at least one experiment"):
        write_campaign([], tmp_path)
    assert not list(tmp_path.iterdir())
    path = tmp_path / "truth.json"
    write_campaign(campaign[:1], tmp_path)
    content = json.loads(path.read_text())
    for wrong, words in (
        ({**content, "experiments": []}, "at least one experiment"),
        ({key: value for key, value in content.items() if key != "experiments"}, "no complete truth"),
        ({key: value for key, value in content.items() if key != "noise"}, "no complete truth"),
        ({**content, "schema": 3}, "reads schemas 1 and 2"),
    ):
        path.write_text(json.dumps(wrong))
        with pytest.raises(FileError, match=words):
            read_truth(path)
