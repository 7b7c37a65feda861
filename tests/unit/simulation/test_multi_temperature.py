from __future__ import annotations

import math
import tomllib

import gemmi
import numpy as np
import pytest
from numpy.testing import assert_allclose

from example_data.multi_temperature.make_example import HERE, RECIPE, write_data
from example_data.structures import atoms_of, positions, rms
from torchref_kinetic_plugin.config import read_refinement_file, read_simulation_file
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.scheme import parse_rate, parse_time
from torchref_kinetic_plugin.simulation import read_truth
from torchref_kinetic_plugin.workflow.loaded import schedule_of

#: Gas constant, kJ/(mol K).
R = 8.314462618e-3
STEPS = ("B->C", "C->A")


@pytest.fixture(scope="module")
def truth():
    return read_truth(HERE / "truth" / "truth.json")


@pytest.fixture(scope="module")
def settings():
    return tomllib.loads((HERE / "refinement.toml").read_text())


def rates_at(kinetics, temperature: float) -> list[float]:
    """Rate constants of both steps by Eyring's equation, per second."""
    reference = kinetics["reference_temperature"]
    return [
        parse_rate(kinetics["rate_constants"][step])
        * (temperature / reference)
        * math.exp(-kinetics["activation_enthalpies"][step] / R * (1.0 / temperature - 1.0 / reference))
        for step in STEPS
    ]


def test_the_recipe_reproduces_the_data(truth, tmp_path):
    again = write_data(tmp_path)
    for old, new in zip(truth.experiments, again.experiments, strict=True):
        assert [d.n_reflections for d in new.datasets] == [d.n_reflections for d in old.datasets]
        for dataset in (old.datasets[0], old.datasets[-1]):
            a, b = (np.array(gemmi.read_mtz_file(str(folder / dataset.file)).array) for folder in (HERE, tmp_path))
            np.testing.assert_array_equal(b[:, [0, 1, 2, 5]], a[:, [0, 1, 2, 5]])
            # Libraries of other machines round otherwise, the solvent mask in single precision.
            assert_allclose(b[:, 3:5], a[:, 3:5], rtol=1e-3)
    assert (tmp_path / "truth" / "truth.json").is_file()


def test_the_occupancies_are_those_of_eyring_and_a_chain_in_closed_form(truth):
    share = truth.kinetics["efficiencies"]["A->B"]
    for experiment in truth.experiments:
        k, m = rates_at(truth.kinetics, experiment.conditions["temperature"])
        for dataset in experiment.datasets:
            first = second = 0.0
            if dataset.time_s is not None:
                first = share * math.exp(-k * dataset.time_s)
                second = share * k / (k - m) * (math.exp(-m * dataset.time_s) - math.exp(-k * dataset.time_s))
            found = [dataset.occupancies[name] for name in ("dark", "I1", "I2")]
            assert_allclose(found, [1.0 - first - second, first, second], atol=1e-9)


def test_rates_given_for_each_temperature_make_the_same_occupancies(truth):
    file = read_simulation_file(HERE / "simulation.toml")
    law = file.provider_section
    section = {key: law[key] for key in ("scheme", "light_activated", "state_mapping", "efficiencies")}
    section["rate_constants"] = {"A->B": "inf"}
    section["experiments"] = {
        each.name: {
            "rate_constants": {
                step: f"{rate!r} /s" for step, rate in zip(STEPS, rates_at(law, each.temperature), strict=True)
            }
        }
        for each in file.schedules
    }
    plugins = PluginManager()
    provider = plugins.provider("kinetics").read_settings(section)
    schedules = [schedule_of(each, each.times, each.time_unit) for each in file.schedules]
    series = plugins.build("kinetics", provider, schedules, file.structures.names, 1)
    for occupancies, experiment in zip(series(), truth.experiments, strict=True):
        expected = [list(dataset.occupancies.values()) for dataset in experiment.datasets[1:]]
        assert_allclose(occupancies.detach().numpy().T, expected, atol=1e-9)


