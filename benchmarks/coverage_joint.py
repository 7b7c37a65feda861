"""How often intervals of rates and yield hold the truth where structures are refined with them.

``python -m benchmarks.coverage_joint [N]`` takes two pieces of the photocycle's protein, both of which move, into a
small cell of their own, draws data from the likelihood itself at the true structures, rates and scales, N times (60 by
default), and refines each from intermediates 0.2 A off: everything anew, error model and scales included.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gemmi
import numpy as np

from example_data.photocycle.make_example import RECIPE, YIELD, occupancies
from torchref_kinetic_plugin.analysis.variants import drawn
from torchref_kinetic_plugin.refinement.estimates import ProviderParameters
from torchref_kinetic_plugin.refinement.experiment import ExperimentData
from torchref_kinetic_plugin.refinement.form_restraints import FormRestraints
from torchref_kinetic_plugin.refinement.joint_fit import refine_jointly
from torchref_kinetic_plugin.refinement.joint_uncertainty import atom_freedom
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.refinement.reference import given_values
from torchref_kinetic_plugin.refinement.uncertainty import estimate_uncertainty
from torchref_kinetic_plugin.results import Estimate
from torchref_kinetic_plugin.scheme import parse_time
from torchref_kinetic_plugin.simulation import BulkSolvent, IntensityNoise, simulate_series, write_series
from torchref_kinetic_plugin.workflow.joint_setup import prepare_joint, restraints_of
from torchref_kinetic_plugin.workflow.loaded import LoadedRefinement
from torchref_kinetic_plugin.workflow.loading import load_refinement
from torchref_kinetic_plugin.workflow.refining import prepare

#: Pieces of the chain, each a chain of its own: the loop that moves, and the strand with the side chain that turns.
PIECES = {"A": range(4, 16), "B": range(66, 71)}
#: From the atoms to the end of the cell, A.
_MARGIN = 3.0
_D_MIN = 2.4
_DELAYS = ("50 ns", "300 ns", "1 us", "10 us", "60 us")
TRUE = {"B->C": 2e6, "C->A": 2e4, "A->B": YIELD}
#: Enough for the error model to be known.
_FREE = 0.1

_FILE = """
[refinement]
d_min = {d_min}
cycles = 3
starts = 1
refine = ["kinetics", "structures", "scale"]
[structures]
states = [{{name = "dark", file = "dark.pdb"}}, {{name = "I1", file = "I1.pdb"}}, {{name = "I2", file = "I2.pdb"}}]
moving = {{I1 = "//B", I2 = "//A,B"}}
[[experiment]]
name = "small"
references = ["data/dark.mtz"]
timepoints = [{points}]
[kinetics]
scheme = "A->B,B->C,C->A"
light_activated = true
state_mapping = {{A = "dark", B = "I1", C = "I2"}}
rate_constants = {{"A->B" = "inf", "B->C" = "1/(500 ns)", "C->A" = "1/(50 us)"}}
efficiencies = {{"A->B" = 0.3}}
refine_efficiencies = ["A->B"]
"""


def pieces(structure: gemmi.Structure) -> gemmi.Structure:
    """The pieces alone, in a cell without symmetry that they fit into."""
    found = gemmi.Structure()
    model = gemmi.Model(1)
    for name, numbers in PIECES.items():
        chain = gemmi.Chain(name)
        for residue in structure[0][0]:
            if residue.seqid.num in numbers and not residue.is_water():
                chain.add_residue(residue)
        model.add_chain(chain)
    found.add_model(model)
    found.setup_entities()
    return found


def true_and_given() -> tuple[dict[str, gemmi.Structure], dict[str, gemmi.Structure]]:
    """Structures by name: true ones, and those that refinements start from, off by the example's own errors."""
    truth = {name: pieces(each) for name, each in RECIPE.structures.read(truth=True).items()}
    given = {name: pieces(each) for name, each in RECIPE.structures.read(truth=False).items()}
    places = {name: _xyz(each) for name, each in truth.items()}
    everything = np.concatenate(list(places.values()))
    low, size = everything.min(axis=0) - _MARGIN, np.ptp(everything, axis=0) + 2.0 * _MARGIN
    cell = gemmi.UnitCell(*size.round(1).tolist(), 90, 90, 90)
    starts = {
        name: places["dark"] + _xyz(each) - _xyz(given["dark"]) if name != "dark" else places["dark"]
        for name, each in given.items()
    }
    return (
        {name: _at(each, places[name] - low, cell) for name, each in truth.items()},
        {name: _at(each, starts[name] - low, cell) for name, each in truth.items()},
    )


def _atoms(structure: gemmi.Structure) -> list[gemmi.Atom]:
    return [atom for chain in structure[0] for residue in chain for atom in residue]


def _xyz(structure: gemmi.Structure) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([atom.pos.tolist() for atom in _atoms(structure)])


