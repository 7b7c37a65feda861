"""Crystal forms of a joint refinement: which experiments share atoms, and each form's own copy of the structures."""

from __future__ import annotations

from collections.abc import Sequence
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
from torchref_kinetic_plugin.workflow.experiment_structures import FormMember, crystal_forms
from torchref_kinetic_plugin.workflow.loaded import LoadedRefinement

if TYPE_CHECKING:
    from torchref_kinetic_plugin.bridge.crystal import Crystal
    from torchref_kinetic_plugin.bridge.shared_atoms import AtomValues
    from torchref_kinetic_plugin.refinement.experiment import ExperimentData

#: Pull of the differences at an atom, in standard deviations, from which its residue moves.
_SIGNAL = 6.0

Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]


@final
@dataclass(frozen=True, eq=False)
class FormAtoms:
    """One crystal form: its experiments, and the structures in its frame.

    Attributes
    ----------
    name : str
        Of the first of its experiments, which gives the frame.
    experiments : tuple of int
        Numbers of its experiments in the file.
    structures : StructureSet
        The reference as refined, intermediates with what is their own; shares what is not.
    crystal : Crystal
        The frame.
    free, riding, parent : ndarray
        Rows that move, rows of hydrogens, and the rows these ride on; counted within the form.
    """

    name: str
    experiments: tuple[int, ...]
    structures: StructureSet
    crystal: Crystal
    free: Indices
    riding: Indices
    parent: Indices

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.structures.parameters.n_rows

    @property
    def moves(self) -> Flags:
        """(n_rows,) whether a row moves or rides."""
        found = np.zeros(self.n_rows, dtype=np.bool_)
        found[self.free] = True
        found[self.riding] = True
        return found

    def at(self, values: AtomValues) -> tuple[AtomicStructure, ...]:
        """The structures at values of the form's rows."""
        orthogonalization = self.crystal.orthogonalization
        return tuple(
            with_atom_values(structure, values, rows, orthogonalization)
            for structure, rows in zip(self.structures, self.structures.parameters.rows, strict=True)
        )


def forms_of(loaded: LoadedRefinement) -> list[tuple[int, ...]]:
    """Which experiments share atoms, by number; see `crystal_forms`."""
    return crystal_forms(
        [
            FormMember(
                each.settings.name,
                {state.name: state.file.resolve() for state in each.settings.states},
                each.grid.cell,
                each.grid.spacegroup,
            )
            for each in loaded.experiments
        ]
    )


def form_atoms(
    loaded: LoadedRefinement, values: Sequence[AtomValues], data: Sequence[ExperimentData], *, device: str
) -> tuple[tuple[FormAtoms, ...], tuple[MovingResidues, ...]]:
    """Choose what moves in the intermediates, the same residues in all forms, and build each form's structures.

    Parameters
    ----------
    loaded : LoadedRefinement
        The file and what it names.
    values : sequence of AtomValues
        Of each form, of the reference's atoms, refined.
    data : sequence of ExperimentData
        Of each experiment.
    device : str
        Where to compute.
    """
    started = []
    for numbers, refined in zip(forms_of(loaded), values, strict=True):
        given = loaded.experiments[numbers[0]].structures.structures
        crystal = data[numbers[0]].crystal
        every = np.arange(len(given[0].atoms))
        reference = with_atom_values(given[0], refined, every, crystal.orthogonalization)
        others = [follow(structure, given[0], reference) for structure in given[1:]]
        started.append((numbers, crystal, reference, others))
    own = [_moving(loaded, reference, others, [data[n] for n in ns], device) for ns, _, reference, others in started]
    moving = tuple(_united(each) for each in zip(*own, strict=True))
    forms = []
    for numbers, crystal, reference, others in started:
        intermediates = [like_reference(s, reference, m.residues) for s, m in zip(others, moving, strict=True)]
        structures = (reference, *intermediates)
        mine = [
            own_atoms(reference, ()),
            *(own_atoms(s, m.residues) for s, m in zip(intermediates, moving, strict=True)),
        ]
        parameters = ParameterMap.by_own(structures, mine)
        together = replace(loaded.structures, structures=structures, parameters=parameters)
        (riding, parent), free = _row_variables(together, mine)
        name = loaded.experiments[numbers[0]].settings.name
        forms.append(FormAtoms(name, numbers, together, crystal, free, riding, parent))
    return tuple(forms), moving


def _united(found: Sequence[MovingResidues]) -> MovingResidues:
    """What moves in one intermediate in any form; each residue is told under the first reason that holds anywhere."""
    differing = frozenset[ResidueKey]().union(*(each.differing for each in found))
    signal = frozenset[ResidueKey]().union(*(each.signal for each in found)) - differing
    around = frozenset[ResidueKey]().union(*(each.surroundings for each in found)) - differing - signal
    return MovingResidues(found[0].structure, differing, signal, around)


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
    data: Sequence[ExperimentData],
    device: str,
) -> list[MovingResidues]:
    chosen = loaded.file.structures.moving
    signal: frozenset[ResidueKey] = frozenset()
    if not all(each.name in chosen for each in others):
        signal = signal.union(*(_signal(reference, each, device) for each in data))
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
    from torchref_kinetic_plugin.refinement.preparation import prepare_experiment

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
