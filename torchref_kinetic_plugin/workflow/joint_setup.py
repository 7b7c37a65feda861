"""What a joint refinement needs: the refined reference, what moves in the intermediates, data and variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np
import torch
from numpy.typing import NDArray

from torchref_kinetic_plugin.structures import AtomicStructure, ParameterMap, StructureSet
from torchref_kinetic_plugin.structures.atoms import ResidueKey, cartesian_of
from torchref_kinetic_plugin.structures.matching import same_atoms
from torchref_kinetic_plugin.structures.moving import (
    MovingResidues,
    differing_residues,
    like_reference,
    own_atoms,
    riding_hydrogens,
    selected_residues,
    surrounding_residues,
)
from torchref_kinetic_plugin.workflow.loading import LoadedRefinement, first_occupancies

if TYPE_CHECKING:
    from torchref_kinetic_plugin.bridge.shared_atoms import AtomValues
    from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
    from torchref_kinetic_plugin.refinement.atom_terms import AtomRestraints
    from torchref_kinetic_plugin.refinement.experiment import ExperimentData, Preparation
    from torchref_kinetic_plugin.refinement.joint_objective import JointExperiment
    from torchref_kinetic_plugin.refinement.joint_progress import JointProgress
    from torchref_kinetic_plugin.refinement.joint_variables import JointVariables

#: Pull of the differences at an atom, in standard deviations, from which its residue moves.
_SIGNAL = 6.0
#: Cycles of the reference alone.
_REFERENCE_CYCLES = 3

Flags = NDArray[np.bool_]


@final
@dataclass(frozen=True, eq=False)
class JointSetup:
    """Everything that a joint refinement needs, before its first cycle.

    Attributes
    ----------
    structures : StructureSet
        The reference as refined, intermediates with what is their own; shares what is not.
    moving : tuple of MovingResidues
        Of each intermediate.
    preparations : tuple of Preparation
        Of each experiment, at these structures.
    experiments : tuple of JointExperiment
        The same with banks and validation sets.
    variables : JointVariables
        What moves.
    """

    structures: StructureSet
    moving: tuple[MovingResidues, ...]
    preparations: tuple[Preparation, ...]
    experiments: tuple[JointExperiment, ...]
    variables: JointVariables

    def present_structures(self) -> tuple[AtomicStructure, ...]:
        """The structures at the variables' present values, each in its own cell."""
        values = self.variables.values
        crystal = self.preparations[0].model.data.crystal
        found = []
        for structure, rows in zip(self.structures, self.structures.parameters.rows, strict=True):
            found.append(with_atom_values(structure, values, rows, crystal.orthogonalization))
        return tuple(found)

    def present_preparations(self) -> tuple[Preparation, ...]:
        """The preparations with the structure factors of the present values."""
        found = []
        values = self.variables.values
        for preparation, each in zip(self.preparations, self.experiments, strict=True):
            with torch.no_grad():
                atoms = each.bank.structure_factors(each.in_cell(values))
            masks = each.bank.structures.mask_structure_factors()
            found.append(replace(preparation, atoms=atoms, masks=masks))
        return tuple(found)


def refined_reference(
    loaded: LoadedRefinement,
    data: ExperimentData,
    *,
    device: str,
    on_cycle: Callable[[JointProgress], None] | None = None,
) -> AtomValues:
    """Values of the first structure's atoms, refined against the references of an experiment."""
    from torchref_kinetic_plugin.refinement.reference import refine_reference

    structure = loaded.structures.structures[0]
    return refine_reference(
        data,
        structure.to_gemmi(),
        ~structure.atoms.hydrogen,
        riding_hydrogens(structure),
        cycles=min(_REFERENCE_CYCLES, loaded.file.refinement.cycles),
        seed=loaded.file.refinement.seed,
        restraint_files=loaded.file.structures.restraints,
        device=device,
        weights=atom_weights(loaded),
        on_cycle=on_cycle,
    ).values


