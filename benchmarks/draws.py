"""What the numbers are worth: the example with its noise drawn anew, fitted in one step and in two.

``python -m benchmarks.draws [N]`` simulates the photocycle N times (30 by default) with another noise each time,
refines it at the true structures from starts a factor of 5 away, and prints bias, spread and coverage. The first 20
draws are fitted a second way too, as is usual: every timepoint's occupancies free, then the scheme fitted to them.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from example_data.photocycle.make_example import RECIPE
from torchref_kinetic_plugin.occupancies import occupancies_kinetics
from torchref_kinetic_plugin.occupancies.curve_fit import fit_occupancies
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.refinement.estimates import ProviderParameters
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.refinement.uncertainty import estimate_uncertainty
from torchref_kinetic_plugin.simulation import read_truth
from torchref_kinetic_plugin.workflow.loading import load_refinement
from torchref_kinetic_plugin.workflow.refining import prepare

EXAMPLE = Path(__file__).parents[1] / "example_data" / "photocycle"
TRUTH = {("rate_constant", "B->C"): 2e6, ("rate_constant", "C->A"): 2e4, ("efficiency", "A->B"): 0.3}
N_TWO_STEP = 20


def draw(seed: int, directory: Path, *, two_step: bool) -> dict[str, object]:
    """Fit one draw of the noise; errors are those of ln k and of the yield."""
    RECIPE.write_data(directory, noise_seed=seed)
    for file in ("dark.pdb", "i1.pdb", "i2.pdb"):
        (directory / file).write_bytes((EXAMPLE / "truth" / file).read_bytes())
    (directory / "refinement.toml").write_text((EXAMPLE / "refinement.toml").read_text())
    manager = PluginManager(builtin_only=True)
    run = prepare(load_refinement(directory / "refinement.toml", plugins=manager))
    parameters = ProviderParameters(run.provider)
    start = parameters.values()
    fit = fit_kinetics(run.models, run.provider)
    found = {}
    for each in parameters.estimates(estimate_uncertainty(run.models, run.provider), start):
        if (each.kind, each.name) in TRUTH:
            true = TRUTH[each.kind, each.name]
            found[f"{each.kind} {each.name}"] = {
                "value": each.value,
                "error": math.log(each.value / true) if each.kind == "rate_constant" else each.value - true,
                "std_error_ln": each.std_error_ln,
                "inside": each.lower <= true <= each.upper,
            }
    row: dict[str, object] = {"seed": seed, "converged": fit.converged, "one_step": found}
    if two_step:
        row["two_step"], row["rms_unrestrained"] = _two_step(run, manager, directory)
    return row


def _two_step(run, manager: PluginManager, directory: Path):
    """Errors of the scheme fitted to free occupancies, and the r.m.s. error of those."""
    experiment = run.loaded.experiments[0]
    free = manager.build(
        "unrestrained",
        manager.provider("unrestrained").read_settings({}),
        [experiment.schedule],
        run.loaded.structures.names,
        1,
    )
    fit_kinetics(run.models, free)
    uncertainty = estimate_uncertainty(run.models, free)
    occupancies = free()[0].detach()
    truth = read_truth(directory / "truth" / "truth.json")
    true = np.array([list(dataset.occupancies.values()) for dataset in truth.datasets if dataset.time_s is not None]).T
    errors = np.maximum(uncertainty.occupancies[0], 1e-3)
    errors = np.where(np.isfinite(errors), errors, 0.1)
    kinetics = manager.build(
        "kinetics", run.loaded.settings, [experiment.schedule], run.loaded.structures.names, 1
    ).modules_by_experiment[0]
    assert isinstance(kinetics, occupancies_kinetics)
    fit_occupancies(kinetics, occupancies, torch.from_numpy(errors))
    per_second = 1e9 if kinetics.time_unit == "ns" else 1.0
    rates = kinetics.get_rate_constants()
    result = {
        f"rate_constant {name}": math.log(rates[name] * per_second / TRUTH["rate_constant", name])
        for name in ("B->C", "C->A")
    }
    result["efficiency A->B"] = kinetics.get_efficiencies()["A->B"] - TRUTH["efficiency", "A->B"]
    return result, float(np.sqrt(((occupancies.numpy() - true) ** 2).mean()))


def report(rows: list[dict]) -> None:
    """Print bias, spread and coverage, and the comparison with two steps."""
    print(f"{len(rows)} draws of the noise, true structures")
    print("| parameter | mean error | its standard error | r.m.s. error | mean stated error | inside 95 % |")
    print("|---|---|---|---|---|---|")
    for name in rows[0]["one_step"]:
        own = [row["one_step"][name] for row in rows]
        errors = np.array([each["error"] for each in own])
        stated = np.array([each["std_error_ln"] * (1.0 if name.startswith("rate") else each["value"]) for each in own])
        inside = sum(each["inside"] for each in own)
        print(
            f"| {name} | {errors.mean():+.4f} | {errors.std(ddof=1) / math.sqrt(len(errors)):.4f} | "
            f"{np.sqrt((errors**2).mean()):.4f} | {stated.mean():.4f} | {inside} of {len(own)} |"
        )
    both = [row for row in rows if "two_step" in row]
    if both:
        print(
            f"\n{len(both)} draws in two steps, r.m.s. errors (ln k; yield); occupancies found free: "
            f"{np.sqrt(np.mean([row['rms_unrestrained'] ** 2 for row in both])):.4f} r.m.s. from the truth"
        )
        print("| parameter | one step | two steps |")
        print("|---|---|---|")
        for name in both[0]["two_step"]:
            one = math.sqrt(np.mean([row["one_step"][name]["error"] ** 2 for row in both]))
            two = math.sqrt(np.mean([row["two_step"][name] ** 2 for row in both]))
            print(f"| {name} | {one:.4f} | {two:.4f} |")


def main() -> None:
    """Run the draws."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    rows = []
    for seed in range(1001, 1001 + count):
        with tempfile.TemporaryDirectory() as directory:
            rows.append(draw(seed, Path(directory), two_step=len(rows) < N_TWO_STEP))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    report(rows)


if __name__ == "__main__":
    main()