def test_the_refinement_file_names_what_is_here_and_starts_away_from_the_truth(truth, settings):
    common = {state["name"]: state["file"] for state in settings["structures"]["states"]}
    for experiment, true in zip(settings["experiment"], truth.experiments, strict=True):
        assert experiment["name"] == true.experiment
        assert experiment["temperature"] == true.conditions["temperature"]
        named = [*experiment["references"], *(point["file"] for point in experiment["timepoints"])]
        assert named == [dataset.file for dataset in true.datasets]
        times = [parse_time(point["time"]) for point in experiment["timepoints"]]
        assert times == [dataset.time_s for dataset in true.datasets[1:]]
        own = {state["name"]: state["file"] for state in experiment.get("states", [])}
        used = common | own
        for file in (*named, *used.values()):
            assert (HERE / file).is_file()
            assert file.startswith(f"{true.experiment}/")
        cells = [gemmi.read_structure(str(HERE / file)).cell.parameters for file in used.values()]
        assert_allclose(cells, [true.cell] * 3, rtol=1e-5)
    kinetics, known = settings["kinetics"], truth.kinetics
    assert settings["refinement"]["d_min"] == truth.experiments[0].d_min
    for key in ("scheme", "light_activated", "state_mapping", "rate_law", "reference_temperature"):
        assert kinetics[key] == known[key]
    for step in STEPS:
        start, true = (parse_rate(each["rate_constants"][step]) for each in (kinetics, known))
        assert abs(math.log(start / true)) == pytest.approx(math.log(3.0))
        assert abs(kinetics["activation_enthalpies"][step] - known["activation_enthalpies"][step]) == 20.0
    file = read_refinement_file(HERE / "refinement.toml")
    PluginManager().provider("kinetics").read_settings(file.provider_section)


def test_the_crystal_expands_and_its_molecules_do_not():
    cells = {name: np.array(RECIPE.read(name, truth=True)["dark"].cell.parameters) for name in RECIPE.temperatures}
    growth = cells["320K"][:3] / cells["280K"][:3] - 1.0
    assert_allclose(growth, [0.002, 0.003, 0.004], atol=5e-5)
    assert_allclose((cells["280K"] + cells["320K"]) / 2.0, cells["300K"], atol=1e-3)
    middle = RECIPE.read("300K", truth=True)["dark"]
    for name, kelvin in RECIPE.temperatures.items():
        placed = RECIPE.expansion.applied(middle, kelvin)
        protein = np.array([not residue.is_water() for residue in middle[0][0] for _ in residue])
        shift = (positions(placed) - positions(middle))[protein]
        assert np.ptp(shift, axis=0).max() < 0.0021  # rounding of the files
        dark = RECIPE.read(name, truth=True)["dark"]
        assert placed.cell.parameters == pytest.approx(dark.cell.parameters)
        change = rms(positions(dark) - positions(placed))
        assert 0.03 < change < 0.05 or (kelvin == RECIPE.expansion.at and change == 0.0)
        b_factors = [np.mean([atom.b_iso for atom in atoms_of(each)]) for each in (dark, middle)]
        assert b_factors[0] - b_factors[1] == pytest.approx(0.15 * (kelvin - 300.0), abs=0.01)


@pytest.mark.parametrize("name", list(RECIPE.temperatures))
def test_the_structures_handed_over_are_off_as_promised(name):
    truth, given = (RECIPE.read(name, truth=true) for true in (True, False))
    dark, own_dark = positions(truth["dark"]), positions(given["dark"])
    assert 0.03 < rms(own_dark - dark) < 0.04
    for light in RECIPE.structures.motions:
        true, own = positions(truth[light]), positions(given[light])
        changed = np.linalg.norm(own - own_dark, axis=1) > 0.0
        np.testing.assert_array_equal(true[~changed], dark[~changed])
        length = np.linalg.norm(true - dark, axis=1)
        assert 0.16 < rms((own - true)[length > 0.2]) < 0.21
        assert 3.5 < length.max() < 5.0


def test_free_flags_agree_at_all_temperatures(truth):
    flags: dict[tuple[int, ...], int] = {}
    for experiment in truth.experiments:
        for dataset in experiment.datasets:
            for *hkl, flag in np.array(gemmi.read_mtz_file(str(HERE / dataset.file)).array)[:, [0, 1, 2, 5]].tolist():
                assert flags.setdefault(tuple(hkl), flag) == flag


def test_the_figures_are_as_promised(truth):
    for experiment in truth.experiments:
        dark, *later = experiment.datasets
        assert dark.time_s is None
        assert len(later) == 6
        for dataset in experiment.datasets:
            assert 0.15 < dataset.r_truth < 0.17
            assert 0.03 < dataset.r_noise < 0.05
            assert 0.9 < dataset.completeness < 1.0
        # Both steps are seen at every temperature: I1 at first, then I2 alone, then little of either.
        assert all(dataset.difference_over_sigma > 0.8 for dataset in later[:5])
        assert later[0].occupancies["I1"] > 0.35
        assert max(dataset.occupancies["I2"] for dataset in later) > 0.34
        assert later[-1].occupancies["I2"] < 0.1
    assert sum(file.stat().st_size for file in HERE.rglob("*.*") if "refined" not in file.parts) < 4.0e6
