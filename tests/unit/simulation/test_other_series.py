from __future__ import annotations

import importlib
import tomllib

import gemmi
import numpy as np
import pytest
from numpy.testing import assert_allclose

from example_data.photocycle.make_example import RECIPE, occupancies
from example_data.series import after_impulse
from example_data.structures import positions, rms
from torchref_kinetic_plugin.scheme import parse_rate, parse_time
from torchref_kinetic_plugin.simulation import read_truth


@pytest.fixture(scope="module", params=["reversible", "branch"])
def recipe(request):
    return importlib.import_module(f"example_data.{request.param}.make_example").RECIPE


@pytest.fixture(scope="module")
def settings(recipe):
    return tomllib.loads((recipe.structures.directory / "refinement.toml").read_text())


def test_the_matrix_exponential_agrees_with_the_closed_formula_of_a_chain():
    times = [None, 1e-8, 5e-7, 5e-5, 1e-3]
    found = after_impulse(RECIPE.kinetics, ("dark", "I1", "I2"), times)
    assert_allclose(found, occupancies(times), atol=1e-12)


def test_a_reversible_step_reaches_its_equilibrium():
    kinetics = {
        "state_mapping": {"A": "dark", "B": "I1", "C": "I2"},
        "rate_constants": {"A->B": "inf", "B->C": "3 /s", "C->B": "1 /s"},
        "efficiencies": {"A->B": 0.4},
    }
    assert_allclose(after_impulse(kinetics, ("dark", "I1", "I2"), [100.0])[:, 0], [0.6, 0.1, 0.3], atol=1e-12)


def test_the_recipe_reproduces_the_data(recipe, tmp_path):
    here = recipe.structures.directory
    truth = read_truth(here / "truth" / "truth.json")
    recipe.write_data(tmp_path)
    for dataset in (truth.datasets[0], truth.datasets[-1]):
        old, new = (np.array(gemmi.read_mtz_file(str(folder / dataset.file)).array) for folder in (here, tmp_path))
        np.testing.assert_array_equal(new[:, [0, 1, 2, 5]], old[:, [0, 1, 2, 5]])
        # Libraries of other machines round otherwise, the solvent mask in single precision.
        assert_allclose(new[:, 3:5], old[:, 3:5], rtol=1e-3)


def test_the_refinement_file_names_what_is_here_and_starts_away_from_the_truth(recipe, settings):
    here = recipe.structures.directory
    experiment, kinetics = settings["experiment"][0], settings["kinetics"]
    points = experiment["timepoints"]
    assert [parse_time(point["time"]) for point in points] == [parse_time(delay) for delay in recipe.delays]
    files = [*experiment["references"], *(p["file"] for p in points)]
    files += [state["file"] for state in settings["structures"]["states"]]
    assert all((here / file).is_file() for file in files)
    assert settings["refinement"]["d_min"] == recipe.d_min
    for key in ("scheme", "light_activated", "state_mapping"):
        assert kinetics[key] == recipe.kinetics[key]
    for step, true in recipe.kinetics["rate_constants"].items():
        if true != "inf":
            start = parse_rate(kinetics["rate_constants"][step])
            assert 2.9 < np.exp(abs(np.log(start / parse_rate(true)))) < 5.1


def test_the_structures_handed_over_are_off_as_promised(recipe):
    truth, given = (recipe.structures.read(truth=true) for true in (True, False))
    dark, own_dark = positions(truth["dark"]), positions(given["dark"])
    assert 0.02 < rms(own_dark - dark) < 0.05
    for name in recipe.structures.motions:
        true, own = positions(truth[name]), positions(given[name])
        changed = np.linalg.norm(own - own_dark, axis=1) > 0.0
        np.testing.assert_array_equal(true[~changed], dark[~changed])
        moved = np.linalg.norm(true - dark, axis=1) > 0.2
        assert 0.19 < rms((own - true)[moved]) < 0.21


def test_the_figures_are_as_promised(recipe):
    truth = read_truth(recipe.structures.directory / "truth" / "truth.json")
    for dataset in truth.datasets:
        assert 0.15 < dataset.r_truth < 0.20
        assert 0.03 < dataset.r_noise < 0.06
        assert 0.9 < dataset.completeness < 1.0
    assert sum(file.stat().st_size for file in recipe.structures.directory.rglob("*.*")) < 4e6
