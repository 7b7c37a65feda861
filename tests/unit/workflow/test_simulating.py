"""Simulation files with several experiments, from the file to the data."""

from __future__ import annotations

import math
from pathlib import Path

import gemmi
import numpy as np
import pytest

from tests.unit.plugins import fakes
from torchref_kinetic_plugin.errors import FileError, InputError
from torchref_kinetic_plugin.plugins import ExperimentSchedule, OccupancyProvider, PluginManager, hookimpl
from torchref_kinetic_plugin.plugins.builtin_fixed import FixedSettings, build_fixed
from torchref_kinetic_plugin.simulation import CampaignTruth, Truth, read_truth
from torchref_kinetic_plugin.workflow.simulating import simulate

TRUTH = Path(__file__).parents[3] / "example_data" / "photocycle" / "truth"
#: Gas constant, kJ/(mol K).
R = 8.314462618e-3

HEAD = '[simulation]\noccupancy = "{provider}"\nd_min = 4.0\nfree_fraction = 0.1\n'
STRUCTURES = '[structures]\nstates = [{name = "dark", file = "dark.pdb"}, {name = "I1", file = "i1.pdb"}]\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two true structures, and again in a cell half a per cent longer."""
    for name in ("dark", "i1"):
        structure = gemmi.read_structure(str(TRUTH / f"{name}.pdb"))
        structure.write_pdb(str(tmp_path / f"{name}.pdb"))
        a, b, c, *angles = structure.cell.parameters
        structure.cell = gemmi.UnitCell(1.005 * a, 1.005 * b, 1.005 * c, *angles)
        structure.write_pdb(str(tmp_path / f"{name}_warm.pdb"))
    return tmp_path


def written(folder: Path, text: str) -> Path:
    path = folder / "simulation.toml"
    path.write_text(text)
    return path


def block(name: str, rest: str) -> str:
    return f'[[experiment]]\nname = "{name}"\n{rest}\n'


OWN = 'states = [{name = "dark", file = "dark_warm.pdb"}, {name = "I1", file = "i1_warm.pdb"}]'
TWO = [
    block("cold", 'temperature = 280.0\ndelays = ["1 us", "20 us"]\nmissing = [0.0, 0.1, 0.2]'),
    block("warm", f'temperature = 320.0\ndelays = ["5 us"]\nreferences = 2\n{OWN}'),
]
FIXED = "[fixed.occupancies]\ncold = {I1 = [0.4, 0.1]}\nwarm = {I1 = 0.25}\n"


@pytest.fixture
def made(folder: Path) -> Path:
    simulate(written(folder, HEAD.format(provider="fixed") + STRUCTURES + "".join(TWO) + FIXED), folder / "made")
    return folder / "made"


def test_each_experiment_has_its_own_directory_structures_and_datasets(made):
    assert sorted(path.relative_to(made).as_posix() for path in made.rglob("[!.]*.*")) == [
        "cold/dark.mtz",
        "cold/t01.mtz",
        "cold/t02.mtz",
        "truth.json",
        "warm/dark1.mtz",
        "warm/dark2.mtz",
        "warm/t01.mtz",
    ]
    truth = read_truth(made / "truth.json")
    assert isinstance(truth, CampaignTruth)
    cold, warm = truth.experiments
    assert [d.occupancies["I1"] for d in cold.datasets] == [0.0, 0.4, 0.1]
    assert [d.occupancies["I1"] for d in warm.datasets] == [0.0, 0.0, 0.25]
    assert [d.completeness for d in cold.datasets] == pytest.approx([1.0, 0.9, 0.8], abs=0.06)
    assert np.array(warm.cell[:3]) / np.array(cold.cell[:3]) == pytest.approx(1.005, rel=1e-4)
    assert (cold.conditions, warm.conditions) == ({"temperature": 280.0}, {"temperature": 320.0})
    assert truth.kinetics == {"occupancies": {"cold": {"I1": [0.4, 0.1]}, "warm": {"I1": 0.25}}}
    mtz = gemmi.read_mtz_file(str(made / "warm" / "t01.mtz"))
    assert mtz.cell.parameters == pytest.approx(warm.cell, rel=1e-6)


def test_the_order_of_the_experiments_changes_nothing(folder, made):
    text = HEAD.format(provider="fixed") + STRUCTURES + "".join(reversed(TWO)) + FIXED
    simulate(written(folder, text), folder / "again")
    files = sorted(made.rglob("*.mtz"))
    assert len(files) == 6
    for file in files:
        assert (folder / "again" / file.relative_to(made)).read_bytes() == file.read_bytes()
    first, second = (read_truth(each / "truth.json") for each in (made, folder / "again"))
    assert first.experiments == second.experiments[::-1]


