"""Simulation files."""

from __future__ import annotations

import pytest

from torchref_kinetic_plugin.config import ConfigError, read_simulation_file
from torchref_kinetic_plugin.config.simulation import (
    NoiseSection,
    ScalingSection,
    SimulatedExperiment,
    SimulationFile,
    SimulationSection,
    SolventSection,
)

STRUCTURES = '[structures]\nstates = [{name = "dark", file = "dark.pdb"}]\n'
LEAST = '[simulation]\nd_min = 1.7\ndelays = ["10 ns", "1 us"]\n'


def written(directory, text):
    path = directory / "simulation.toml"
    path.write_text(text)
    return path


def test_a_file_of_the_least_has_these_defaults(directory):
    found = read_simulation_file(written(directory, LEAST + STRUCTURES + '[kinetics]\nscheme = "A->B"'))
    assert found.simulation.model_dump() == {
        "occupancy": "kinetics",
        "d_min": 1.7,
        "d_max": None,
        "delays": ["10 ns", "1 us"],
        "references": 1,
        "temperature": None,
        "seed": 1,
        "noise_seed": None,
        "free_fraction": 0.05,
        "missing": 0.05,
        "model_error": 0.16,
    }
    (only,) = found.schedules
    assert (only.name, only.time_unit, only.times) == ("simulation", "ns", (1e-8, 1e-6))
    assert (only.references, only.missing, only.temperature, only.conditions) == (1, 0.05, None, {})
    assert found.structures_of(only) is found.structures
    assert found.provider_section == {"scheme": "A->B"}
    assert found.structures.states[0].file == directory / "dark.pdb"


def test_sigmas_of_a_real_dataset(directory):
    text = '[noise]\nsigmas_from = "t1.mtz"\ncolumns = ["I", "SIGI"]'
    found = read_simulation_file(written(directory, LEAST + STRUCTURES + text))
    assert (found.noise.sigmas_from, found.noise.columns) == (directory / "t1.mtz", ("I", "SIGI"))


CAMPAIGN = """
[simulation]
d_min = 1.7
[[experiment]]
name = "280K"
temperature = 280.0
delays = ["1 us", "10 us"]
missing = [0.0, 0.1, 0.2]
states = [{name = "I1", file = "i1.pdb"}]
[[experiment]]
temperature = 300.0
temperature_before = 290.0
concentration = "5 mM"
pump_energy = "30 uJ"
delays = ["inf", "inf"]
references = 0
"""
TWO = '[structures]\nstates = [{name = "dark", file = "dark.pdb"}, {name = "I1", file = "dark.pdb"}]\n'


def test_a_campaign(directory):
    found = read_simulation_file(written(directory, CAMPAIGN + TWO))
    first, second = found.schedules
    assert found.schedules == found.experiments
    assert (first.name, first.references, first.missing, first.time_unit) == ("280K", 1, [0.0, 0.1, 0.2], "us")
    assert (second.name, second.references, second.times) == ("experiment_2", 0, (float("inf"), float("inf")))
    assert first.conditions == {"temperature": 280.0}
    assert second.conditions == {
        "temperature": 300.0,
        "temperature_before": 290.0,
        "concentration": "5 mM",
        "pump_energy": "30 uJ",
    }
    assert (second.concentration_molar, second.pump_energy_joule) == pytest.approx((5e-3, 30e-6))
    files = [{s.name: s.file.name for s in found.structures_of(each).states} for each in found.schedules]
    assert files == [{"dark": "dark.pdb", "I1": "i1.pdb"}, {"dark": "dark.pdb", "I1": "dark.pdb"}]


def test_structures_of_one_file_may_be_replaced_as_a_whole(directory):
    layout = '[structures]\nfile = "all.cif"\nmodels = {dark = 1, I1 = 2}\n'
    own = '[{name = "I1", file = "i1.pdb"}, {name = "dark", file = "dark.pdb"}]'
    text = f'[simulation]\nd_min = 2.0\n[[experiment]]\ndelays = ["1 us"]\nstates = {own}\n'
    found = read_simulation_file(written(directory, text + layout))
    section = found.structures_of(found.schedules[0])
    assert [(each.name, each.file.name) for each in section.states] == [("dark", "dark.pdb"), ("I1", "i1.pdb")]
    assert (section.file, section.models) == (None, None)


