"""What one mechanism over several temperatures is worth: the campaign with its noise drawn anew, together and apart.

``python -m benchmarks.campaign [N]`` simulates ``example_data/multi_temperature`` N times (20 by default) with another
noise each time and fits it at the true structures: all temperatures with one Eyring law for each rate, then each
temperature alone. Errors of ln k at each temperature are compared, enthalpies with the truth.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.series import EXAMPLE
from torchref_kinetic_plugin import simulate
from torchref_kinetic_plugin.kinetics.thermodynamics import GAS_CONSTANT
from torchref_kinetic_plugin.plugins import PluginManager, SeriesOccupancies
from torchref_kinetic_plugin.refinement.estimates import ProviderParameters
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.refinement.uncertainty import estimate_uncertainty
from torchref_kinetic_plugin.results import Estimate
from torchref_kinetic_plugin.workflow.loading import load_refinement
from torchref_kinetic_plugin.workflow.refining import prepare

CAMPAIGN = EXAMPLE.parent / "multi_temperature"
#: Of the simulation file: rates at its reference temperature per second, and enthalpies of activation, kJ/mol.
RATES = {"B->C": 1.0 / 5e-6, "C->A": 1.0 / 500e-6}
ENTHALPIES = {"B->C": 50.0, "C->A": 75.0}
REFERENCE = 300.0
#: Of the section [kinetics], what speaks of temperature.
_OF_LAWS = ("rate_law", "reference_temperature", "activation_enthalpies")


def true_rate(name: str, temperature: float) -> float:
    """By Eyring's law, per second."""
    slope = ENTHALPIES[name] / GAS_CONSTANT * (1.0 / temperature - 1.0 / REFERENCE)
    return RATES[name] * temperature / REFERENCE * math.exp(-slope)


def draw(seed: int, directory: Path) -> dict[str, Any]:
    """Errors of ln k by temperature and transition, together and apart, and of the enthalpies, of one draw."""
    shutil.copytree(CAMPAIGN, directory, dirs_exist_ok=True)
    file = directory / "simulation.toml"
    file.write_text(file.read_text().replace("[simulation]\n", f"[simulation]\nnoise_seed = {seed}\n"))
    simulate(file, directory / "data")
    for made in sorted((directory / "data").glob("*/*.mtz")):
        shutil.copy(made, directory / made.parent.name / made.name)
    for true in sorted((directory / "truth").glob("*/*.pdb")):
        shutil.copy(true, directory / true.parent.name / true.name)
    manager = PluginManager(builtin_only=True)
    run = prepare(load_refinement(directory / "refinement.toml", plugins=manager))
    untouched = [model.nuisances.copy() for model in run.models]
    temperatures = {each.settings.name: each.settings.temperature or 0.0 for each in run.loaded.experiments}
    found = _fitted(run.models, run.provider)
    together = _errors(found, temperatures)
    enthalpies = {
        each.name: (each.value - ENTHALPIES[each.name], each.std_error)
        for each in found
        if each.kind == "activation_enthalpy"
    }
    section = {key: value for key, value in run.loaded.file.provider_section.items() if key not in _OF_LAWS}
    settings = manager.provider("kinetics").read_settings(section)
    apart: dict[str, tuple[float, float]] = {}
    for experiment, model, nuisances in zip(run.loaded.experiments, run.models, untouched, strict=True):
        model.nuisances = nuisances
        alone = manager.build("kinetics", settings, [experiment.schedule], run.loaded.structures.names, 1)
        apart |= _errors(_fitted([model], alone), temperatures)
    return {"seed": seed, "together": together, "apart": apart, "enthalpies": enthalpies}


def _fitted(models: list[ExperimentModel], provider: SeriesOccupancies) -> list[Estimate]:
    parameters = ProviderParameters(provider)
    start = parameters.values()
    fit_kinetics(models, provider)
    return parameters.estimates(estimate_uncertainty(models, provider), start)


def _errors(found: Iterable[Estimate], temperatures: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Error of ln k and the one stated, by experiment and transition."""
    return {
        f"{each.experiment} {each.name}": (
            math.log(each.value / true_rate(each.name, temperatures[each.experiment])),
            each.std_error_ln or math.inf,
        )
        for each in found
        if each.kind == "rate_constant" and each.name in RATES
    }


def report(rows: list[dict[str, Any]]) -> None:
    """Print r.m.s. errors together and apart, and what becomes of the enthalpies."""
    print(f"{len(rows)} draws of the noise, true structures; r.m.s. error of ln k (mean error stated)")
    print("| experiment, rate constant | together | apart | inside 95 %, together |\n|---|---|---|---|")
    for name in rows[0]["together"]:
        values = {way: np.array([row[way][name] for row in rows]) for way in ("together", "apart")}
        cells = [f"{np.sqrt((each[:, 0] ** 2).mean()):.4f} ({each[:, 1].mean():.4f})" for each in values.values()]
        inside = int((np.abs(values["together"][:, 0]) < 1.96 * values["together"][:, 1]).sum())
        print(f"| {name} | {cells[0]} | {cells[1]} | {inside} of {len(rows)} |")
    print("\n| enthalpy of activation, kJ/mol | truth | mean error | r.m.s. error | mean error stated | inside 95 % |")
    print("|---|---|---|---|---|---|")
    for name, true in ENTHALPIES.items():
        own = np.array([row["enthalpies"][name] for row in rows])
        inside = int((np.abs(own[:, 0]) < 1.96 * own[:, 1]).sum())
        print(
            f"| {name} | {true:.0f} | {own[:, 0].mean():+.2f} | {np.sqrt((own[:, 0] ** 2).mean()):.2f} "
            f"| {own[:, 1].mean():.2f} | {inside} of {len(rows)} |"
        )


def main() -> None:
    """Run the draws."""
    rows = []
    for seed in range(2001, 2001 + (int(sys.argv[1]) if len(sys.argv) > 1 else 20)):
        with tempfile.TemporaryDirectory() as directory:
            rows.append(draw(seed, Path(directory)))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    report(rows)


if __name__ == "__main__":
    main()