def _at(structure: gemmi.Structure, xyz: Any, cell: gemmi.UnitCell) -> gemmi.Structure:
    moved = structure.clone()
    moved.cell, moved.spacegroup_hm = cell, "P 1"
    for atom, place in zip(_atoms(moved), xyz.tolist(), strict=True):
        atom.pos = gemmi.Position(*place)
    return moved


def write_campaign(directory: Path) -> tuple[Path, Path]:
    """Simulate the series; refinement files with the true structures and with those given."""
    truth, given = true_and_given()
    times = [None, *(parse_time(delay) for delay in _DELAYS)]
    names = ["dark", *(f"t{number}" for number in range(1, len(times)))]
    series = simulate_series(
        list(truth.values()),
        occupancies(times),
        names=names,
        times=times,
        d_min=_D_MIN,
        seed=1,
        structure_names=list(truth),
        noise=IntensityNoise(proportional=0.04, counting=0.0025, background=0.012),
        solvent=BulkSolvent(),
        missing=0.04,
        free_fraction=_FREE,
    )
    files = []
    for name, structures in (("true", truth), ("given", given)):
        folder = directory / name
        (folder / "data").mkdir(parents=True)
        write_series(series, folder / "data")
        for label, structure in structures.items():
            structure.write_pdb(str(folder / f"{label}.pdb"))
        points = ", ".join(
            f'{{time = "{delay}", file = "data/{n}.mtz"}}' for delay, n in zip(_DELAYS, names[1:], strict=True)
        )
        file = folder / "refinement.toml"
        file.write_text(_FILE.format(d_min=_D_MIN, points=points))
        files.append(file)
    return files[0], files[1]


def draws(n: int, first: int = 1) -> Iterator[dict[str, Any]]:
    """Estimates of each draw."""
    with tempfile.TemporaryDirectory() as directory:
        true, given = write_campaign(Path(directory))
        at_truth = prepare(load_refinement(true))
        model, provider = at_truth.models[0], at_truth.provider
        # Scales and error model as the data have them, at the true occupancies.
        fit_kinetics([model], provider, n_starts=1, refine_provider=False)
        loaded = load_refinement(given)
        restraints: list[FormRestraints] = []
        for seed in range(first, first + n):
            data = drawn(model, provider()[0].detach(), np.random.default_rng(seed)).data
            yield {"seed": seed} | {
                each.name: (each.value, each.lower, each.upper, each.std_error_ln)
                for each in _refined(loaded, data, seed, restraints)
                if each.refined
            }


def _refined(loaded: LoadedRefinement, data: ExperimentData, seed: int, kept: list[FormRestraints]) -> list[Estimate]:
    """Estimates of one draw. Restraints, which know nothing of the data, are made in the first and kept."""
    provider = loaded.build_provider()
    parameters = ProviderParameters(provider)
    start = parameters.values()
    reference = loaded.experiments[0].structures.structures[0].to_gemmi()
    setup = prepare_joint(loaded, [given_values(data, reference)], [data], provider, device="cpu")
    kept.extend([] if kept else [restraints_of(loaded, setup)])
    restraints = kept[0]
    restraints.set_widths((None,))
    settings = loaded.file.refinement
    refine_jointly(
        setup.experiments, setup.variables, restraints, cycles=settings.cycles, seed=seed, n_starts=settings.starts
    )
    freedom = atom_freedom(setup.experiments, setup.variables, restraints)
    models = [each.model for each in setup.experiments]
    return parameters.estimates(estimate_uncertainty(models, provider, lost=freedom.lost), start)


def report(rows: list[dict[str, Any]]) -> None:
    """Print how often each interval holds the truth, and errors beside those stated."""
    print(f"{len(rows)} draws, structures refined")
    print("| parameter | mean error of ln | its standard error | r.m.s. error | mean error stated | inside 95 % |")
    print("|---|---|---|---|---|---|")
    total = 0
    for name, true in TRUE.items():
        values, lower, upper, stated = (np.array(each) for each in zip(*(row[name] for row in rows), strict=True))
        error = np.log(values / true)
        inside = int(((lower < true) & (true < upper)).sum())
        total += inside
        print(
            f"| {name} | {error.mean():+.4f} | {error.std(ddof=1) / math.sqrt(len(rows)):.4f} "
            f"| {np.sqrt((error**2).mean()):.4f} | {stated.mean():.4f} | {inside} of {len(rows)} |"
        )
    share = total / (len(rows) * len(TRUE))
    print(f"| all | | | | | {100.0 * share:.1f} % |")


def main() -> None:
    """Run the draws."""
    rows = []
    for row in draws(int(sys.argv[1]) if len(sys.argv) > 1 else 60):
        rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    report(rows)


if __name__ == "__main__":
    main()