BLOCK = '[simulation]\nd_min = 1.7\n[[experiment]]\nname = "a"\ndelays = ["1 us"]\n'


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (BLOCK + "[[experiment]]\n", "experiment[2].delays", "is missing"),
        (
            BLOCK + '[[experiment]]\nname = "a"\ndelays = ["1 us"]\n',
            "experiment",
            "two experiments are called a; each has a name of its own",
        ),
        (
            BLOCK + '[[experiment]]\nname = "all"\ndelays = ["1 us"]\n',
            "experiment",
            "an experiment is called all, which in tables means all of them; give it another name",
        ),
        (
            BLOCK + "temprature = 300.0\n",
            "experiment[1].temprature",
            "unknown key 'temprature' (did you mean 'temperature'?); allowed: name, temperature, temperature_before, "
            "concentration, pump_energy, delays, references, missing, states",
        ),
        (
            BLOCK + "references = 0\n",
            "experiment[1]",
            'references = 0: at least one dataset without the trigger is needed, unless every delay is "inf"',
        ),
        (
            BLOCK + "missing = [0.1]\n",
            "experiment[1]",
            "missing has 1 entries for 2 datasets, references first",
        ),
        (
            BLOCK + 'states = [{name = "dark", file = "i1.pdb"}, {name = "dark", file = "dark.pdb"}]\n',
            "experiment[1]",
            "the structure dark is there twice; each has one file in an experiment",
        ),
        (
            BLOCK + 'states = [{name = "drak", file = "dark.pdb"}]\n',
            "",
            "experiment[1].states[1].name: unknown structure 'drak' (did you mean 'dark'?); allowed: dark",
        ),
        (
            LEAST + '[[experiment]]\nname = "a"\ndelays = ["1 us"]\n',
            "",
            "simulation.delays: where there are [[experiment]] blocks, each has its own",
        ),
        (
            BLOCK.replace("[[", "temperature = 300.0\n[[", 1),
            "",
            "simulation.temperature: where there are [[experiment]] blocks, each has its own",
        ),
    ],
)
def test_wrong_campaigns(directory, text, place, message):
    test_wrong_files(directory, text, place, message)


def test_a_structure_of_one_file_is_not_replaced_alone(directory):
    layout = '[structures]\nfile = "all.cif"\nmodels = {dark = 1, I1 = 2}\n'
    text = BLOCK + 'states = [{name = "dark", file = "dark.pdb"}]\n'
    with pytest.raises(ConfigError, match="which has them in one file; name all: dark, I1"):
        read_simulation_file(written(directory, text + layout))


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (
            "[simulation]\nd_min = 1.7\ndelays = [10]\n",
            "simulation.delays[1]",
            "10 has no unit; write it in quotes with its unit, e.g. '10 ns'",
        ),
        (
            "[simulation]\nd_min = 1.7\ndelays = []\n",
            "simulation.delays",
            "the number of entries is 0; at least 1 is wanted",
        ),
        ('[simulation]\ndelays = ["1 ns"]\n', "simulation.d_min", "is missing"),
        (LEAST + "missing = [0.1, 0.2]\n", "simulation", "missing has 2 entries for 3 datasets, references first"),
        (
            LEAST + 'missing = "few"\n',
            "simulation.missing",
            "'few': a number is wanted; or 'few': a list is wanted, e.g. [...]",
        ),
        (
            LEAST + "references = 0\n",
            "simulation",
            'references = 0: at least one dataset without the trigger is needed, unless every delay is "inf"',
        ),
        (LEAST + "references = -1\n", "simulation.references", "-1 is not allowed; at least 0 is wanted"),
        (
            "[simulation]\nd_min = 1.7\n",
            "",
            "simulation.delays is missing; give it, or [[experiment]] blocks that have theirs",
        ),
        (
            LEAST + 'occupancy = "fixd"\n',
            "simulation.occupancy",
            "unknown provider 'fixd' (did you mean 'fixed'?); allowed: kinetics, unrestrained, fixed",
        ),
        (
            LEAST + '[noise]\nsigmas_from = "t1.mtz"\ncounting = 0.1\n',
            "noise",
            "give either sigmas_from or counting, not both",
        ),
        (
            LEAST + "[solvent]\nksol = 0.3\n",
            "solvent.ksol",
            "unknown key 'ksol' (did you mean 'k_sol'?); allowed: k_sol, b_sol",
        ),
        (LEAST + "[scaling]\nscale = 0\n", "scaling.scale", "0 is not allowed; above 0 is wanted"),
    ],
)
def test_wrong_files(directory, text, place, message):
    with pytest.raises(ConfigError) as caught:
        read_simulation_file(written(directory, text + STRUCTURES))
    assert [(each.place, each.message) for each in caught.value.problems] == [(place, message)]


@pytest.mark.parametrize(
    "model", [SimulationFile, SimulationSection, SimulatedExperiment, NoiseSection, SolventSection, ScalingSection]
)
def test_every_key_is_described(model):
    for name, field in model.model_fields.items():
        assert field.description, name