def test_a_further_experiment_changes_nothing(folder, made):
    text = HEAD.format(provider="fixed") + STRUCTURES + TWO[1] + "[fixed.occupancies]\nwarm = {I1 = 0.25}\n"
    simulate(written(folder, text), folder / "alone")
    for file in sorted((made / "warm").iterdir()):
        assert (folder / "alone" / "warm" / file.name).read_bytes() == file.read_bytes()
    assert isinstance(read_truth(folder / "alone" / "truth.json"), CampaignTruth)


def test_one_call_of_the_provider_sees_every_condition(folder):
    seen: list[ExperimentSchedule] = []

    class Plugin:
        @hookimpl
        def torchref_kinetic_occupancy_providers(self) -> list[OccupancyProvider]:
            def build(settings, experiments, structure_names, seed):
                seen.extend(experiments)
                return build_fixed(settings, experiments, structure_names, seed)

            return [OccupancyProvider("spy", FixedSettings, build, "looks at schedules")]

    plugins = PluginManager(entry_points=[fakes.Installed("spy", Plugin())])
    rest = 'temperature_before = 290.0\nconcentration = "5 mM"\npump_energy = "30 uJ"'
    text = (
        HEAD.format(provider="spy")
        + STRUCTURES
        + block("cold", 'temperature = 280.0\ndelays = ["1 us", "2 us"]')
        + block("jump", f'delays = ["2 us"]\n{rest}')
    )
    simulate(
        written(folder, text + "[spy.occupancies]\ncold = {I1 = 0.1}\njump = {I1 = 0.2}\n"),
        folder / "made",
        plugins=plugins,
    )
    assert seen == [
        ExperimentSchedule("cold", (1e-6, 2e-6), "us", 280.0),
        ExperimentSchedule("jump", (2e-6,), "us", None, 290.0, pytest.approx(5e-3), pytest.approx(3e-5)),
    ]


def test_static_crystallography_follows_van_t_hoff(folder):
    """Two structures in equilibrium at four temperatures: one dataset each, no reference."""
    temperatures, enthalpy, constant = (100.0, 200.0, 260.0, 300.0), 12.0, 0.8
    text = HEAD.format(provider="kinetics") + STRUCTURES
    for kelvin in temperatures:
        text += block(f"{kelvin:.0f}K", f'temperature = {kelvin}\ndelays = ["inf"]\nreferences = 0')
    text += (
        '[kinetics]\nscheme = "A<->B"\nstate_mapping = {A = "dark", B = "I1"}\nequilibrium = ["A<->B"]\n'
        f'reference_temperature = 300.0\nequilibrium_constants = {{"A<->B" = {constant}}}\n'
        f'reaction_enthalpies = {{"A<->B" = {enthalpy}}}\n'
    )
    truth = simulate(written(folder, text), folder / "made")
    assert sorted(path.name for path in (folder / "made").glob("[!.]*")) == [
        "100K",
        "200K",
        "260K",
        "300K",
        "truth.json",
    ]
    for kelvin, experiment in zip(temperatures, truth.experiments, strict=True):
        k = constant * math.exp(-enthalpy / R * (1.0 / kelvin - 1.0 / 300.0))
        (dataset,) = experiment.datasets
        assert dataset.occupancies["I1"] == pytest.approx(k / (1.0 + k), rel=1e-9)
        assert (dataset.name, dataset.time_s, dataset.difference_over_sigma) == ("t01", math.inf, None)
        assert 0.1 < dataset.r_truth < 0.25
    assert read_truth(folder / "made" / "truth.json") == truth


def test_a_file_without_blocks_makes_one_series(folder):
    text = (
        HEAD.format(provider="fixed")
        + 'delays = ["inf"]\nreferences = 0\n'
        + STRUCTURES
        + "[fixed.occupancies]\nsimulation = {I1 = 0.3}\n"
    )
    truth = simulate(written(folder, text), folder / "made")
    assert isinstance(truth, Truth)
    assert sorted(path.name for path in (folder / "made").glob("[!.]*")) == ["t01.mtz", "truth.json"]
    assert '"experiment"' not in (folder / "made" / "truth.json").read_text()
    with pytest.raises(FileError, match="holds a simulated series already"):
        simulate(folder / "simulation.toml", folder / "made")


def test_structures_of_two_cells_in_one_experiment_are_refused(folder):
    own = 'states = [{name = "dark", file = "dark_warm.pdb"}]'
    text = HEAD.format(provider="fixed") + STRUCTURES + block("mixed", f'delays = ["1 us"]\n{own}')
    with pytest.raises(InputError, match="mixed: the cells of structures"):
        simulate(written(folder, text + "[fixed.occupancies]\nmixed = {I1 = 0.3}\n"), folder / "made")
