"""What a joint refinement needs: refined references, data and structures of each experiment, variables, restraints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np
import torch
from numpy.typing import NDArray

from torchref_kinetic_plugin.structures import AtomicStructure, ParameterMap
from torchref_kinetic_plugin.structures.matching import robust
from torchref_kinetic_plugin.structures.moving import MovingResidues, riding_hydrogens
from torchref_kinetic_plugin.structures.superposition import Superposition, superposed
from torchref_kinetic_plugin.workflow.joint_forms import FormAtoms, form_atoms, forms_of
from torchref_kinetic_plugin.workflow.loaded import LoadedRefinement, first_occupancies

if TYPE_CHECKING:
    from torchref_kinetic_plugin.bridge.shared_atoms import AtomValues
    from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
    from torchref_kinetic_plugin.refinement.experiment import ExperimentData
    from torchref_kinetic_plugin.refinement.form_restraints import FormRestraints
    from torchref_kinetic_plugin.refinement.joint_objective import JointExperiment
    from torchref_kinetic_plugin.refinement.joint_progress import JointProgress
    from torchref_kinetic_plugin.refinement.joint_variables import JointVariables
    from torchref_kinetic_plugin.refinement.preparation import Preparation
    from torchref_kinetic_plugin.refinement.sibling_terms import SiblingRestraint

#: Cycles of the reference alone.
_REFERENCE_CYCLES = 3

Flags = NDArray[np.bool_]


@final
@dataclass(frozen=True, eq=False)
class JointSetup:
    """Everything that a joint refinement needs, before its first cycle.

    Attributes
    ----------
    forms : tuple of FormAtoms
        The crystal forms, sorted by name; their rows stand one block after the other.
    superpositions : tuple of Superposition
        Of each form's reference on the mean of all.
    moving : tuple of MovingResidues
        Of each intermediate, the same in all forms.
    preparations : tuple of Preparation
        Of each experiment, at these structures.
    experiments : tuple of JointExperiment
        The same with banks and validation sets.
    variables : JointVariables
        What moves.
    """

    forms: tuple[FormAtoms, ...]
    superpositions: tuple[Superposition, ...]
    moving: tuple[MovingResidues, ...]
    preparations: tuple[Preparation, ...]
    experiments: tuple[JointExperiment, ...]
    variables: JointVariables

    @property
    def blocks(self) -> tuple[slice, ...]:
        """Rows of each form."""
        return tuple(self.experiments[form.experiments[0]].block for form in self.forms)

    def present_structures(self) -> tuple[tuple[AtomicStructure, ...], ...]:
        """The structures of each form at the variables' present values."""
        values = self.variables.values
        return tuple(form.at(values.rows(block)) for form, block in zip(self.forms, self.blocks, strict=True))

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


def refined_references(
    loaded: LoadedRefinement,
    data: Sequence[ExperimentData],
    *,
    device: str,
    on_cycle: Callable[[str, JointProgress], None] = lambda *_: None,
) -> tuple[AtomValues, ...]:
    """Values of the reference's atoms in each crystal form, refined against the references of its experiments.

    ``on_cycle`` is told the form's name and where its reference stands. Where no dataset is of the reference alone (it
    is a mixture before a temperature jump, and in static series there is none), it stays as given.
    """
    from torchref_kinetic_plugin.refinement.reference import given_values, refine_reference

    found = []
    for numbers in forms_of(loaded):
        experiment = loaded.experiments[numbers[0]]
        structure, name = experiment.structures.structures[0], experiment.settings.name

        def report(progress: JointProgress, name: str = name) -> None:
            on_cycle(name, progress)

        pure = [data[number] for number in numbers if data[number].n_fixed]
        if not pure:
            found.append(given_values(data[numbers[0]], structure.to_gemmi()))
            continue
        found.append(
            refine_reference(
                pure,
                structure.to_gemmi(),
                ~structure.atoms.hydrogen,
                riding_hydrogens(structure),
                name=structure.name,
                cycles=min(_REFERENCE_CYCLES, loaded.file.refinement.cycles),
                seed=loaded.file.refinement.seed,
                restraint_files=loaded.file.structures.restraints,
                device=device,
                weights=atom_weights(loaded),
                on_cycle=report,
            ).values
        )
    return tuple(found)