def prepare_joint(
    loaded: LoadedRefinement,
    values: AtomValues,
    data: Sequence[ExperimentData],
    provider: SeriesOccupancies,
    *,
    device: str,
) -> JointSetup:
    """Choose what moves, and build data, structures and variables of the joint refinement.

    Parameters
    ----------
    loaded : LoadedRefinement
        The file and what it names.
    values : AtomValues
        Of the first structure's atoms, refined.
    data : sequence of ExperimentData
        Of each experiment.
    provider : SeriesOccupancies
        Its parameters move if the file says so.
    device : str
        Where to compute.
    """
    from torchref_kinetic_plugin.bridge.shared_atoms import SharedAtomBank
    from torchref_kinetic_plugin.refinement.experiment import prepare_experiment
    from torchref_kinetic_plugin.refinement.joint_fit import validation_set
    from torchref_kinetic_plugin.refinement.joint_objective import JointExperiment
    from torchref_kinetic_plugin.refinement.joint_variables import JointVariables, RowVariables

    file = loaded.file
    given = loaded.structures.structures
    every = np.arange(len(given[0].atoms))
    reference = with_atom_values(given[0], values, every, data[0].crystal.orthogonalization)
    others = [follow(structure, given[0], reference) for structure in given[1:]]
    moving = tuple(_moving(loaded, reference, others, data[0], device))
    intermediates = [like_reference(s, reference, m.residues) for s, m in zip(others, moving, strict=True)]
    structures = (reference, *intermediates)
    own = [own_atoms(reference, ()), *(own_atoms(s, m.residues) for s, m in zip(intermediates, moving, strict=True))]
    parameters = ParameterMap.by_own(structures, own)
    together = replace(loaded.structures, structures=structures, parameters=parameters)
    rows, free = _row_variables(together, own)
    models = [structure.to_gemmi() for structure in structures]
    preparations, experiments = [], []
    moves = np.zeros(parameters.n_rows, dtype=np.bool_)
    moves[free] = True
    moves[rows[0]] = True
    first = data[0].crystal.orthogonalization
    for each, module in zip(data, provider.modules_by_experiment, strict=True):
        at_reference = first_occupancies(module, len(structures), each.n_references)
        preparation = prepare_experiment(each, models, at_reference, device=device)
        bank = SharedAtomBank(
            models,
            parameters.rows,
            each.grid.hkl,
            each.crystal,
            moving=moves,
            restraint_files=file.structures.restraints,
            device=device,
        )
        train = preparation.model.work & ~validation_set(preparation.model.work, file.refinement.seed)
        to_cell = torch.as_tensor(each.crystal.orthogonalization @ np.linalg.inv(first), device=device)
        experiments.append(
            JointExperiment(
                preparation.model,
                bank,
                torch.as_tensor(preparation.absolute.mask_scale, device=device),
                train,
                None if each is data[0] else to_cell,
            )
        )
        preparations.append(preparation)
    bank = experiments[0].bank
    variables = JointVariables(
        RowVariables(free, *rows),
        bank.start,
        bank.anisotropic,
        provider,
        [preparation.model for preparation in preparations],
        refine_provider="kinetics" in file.refinement.refine,
        refine_scale="scale" in file.refinement.refine,
    )
    return JointSetup(together, moving, tuple(preparations), tuple(experiments), variables)


def restraints_of(loaded: LoadedRefinement, setup: JointSetup) -> AtomRestraints:
    """Restraints of what moves."""
    from torchref_kinetic_plugin.bridge.row_restraints import RowRestraints
    from torchref_kinetic_plugin.refinement.atom_terms import AtomRestraints

    bank = setup.experiments[0].bank
    return AtomRestraints(
        RowRestraints(bank),
        setup.variables.rows.free,
        *reference_values(setup.structures.parameters, bank.start),
        bank.anisotropic,
        weights=atom_weights(loaded),
    )


def reference_values(parameters: ParameterMap, start: AtomValues) -> tuple[AtomValues, Flags]:
    """Values of the same atom in the first structure, for all rows, and whether it has that atom."""
    first = {int(parameters.key_of_row[row]): int(row) for row in parameters.rows[0]}
    keys = [int(key) for key in parameters.key_of_row]
    source = torch.tensor([first.get(key, row) for row, key in enumerate(keys)])
    known = np.array([key in first for key in keys], dtype=np.bool_)
    return type(start)(start.xyz[source], start.b[source], start.u[source]), known


def atom_weights(loaded: LoadedRefinement) -> dict[str, float]:
    """Weights of the atoms' terms beside data of weight 1."""
    weights = loaded.file.weights
    groups = {"geometry": weights.geometry, "adp": weights.adp, "similarity": weights.similarity}
    return {name: weight / weights.data for name, weight in groups.items()}


