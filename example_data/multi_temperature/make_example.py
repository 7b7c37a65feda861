"""Make the series at three temperatures from the coordinates of PDB entry 1ORC; see README.md.

From the repository's root: ``python -m example_data.multi_temperature.make_example [--data-only]``.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from example_data.series import report
from example_data.structures import Shift, StructureRecipe, Turn
from example_data.temperatures import Expansion, TemperatureRecipe, report_expansion
from torchref_kinetic_plugin import simulate
from torchref_kinetic_plugin.simulation import CampaignTruth

HERE = Path(__file__).resolve().parent

# Tyr 26 turns on the surface of the recognition helix; then the turn between the first two helices moves as well.
FLIP = Turn(26, (-50.0, 0.0))
LOOP = Shift(range(14, 21), (-0.88, -0.50, 0.43))

RECIPE = TemperatureRecipe(
    StructureRecipe(HERE, "source/1orc.pdb.gz", {"I1": (FLIP,), "I2": (FLIP, LOOP)}, seed=61),
    Expansion(at=300.0, lengths=(5.0e-5, 7.5e-5, 10.0e-5), b_factor=0.15),
    {"280K": 280.0, "300K": 300.0, "320K": 320.0},
)


def write_data(directory: Path = HERE) -> CampaignTruth:
    """Simulate the campaign of ``simulation.toml`` from the true structures in ``truth/``."""
    with tempfile.TemporaryDirectory() as folder:
        truth = simulate(HERE / "simulation.toml", folder)
        for made in [*sorted(Path(folder).glob("*/*.mtz")), Path(folder) / "truth.json"]:
            target = directory / ("truth" if made.suffix == ".json" else made.parent.name) / made.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(made, target)
    return truth


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Make a simulated campaign.")
    arguments.add_argument("--data-only", action="store_true", help="take the structures that are here")
    if not arguments.parse_args().data_only:
        RECIPE.write()
    report_expansion(RECIPE)
    for experiment in write_data().experiments:
        print(experiment.experiment)
        report(experiment)