def prepare_joint(
    loaded: LoadedRefinement,
    values: Sequence[AtomValues],
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
    values : sequence of AtomValues
        Of each crystal form, of the first structure's atoms, refined.
    data : sequence of ExperimentData
        Of each experiment.
    provider : SeriesOccupancies
        Its parameters move if the file says so.
    device : str
        Where to compute.
    """
    from torchref_kinetic_plugin.bridge.shared_atoms import AtomValues
    from torchref_kinetic_plugin.refinement.joint_variables import JointVariables, RowVariables

    forms, moving = form_atoms(loaded, values, data, device=device)
    made: dict[int, tuple[Preparation, JointExperiment]] = {}
    first = 0
    for form in forms:
        block = slice(first, first + form.n_rows)
        for number in form.experiments:
            module, n_references = provider.modules_by_experiment[number], data[number].n_references
            occupancies = first_occupancies(module, len(form.structures), n_references)
            made[number] = _experiment(loaded, form, block, data[number], occupancies, device)
        first = block.stop
    preparations, experiments = zip(*(made[number] for number in range(len(data))), strict=True)
    banks = [experiments[form.experiments[0]].bank for form in forms]
    starts = [experiments[form.experiments[0]].block.start for form in forms]
    placed = list(zip(forms, starts, strict=True))
    rows = RowVariables(
        np.concatenate([form.free + start for form, start in placed]),
        np.concatenate([form.riding + start for form, start in placed]),
        np.concatenate([form.parent + start for form, start in placed]),
    )
    start = AtomValues(
        torch.cat([bank.start.xyz for bank in banks]),
        torch.cat([bank.start.b for bank in banks]),
        torch.cat([bank.start.u for bank in banks]),
    )
    variables = JointVariables(
        rows,
        start,
        torch.cat([bank.anisotropic for bank in banks]),
        provider,
        [preparation.model for preparation in preparations],
        refine_provider="kinetics" in loaded.file.refinement.refine,
        refine_scale="scale" in loaded.file.refinement.refine,
    )
    return JointSetup(forms, tuple(_superpositions(forms)), moving, preparations, experiments, variables)


def _experiment(
    loaded: LoadedRefinement,
    form: FormAtoms,
    block: slice,
    data: ExperimentData,
    at_reference: NDArray[np.float64],
    device: str,
) -> tuple[Preparation, JointExperiment]:
    """An experiment with the structures of its form."""
    from torchref_kinetic_plugin.bridge.shared_atoms import SharedAtomBank
    from torchref_kinetic_plugin.refinement.joint_fit import validation_set
    from torchref_kinetic_plugin.refinement.joint_objective import JointExperiment
    from torchref_kinetic_plugin.refinement.preparation import prepare_experiment

    models = [structure.to_gemmi() for structure in form.structures]
    preparation = prepare_experiment(data, models, at_reference, device=device)
    bank = SharedAtomBank(
        models,
        form.structures.parameters.rows,
        data.grid.hkl,
        data.crystal,
        moving=form.moves,
        restraint_files=loaded.file.structures.restraints,
        device=device,
    )
    train = preparation.model.work & ~validation_set(preparation.model.work, loaded.file.refinement.seed)
    mask_scale = torch.as_tensor(preparation.absolute.mask_scale, device=device)
    # The experiment that gives the frame is in it already.
    frame, own = form.crystal.orthogonalization, data.crystal.orthogonalization
    same = data.name == form.name
    to_cell = None if same else torch.as_tensor(own @ np.linalg.inv(frame), device=device)
    return preparation, JointExperiment(preparation.model, bank, mask_scale, train, to_cell, block)


def _superpositions(forms: Sequence[FormAtoms]) -> list[Superposition]:
    """Of the references of all forms on their mean, by the atoms that all have, neither hydrogens nor waters."""
    if len(forms) == 1:
        return [Superposition(np.eye(3), np.zeros(3), 0.0)]
    tables = [form.structures.structures[0].atoms for form in forms]
    common = [
        key
        for key, place in tables[0].index.items()
        if robust(tables[0])[place] and all(key in other.index for other in tables)
    ]
    return superposed([table.xyz[[table.index[key] for key in common]] for table in tables])


def restraints_of(loaded: LoadedRefinement, setup: JointSetup) -> FormRestraints:
    """Restraints of what moves."""
    from torchref_kinetic_plugin.bridge.row_restraints import RowRestraints
    from torchref_kinetic_plugin.refinement.atom_terms import AtomRestraints
    from torchref_kinetic_plugin.refinement.form_restraints import FormRestraints

    weights = atom_weights(loaded)
    own, anchors, known = [], [], []
    for form in setup.forms:
        bank = setup.experiments[form.experiments[0]].bank
        anchor, has_anchor = reference_values(form.structures.parameters, bank.start)
        own.append(
            AtomRestraints(RowRestraints(bank), form.free, anchor, has_anchor, bank.anisotropic, weights=weights)
        )
        anchors.append(anchor.xyz)
        known.append(has_anchor)
    siblings = _siblings(setup, torch.cat(anchors), known, weights["siblings"]) if len(setup.forms) > 1 else None
    return FormRestraints(tuple(own), setup.blocks, siblings)


def _siblings(
    setup: JointSetup, anchor: torch.Tensor, known: Sequence[Flags], weight: float
) -> SiblingRestraint | None:
    """Restraint of what the intermediates' atoms do in all forms that have them."""
    from torchref_kinetic_plugin.refinement.sibling_terms import SiblingRestraint

    places: dict[tuple[int, object], list[int]] = {}
    for number, (form, block, has_anchor) in enumerate(zip(setup.forms, setup.blocks, known, strict=True)):
        keys, moves = form.structures.parameters.row_keys(), np.zeros(form.n_rows, dtype=np.bool_)
        moves[form.free] = has_anchor[form.free]
        for structure, rows in enumerate(form.structures.parameters.rows):
            for row in rows[moves[rows]].tolist():
                own = places.setdefault((structure, keys[row]), [-1] * len(setup.forms))
                own[number] = block.start + row
    rows = np.array(list(places.values()), dtype=np.int64).reshape(-1, len(setup.forms)).T
    return SiblingRestraint(rows, anchor, [each.rotation for each in setup.superpositions], weight=weight)


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
    groups = {
        "geometry": weights.geometry,
        "adp": weights.adp,
        "similarity": weights.similarity,
        "siblings": weights.siblings,
    }
    return {name: weight / weights.data for name, weight in groups.items()}
