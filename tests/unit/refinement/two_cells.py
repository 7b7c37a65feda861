"""The example, and the same crystal warmer: a cell half a percent larger, simulated with the molecule undistorted."""

from pathlib import Path

import gemmi

from example_data.photocycle.make_example import RECIPE, occupancies
from tests.unit.refinement.small_joint import EXAMPLE, data_of, reference_values
from torchref_kinetic_plugin.scheme import parse_time
from torchref_kinetic_plugin.simulation import BulkSolvent, IntensityNoise, ModelError, simulate_series, write_series
from torchref_kinetic_plugin.structures import AtomicStructure
from torchref_kinetic_plugin.structures.placing import centre_of, placed
from torchref_kinetic_plugin.workflow.joint_forms import forms_of
from torchref_kinetic_plugin.workflow.joint_setup import prepare_joint
from torchref_kinetic_plugin.workflow.loading import load_refinement

#: Delays, and the files of the example that have them.
DELAYS = {"50 ns": "t02", "800 ns": "t04", "4 us": "t05", "20 us": "t06"}
WARM = gemmi.UnitCell(50.840 * 1.006, 42.770 * 1.004, 28.950 * 1.005, 90.0, 90.0, 90.0)
#: Every process is so many times faster in the warm crystal.
FASTER = 2.0

_KINETICS = """
[kinetics]
scheme = "A->B,B->C,C->A"
light_activated = true
state_mapping = {A = "dark", B = "I1", C = "I2"}
rate_constants = {"A->B" = "inf", "B->C" = "1/(1 us)", "C->A" = "1/(30 us)"}
efficiencies = {"A->B" = 0.4}
refine_efficiencies = ["A->B"]
"""


def true_structures(cell=None):
    """The true structures by name, in another cell if one is given."""
    read = {name: AtomicStructure.from_gemmi(each, name) for name, each in RECIPE.structures.read(truth=True).items()}
    if cell is None:
        return read
    centre = centre_of(read["dark"])
    return {name: placed(each, cell, centre) for name, each in read.items()}


def write_warm(directory, *, cell=WARM, d_min=3.0, seed=7):
    """Simulate the warm series into a directory."""
    times = [None, *(parse_time(delay) for delay in DELAYS)]
    series = simulate_series(
        [each.to_gemmi() for each in true_structures(cell).values()],
        occupancies([None if time is None else FASTER * time for time in times]),
        names=["dark", *DELAYS.values()],
        times=times,
        d_min=d_min,
        seed=seed,
        structure_names=list(true_structures()),
        noise=IntensityNoise(proportional=0.04, counting=0.0025, background=0.012),
        solvent=BulkSolvent(),
        missing=0.04,
        error=ModelError(r_factor=0.15),
    )
    write_series(series, directory)


def experiment(name, directory, states=""):
    points = "".join(f'{{time = "{delay}", file = "{Path(directory) / file}.mtz"}}, ' for delay, file in DELAYS.items())
    return (
        f'[[experiment]]\nname = "{name}"\nreferences = ["{Path(directory) / "dark.mtz"}"]\n'
        f"timepoints = [{points}]\n{f'states = [{states}]' if states else ''}\n"
    )


def write_campaign(directory, experiments, *, d_min=3.0, cycles=2, head="", tail=""):
    """A refinement file of such experiments, in their order."""
    states = ", ".join(f'{{name = "{name}", file = "{EXAMPLE / name.lower()}.pdb"}}' for name in ("dark", "I1", "I2"))
    path = Path(directory) / "refinement.toml"
    path.write_text(
        f"[refinement]\nd_min = {d_min}\ncycles = {cycles}\nstarts = 2\n"
        f'refine = ["kinetics", "structures", "scale"]\n{head}\n'
        f"[structures]\nstates = [{states}]\n{''.join(experiments)}{_KINETICS}\n[output]\nmaps = false\nplots = false\n{tail}"
    )
    return path


def cold_and_warm(warm_directory, *, names=("cold", "warm")):
    """Blocks of the two experiments."""
    return [experiment(names[0], EXAMPLE), experiment(names[1], warm_directory)]


def setup_of(path, **overrides):
    """File and setup; the references as given."""
    refinement = load_refinement(path, overrides=overrides)
    provider, data = refinement.build_provider(), data_of(refinement)
    values = [reference_values(refinement, numbers[0]) for numbers in forms_of(refinement)]
    return refinement, prepare_joint(refinement, values, data, provider, device="cpu")
