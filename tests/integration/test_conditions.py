"""Campaigns without a laser, from a simulation file to results: equilibria against temperature, temperature jumps."""

import csv
import math
import shutil
from pathlib import Path

import pytest

from torchref_kinetic_plugin import refine, simulate

TRUTH = Path(__file__).parents[2] / "example_data" / "photocycle" / "truth"
R = 8.31446261815324e-3
K_300, ENTHALPY = 0.6, 40.0

STRUCTURES = """
[structures]
states = [{name = "A", file = "A.pdb"}, {name = "B", file = "B.pdb"}]
"""
MECHANISM = """
[kinetics]
scheme = "A<->B"
equilibrium = ["A<->B"]
reference_temperature = 300.0
"""


def constant(temperature):
    """Van 't Hoff."""
    return K_300 * math.exp(-ENTHALPY / R * (1.0 / temperature - 1.0 / 300.0))


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def campaign(directory, simulated, measured, true, start):
    """Simulate a campaign and refine it from other starts; the output directory."""
    for name, file in (("A", "dark.pdb"), ("B", "i2.pdb")):
        shutil.copy(TRUTH / file, directory / f"{name}.pdb")
    head = "[simulation]\nd_min = 2.4\nseed = 5\nfree_fraction = 0.1\n"
    noise = "[noise]\nproportional = 0.02\ncounting = 0.001\nbackground = 0.01\n"
    (directory / "simulation.toml").write_text(head + STRUCTURES + simulated + MECHANISM + true + noise)
    simulate(directory / "simulation.toml", directory / "data")
    head = "[refinement]\nd_min = 2.4\n"
    tail = "[output]\nmaps = false\n"
    (directory / "refinement.toml").write_text(head + STRUCTURES + measured + MECHANISM + start + tail)
    return refine(directory / "refinement.toml"), directory / "refined"


def test_occupancies_against_temperature_without_a_time_axis(tmp_path):
    temperatures = (275.0, 290.0, 305.0, 320.0)
    simulated = measured = ""
    for t in temperatures:
        head = f'[[experiment]]\nname = "{t:.0f}K"\ntemperature = {t}\n'
        simulated += head + 'delays = ["inf"]\nreferences = 0\n'
        measured += head + f'timepoints = [{{time = "inf", file = "data/{t:.0f}K/t01.mtz"}}]\n'
    true = f'equilibrium_constants = {{"A<->B" = {K_300}}}\nreaction_enthalpies = {{"A<->B" = {ENTHALPY}}}\n'
    result, output = campaign(tmp_path, simulated, measured, true, "")
    rows = {(row["experiment"], row["kind"]): row for row in table(output / "rates.csv")}
    enthalpy = rows["all", "reaction_enthalpy"]
    assert float(enthalpy["start"]) == 0.0
    assert float(enthalpy["lower"]) < ENTHALPY < float(enthalpy["upper"])
    assert float(enthalpy["value"]) == pytest.approx(ENTHALPY, rel=0.1)
    found = {(row["experiment"], row["structure"]): row for row in table(output / "occupancies.csv")}
    for t in temperatures:
        true_share = constant(t) / (1.0 + constant(t))
        row = found[f"{t:.0f}K", "B"]
        assert float(row["occupancy"]) == pytest.approx(true_share, abs=0.03)
        assert float(rows[f"{t:.0f}K", "equilibrium_constant"]["value"]) == pytest.approx(constant(t), rel=0.15)
    assert result.converged
    # Only the ratio of the rates shows: the forward one stands still, the other follows.
    assert not any(each.refined for each in result.parameters if (each.kind, each.name) == ("rate_constant", "A->B"))


def test_a_jump_of_temperature_starts_from_the_equilibrium_before_it(tmp_path):
    simulated = measured = ""
    delays = ("300 ns", "2 us", "8 us", "100 us")
    for name, before, after in (("cold", 275.0, 295.0), ("warm", 285.0, 315.0)):
        head = f'[[experiment]]\nname = "{name}"\ntemperature = {after}\ntemperature_before = {before}\n'
        simulated += head + f"delays = {list(delays)}\n".replace("'", '"')
        points = ", ".join(f'{{time = "{d}", file = "data/{name}/t{n:02d}.mtz"}}' for n, d in enumerate(delays, 1))
        measured += head + f'references = ["data/{name}/dark.mtz"]\ntimepoints = [{points}]\n'
    law = 'rate_law = "eyring"\n'
    true = (
        law + 'rate_constants = {"A->B" = "1/(6 us)"}\nactivation_enthalpies = {"A->B" = 60.0}\n'
        f'equilibrium_constants = {{"A<->B" = {K_300}}}\nreaction_enthalpies = {{"A<->B" = {ENTHALPY}}}\n'
    )
    start = law + 'rate_constants = {"A->B" = "1/(18 us)"}\nactivation_enthalpies = {"A->B" = 45.0}\n'
    result, output = campaign(tmp_path, simulated, measured, true, start)
    rows = {(row["experiment"], row["kind"], row["name"]): row for row in table(output / "rates.csv")}
    for key, value in (
        (("all", "reaction_enthalpy", "A<->B"), ENTHALPY),
        (("all", "activation_enthalpy", "A->B"), 60.0),
    ):
        assert float(rows[key]["lower"]) < value < float(rows[key]["upper"]), key
    assert float(rows["all", "reaction_enthalpy", "A<->B"]["std_error"]) < 10.0
    found = {(row["experiment"], row["timepoint"], row["structure"]): row for row in table(output / "occupancies.csv")}
    for name, before in (("cold", 275.0), ("warm", 285.0)):
        # What the references show is found with the rest: it is the same equilibrium at another temperature.
        row = found[name, "dark", "B"]
        assert row["time_s"] == "-inf"
        assert float(row["occupancy"]) == pytest.approx(constant(before) / (1.0 + constant(before)), abs=0.03)
        assert float(row["lower"]) < float(row["occupancy"]) < float(row["upper"])
    last = {(row["experiment"], row["dataset"]): row for row in table(output / "statistics.csv")}
    assert last["warm", "dark"]["cc_diff_free"] == ""
    assert float(last["warm", "100_us"]["cc_diff_work"]) > 0.3
    assert result.converged


def test_the_shipped_static_series_gives_the_enthalpy_of_reaction(tmp_path):
    example = Path(__file__).parents[2] / "example_data" / "static_temperature"
    overrides = {"output.maps": False, "output.plots": False}
    result = refine(example / "refinement.toml", output=tmp_path, overrides=overrides)
    enthalpy = result.parameter("reaction_enthalpy", "C<->O")
    assert enthalpy.lower < 35.0 < enthalpy.upper
    assert enthalpy.value == pytest.approx(35.0, rel=0.1)
    for each in result.parameters:
        if each.kind == "equilibrium_constant":
            true = 0.4 * math.exp(-35.0 / R * (1.0 / float(each.experiment[:-1]) - 1.0 / 300.0))
            assert each.lower < true < each.upper, each.experiment
    assert result.converged
