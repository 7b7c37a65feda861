"""``python -m benchmarks.position_bound``: how well any refinement could know the atoms that move in a series.

The bound of Cramer and Rao at the true structures and rates: rates, yields, scales, coordinates and displacement
parameters of what truly differs are free, geometry is known, nothing else restrains a displacement. A series whose
bound is above what is asked of a refinement shows nothing of the refinement.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from benchmarks.series import EXAMPLE
from example_data.structures import MOVED
from torchref_kinetic_plugin.refinement.joint_uncertainty import atom_freedom
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.refinement.reference import given_values
from torchref_kinetic_plugin.workflow.joint_setup import prepare_joint, restraints_of
from torchref_kinetic_plugin.workflow.loading import load_refinement


def main() -> None:
    """Print the table."""
    print("| series | bound on the error of the moved atoms' positions, r.m.s., A |\n|---|---|")
    for name in sys.argv[1:] or ("photocycle", "reversible", "branch"):
        found = bounds(EXAMPLE.parent / name)
        print(f"| {name} | {', '.join(f'{each} {value:.3f}' for each, value in found.items())} |", flush=True)


def bounds(series: Path) -> dict[str, float]:
    """Of each intermediate over the atoms that truly moved, A."""
    truth = json.loads((series / "truth" / "truth.json").read_text())["kinetics"]
    files = [series / "truth" / "dark.pdb", *sorted((series / "truth").glob("i*.pdb"))]
    loaded = load_refinement(
        series / "refinement.toml",
        overrides={
            "refinement.refine": ["kinetics", "structures", "scale"],
            "structures.states": [
                {"name": file.stem if file.stem == "dark" else file.stem.upper(), "file": str(file)} for file in files
            ],
            "kinetics.rate_constants": truth["rate_constants"],
            "kinetics.efficiencies": truth["efficiencies"],
        },
    )
    data = [experiment.data for experiment in loaded.experiments]
    dark = loaded.structures.structures[0]
    provider = loaded.build_provider()
    setup = prepare_joint(loaded, [given_values(data[0], dark.to_gemmi())], data, provider, device="cpu")
    fit_kinetics([each.model for each in setup.experiments], provider, n_starts=1)
    # Without a width displacements are not restrained.
    freedom = atom_freedom(setup.experiments, setup.variables, restraints_of(loaded, setup))
    error_of_row = dict(zip(setup.variables.rows.free.tolist(), freedom.errors.tolist(), strict=True))
    found = {}
    structures = setup.forms[0].structures
    for structure, rows in zip(structures.structures[1:], structures.parameters.rows[1:], strict=True):
        errors = [
            error_of_row[int(row)]
            for key, row, xyz in zip(structure.atoms.keys, rows, structure.atoms.xyz, strict=True)
            if int(row) in error_of_row
            and key in dark.atoms.index
            and np.linalg.norm(xyz - dark.atoms.xyz[dark.atoms.index[key]]) > MOVED
        ]
        found[structure.name] = float(np.sqrt(3.0 * np.mean(np.square(errors))))
    return found


if __name__ == "__main__":
    main()
