"""The example at low resolution, ready for a joint refinement."""

from pathlib import Path

from torchref_kinetic_plugin.refinement.reference import given_values
from torchref_kinetic_plugin.structures import load_files
from torchref_kinetic_plugin.workflow.joint_setup import prepare_joint
from torchref_kinetic_plugin.workflow.loading import load_refinement

EXAMPLE = Path(__file__).parents[3] / "example_data" / "photocycle"


def loaded(d_min=3.0, **overrides):
    keys = {"refinement.d_min": d_min, "refinement.refine": ["kinetics", "structures", "scale"]}
    return load_refinement(EXAMPLE / "refinement.toml", overrides=keys | overrides)


def data_of(refinement):
    return [each.data for each in refinement.experiments]


def setup(d_min=3.0, *, device="cpu", **overrides):
    """File, setup and provider; the reference as given."""
    refinement = loaded(d_min, **overrides)
    provider, data = refinement.build_provider(), data_of(refinement)
    return refinement, prepare_joint(refinement, [reference_values(refinement)], data, provider, device=device)


def reference_values(refinement, number=0):
    """Of the reference structure of an experiment, as given."""
    each = refinement.experiments[number]
    return given_values(each.data, each.structures.structures[0].to_gemmi())


def truth(name):
    return load_files({name: EXAMPLE / "truth" / f"{name.lower()}.pdb"}).structures[0]
