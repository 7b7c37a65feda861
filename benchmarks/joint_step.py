"""One evaluation of the joint objective, with gradients, beside the structure factors and restraints in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from benchmarks.data_terms import forget_gradients
from benchmarks.series import EXAMPLE, with_timepoints
from benchmarks.timing import in_turn
from torchref_kinetic_plugin.bridge import Crystal, StructureFactorBank
from torchref_kinetic_plugin.bridge.row_restraints import RowRestraints
from torchref_kinetic_plugin.bridge.shared_atoms import AtomValues, SharedAtomBank
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel
from torchref_kinetic_plugin.refinement.joint_objective import JointObjective
from torchref_kinetic_plugin.refinement.joint_variables import JointVariables
from torchref_kinetic_plugin.refinement.reference import given_values
from torchref_kinetic_plugin.structures import ParameterMap
from torchref_kinetic_plugin.structures.moving import differing_residues, own_atoms
from torchref_kinetic_plugin.threads import one_thread
from torchref_kinetic_plugin.workflow.joint_setup import JointSetup, prepare_joint, restraints_of
from torchref_kinetic_plugin.workflow.loaded import LoadedRefinement
from torchref_kinetic_plugin.workflow.loading import load_refinement

#: Largest ratios: of the whole objective to its structure factors and restraints, and of three structures to one.
LIMIT, SHARED_LIMIT = 1.5, 1.6


def rows() -> Iterator[str]:
    """Four lines of the table, on the example: 3 structures, 8 timepoints, all data to 1.7 A.

    A step with all atoms of both intermediates moving; one with what differs moving, as in a refinement, beside the
    structure factors of the three structures, and beside those of what moves, which cost so little that the likelihood
    shows; and three structures that share atoms beside one, all moving.
    """
    with one_thread():
        yield from _steps("all atoms of the intermediates moving", {"I1": "//A", "I2": "//A"}, whole=False)
        yield from _steps("what differs moving", {}, whole=True)
        yield from _shared()


def prepared(moving: dict[str, str], **overrides: float) -> tuple[LoadedRefinement, JointSetup]:
    """The example, structures refined, with a selection of what moves; other keys of [refinement] by name."""
    loaded = load_refinement(
        EXAMPLE / "refinement.toml",
        overrides={
            "refinement.refine": ["kinetics", "structures", "scale"],
            "structures.moving": moving,
            **{f"refinement.{key}": value for key, value in overrides.items()},
        },
    )
    data = [experiment.data for experiment in loaded.experiments]
    start = given_values(data[0], loaded.structures.structures[0].to_gemmi())
    return loaded, prepare_joint(loaded, [start], data, loaded.build_provider(), device="cpu")


def with_repeated_timepoints(loaded: LoadedRefinement, setup: JointSetup, n_timepoints: int) -> JointObjective:
    """The joint objective of an experiment of so many timepoints, the measured ones again and again."""
    experiment = setup.experiments[0]
    model = experiment.model
    data, chosen = with_timepoints(model.data, n_timepoints)
    scale = model.base_log_scale.numpy()[chosen]
    longer = ExperimentModel(data, model.components, scale, model.reference_occupancies)
    schedule = replace(loaded.experiments[0].schedule, times=data.times)
    provider = loaded.plugins.build("kinetics", loaded.settings, [schedule], loaded.structures.names, 1)
    variables = JointVariables(
        setup.variables.rows, setup.variables.values, experiment.bank.anisotropic, provider, [longer]
    )
    restraints = restraints_of(loaded, setup)
    restraints.set_widths((0.15,))
    return JointObjective([replace(experiment, model=longer)], variables, restraints)


def _steps(what: str, moving: dict[str, str], *, whole: bool) -> Iterator[str]:
    loaded, setup = prepared(moving)
    models = [structure.to_gemmi() for structure in loaded.structures]
    data = loaded.experiments[0].data
    crystal, hkl = data.crystal, data.grid.hkl
    restraints = restraints_of(loaded, setup)
    restraints.set_widths((0.15,))
    objective = JointObjective(setup.experiments, setup.variables, restraints)
    vector = setup.variables.get()
    bank = setup.experiments[0].bank
    gradient = torch.randn(bank.n_structures, len(hkl), dtype=torch.complex128)

    def unavoidable() -> None:
        point = torch.from_numpy(vector).requires_grad_()
        values = setup.variables.atom_values(point)
        terms = restraints(values)
        factors = bank.structure_factors(values)
        value = (factors.real * gradient.real + factors.imag * gradient.imag).sum()
        (value + torch.stack(list(terms.values())).sum()).backward()  # type: ignore[no-untyped-call]

    title = f"joint step, {what}, {len(vector)} variables, 8 timepoints"
    if whole:
        full = StructureFactorBank(models, hkl, crystal, free=("xyz", "adp"))

        def structures() -> None:
            forget_gradients(full.parameters())
            full.structure_factors().backward(gradient)

        pair = in_turn(lambda: objective(vector), structures, seconds=6.0)
        yield (
            f"| {title} | {1e3 * pair.ours:.0f} ms | {1e3 * pair.theirs:.0f} ms, structure factors of the structures "
            f"| {pair.ratio:.2f} | {LIMIT:.1f} |"
        )
    pair = in_turn(lambda: objective(vector), unavoidable, seconds=6.0)
    yield (
        f"| {title} | {1e3 * pair.ours:.0f} ms | {1e3 * pair.theirs:.0f} ms, structure factors and restraints of what "
        f"moves | {pair.ratio:.2f} | {'-' if whole else f'{LIMIT:.1f}'} |"
    )


def _shared() -> Iterator[str]:
    loaded = load_refinement(EXAMPLE / "refinement.toml")
    grid = loaded.experiments[0].grid
    crystal, hkl = Crystal(grid.cell, grid.spacegroup), grid.hkl
    n = len(loaded.structures.structures[0].atoms)
    alone = SharedAtomBank(
        [loaded.structures.structures[0].to_gemmi()], [np.arange(n)], hkl, crystal, moving=np.ones(n, dtype=np.bool_)
    )
    # Reference, first intermediate, and that once more with its own atoms elsewhere: a tenth of each is its own.
    reference, first = loaded.structures.structures[:2]
    own = own_atoms(first, differing_residues(first, reference))
    third = replace(first.with_values(xyz=first.atoms.xyz + 0.1 * own[:, None]), name="third")
    parameters = ParameterMap.by_own((reference, first, third), (own_atoms(reference, ()), own, own))
    models = [each.to_gemmi() for each in (reference, first, third)]
    shared = SharedAtomBank(models, parameters.rows, hkl, crystal, moving=np.ones(parameters.n_rows, dtype=np.bool_))

    def step(of: SharedAtomBank, geometry: RowRestraints) -> None:
        xyz, b = of.start.xyz.clone().requires_grad_(), of.start.b.clone().requires_grad_()
        values = AtomValues(xyz, b, of.start.u)
        factors = of.structure_factors(values)
        (factors.abs().square().sum() + torch.stack(list(geometry(values).values())).sum()).backward()  # type: ignore[no-untyped-call]

    three, one = RowRestraints(shared), RowRestraints(alone)
    pair = in_turn(lambda: step(shared, three), lambda: step(alone, one), seconds=6.0)
    yield (
        f"| 3 structures, {100.0 * own.mean():.0f} % of the atoms differ | {1e3 * pair.ours:.0f} ms "
        f"| {1e3 * pair.theirs:.0f} ms, 1 structure | {pair.ratio:.2f} | {SHARED_LIMIT:.1f} |"
    )