def follow(structure: AtomicStructure, before: AtomicStructure, after: AtomicStructure) -> AtomicStructure:
    """A structure with the shifts that the reference made, so that its differences to the reference stay."""
    here, there = same_atoms(structure.atoms, before.atoms)
    xyz, b = cartesian_of(structure.atoms.fractional, structure.cell), structure.atoms.b_iso.copy()
    shift = after.atoms.fractional[there] - before.atoms.fractional[there]
    xyz[here] += cartesian_of(shift, structure.cell) - cartesian_of(np.zeros((1, 3)), structure.cell)
    b[here] *= after.atoms.b_iso[there] / np.maximum(before.atoms.b_iso[there], 1e-3)
    u = structure.atoms.u.copy()
    u[here] += after.atoms.u[there] - before.atoms.u[there]
    u[~structure.atoms.anisotropic] = 0.0
    return structure.with_values(xyz=xyz, b_iso=b, u=u)


def with_atom_values(
    structure: AtomicStructure, values: AtomValues, rows: NDArray[np.int64], orthogonalization: NDArray[np.float64]
) -> AtomicStructure:
    """A structure at the values of its rows, which are in the data's cell."""
    taken = torch.tensor(rows)
    fractional = values.xyz[taken].detach().cpu().numpy() @ np.linalg.inv(orthogonalization).T
    anisotropic = structure.atoms.anisotropic
    u = np.where(anisotropic[:, None], values.u[taken].detach().cpu().numpy(), 0.0)
    equivalent = 8.0 * np.pi**2 * u[:, :3].mean(axis=1)
    b = np.where(anisotropic, equivalent, values.b[taken].detach().cpu().numpy())
    return structure.with_values(xyz=cartesian_of(fractional, structure.cell), b_iso=b, u=u)


def _moving(
    loaded: LoadedRefinement,
    reference: AtomicStructure,
    others: Sequence[AtomicStructure],
    data: ExperimentData,
    device: str,
) -> list[MovingResidues]:
    chosen = loaded.file.structures.moving
    signal: frozenset[ResidueKey] = frozenset()
    if not all(each.name in chosen for each in others):
        signal = _signal(reference, data, device)
    found = []
    for structure in others:
        if structure.name in chosen:
            selected = selected_residues(structure, chosen[structure.name])
            found.append(MovingResidues(structure.name, selected, frozenset(), frozenset()))
            continue
        differing = differing_residues(structure, reference)
        around = surrounding_residues(structure, reference, differing)
        found.append(MovingResidues(structure.name, differing, signal - differing, around - signal))
    return found


def _signal(reference: AtomicStructure, data: ExperimentData, device: str) -> frozenset[ResidueKey]:
    """Residues that the differences of the data point at."""
    from torchref_kinetic_plugin.bridge.shared_atoms import SharedAtomBank
    from torchref_kinetic_plugin.refinement.difference_signal import difference_signal
    from torchref_kinetic_plugin.refinement.error_model import settle_error_model
    from torchref_kinetic_plugin.refinement.experiment import prepare_experiment

    model = prepare_experiment(data, [reference.to_gemmi()], np.ones(1), device=device).model
    settle_error_model(model, torch.ones(1, model.n_timepoints, dtype=torch.float64))
    n = len(reference.atoms)
    bank = SharedAtomBank(
        [reference.to_gemmi()],
        [np.arange(n)],
        data.grid.hkl,
        data.crystal,
        moving=np.ones(n, dtype=bool),
        device=device,
    )
    pull = difference_signal(model, bank).max(axis=0)
    counting = (pull > _SIGNAL) & ~reference.atoms.hydrogen & ~reference.atoms.water
    return frozenset(reference.atoms.residues[place] for place in np.flatnonzero(counting).tolist())


def _row_variables(
    structures: StructureSet, own: Sequence[Flags]
) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]]:
    """Rows of hydrogens that ride with the rows of their parents, and rows that move on their own."""
    free: dict[int, None] = {}
    riding: dict[int, int] = {}
    for structure, rows, mine in zip(structures, structures.parameters.rows, own, strict=True):
        hydrogens, parents = riding_hydrogens(structure)
        riding |= {
            int(rows[h]): int(rows[p]) for h, p in zip(hydrogens.tolist(), parents.tolist(), strict=True) if mine[h]
        }
        free |= dict.fromkeys(rows[mine & ~structure.atoms.hydrogen].tolist())
    pairs = np.array(sorted(riding.items()), dtype=np.int64).reshape(-1, 2)
    return (pairs[:, 0], pairs[:, 1]), np.array(sorted(free), dtype=np.int64)
