"""Simulation files."""

from __future__ import annotations

import pytest

from torchref_kinetic_plugin.config import ConfigError, read_simulation_file
from torchref_kinetic_plugin.config.simulation import (
    NoiseSection,
    ScalingSection,
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
    assert found.simulation.time_unit == "ns"
    assert found.provider_section == {"scheme": "A->B"}
    assert found.structures.states[0].file == directory / "dark.pdb"


def test_sigmas_of_a_real_dataset(directory):
    text = '[noise]\nsigmas_from = "t1.mtz"\ncolumns = ["I", "SIGI"]'
    found = read_simulation_file(written(directory, LEAST + STRUCTURES + text))
    assert (found.noise.sigmas_from, found.noise.columns) == (directory / "t1.mtz", ("I", "SIGI"))


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
        (LEAST + "references = 0\n", "simulation.references", "0 is not allowed; at least 1 is wanted"),
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


@pytest.mark.parametrize("model", [SimulationFile, SimulationSection, NoiseSection, SolventSection, ScalingSection])
def test_every_key_is_described(model):
    for name, field in model.model_fields.items():
        assert field.description, name
