from __future__ import annotations

import tomllib
from pathlib import Path

import gemmi
import numpy as np
import pytest
from scipy.linalg import expm

from example_data.photocycle.make_example import RECIPE
from torchref_kinetic_plugin.scheme import parse_rate, parse_time
from torchref_kinetic_plugin.simulation import read_truth

HERE = Path(__file__).parents[3] / "example_data" / "photocycle"


@pytest.fixture(scope="module")
def truth():
    return read_truth(HERE / "truth" / "truth.json")


def test_the_recipe_reproduces_the_data(truth, tmp_path):
    again = RECIPE.write_data(tmp_path)
    assert [d.n_reflections for d in again.datasets] == [d.n_reflections for d in truth.datasets]
    for dataset in truth.datasets:
        old, new = (np.array(gemmi.read_mtz_file(str(folder / dataset.file)).array) for folder in (HERE, tmp_path))
        np.testing.assert_array_equal(new[:, [0, 1, 2, 5]], old[:, [0, 1, 2, 5]])
        # Libraries of other machines round otherwise, the solvent mask in single precision.
        np.testing.assert_allclose(new[:, 3:5], old[:, 3:5], rtol=1e-3)


def test_the_occupancies_are_those_of_the_scheme(truth):
    b_to_c, c_to_a = (parse_rate(truth.kinetics["rate_constants"][step]) for step in ("B->C", "C->A"))
    rates = np.array([[0.0, 0.0, c_to_a], [0.0, -b_to_c, 0.0], [0.0, b_to_c, -c_to_a]])
    share = truth.kinetics["efficiencies"]["A->B"]
    for dataset in truth.datasets:
        expected = np.array([1.0, 0.0, 0.0])
        if dataset.time_s is not None:
            expected = expm(rates * dataset.time_s) @ np.array([1.0 - share, share, 0.0])
        np.testing.assert_allclose(list(dataset.occupancies.values()), expected, atol=1e-9)


def test_the_refinement_file_names_what_is_here_and_starts_a_factor_of_5_away(truth):
    settings = tomllib.loads((HERE / "refinement.toml").read_text())
    experiment = settings["experiment"][0]
    named = [*experiment["references"], *(point["file"] for point in experiment["timepoints"])]
    assert named == [dataset.file for dataset in truth.datasets]
    times = [parse_time(point["time"]) for point in experiment["timepoints"]]
    assert times == [dataset.time_s for dataset in truth.datasets[1:]]
    files = [*named, *(state["file"] for state in settings["structures"]["states"])]
    assert all((HERE / file).is_file() for file in files)
    kinetics = settings["kinetics"]
    assert kinetics["scheme"] == truth.kinetics["scheme"]
    for step in ("B->C", "C->A"):
        start, true = (parse_rate(k["rate_constants"][step]) for k in (kinetics, truth.kinetics))
        assert abs(np.log(start / true)) == pytest.approx(np.log(5.0))


def test_the_figures_are_as_promised(truth):
    for dataset in truth.datasets:
        assert 0.15 < dataset.r_truth < 0.20
        assert 0.03 < dataset.r_noise < 0.05
        assert 0.9 < dataset.completeness < 1.0


def test_the_structures_handed_over_are_off_as_promised():
    def read(path: Path) -> tuple[list[str], np.ndarray]:
        model = gemmi.read_structure(str(path))[0]
        places = list(model.all())
        return [str(place) for place in places], np.array([place.atom.pos.tolist() for place in places])

    names, true_dark = read(HERE / "truth" / "dark.pdb")
    same_names, dark = read(HERE / "dark.pdb")
    assert same_names == names
    assert 0.02 < np.sqrt(((dark - true_dark) ** 2).sum(axis=1).mean()) < 0.05
    for file in ("i1.pdb", "i2.pdb"):
        names_given, given = read(HERE / file)
        names_true, true = read(HERE / "truth" / file)
        assert names_given == names_true == names
        changed = np.linalg.norm(given - dark, axis=1) > 0.0
        np.testing.assert_array_equal(true[~changed], true_dark[~changed])
        length = np.linalg.norm(true - true_dark, axis=1)
        assert 0.19 < np.sqrt(((given - true)[length > 0.2] ** 2).sum(axis=1).mean()) < 0.21
        assert length.max() > 3.0
