"""Structures and kinetics together: the reference alone, then everything in one objective, cycle by cycle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np

from torchref_kinetic_plugin.config import resolved_toml
from torchref_kinetic_plugin.results import CycleSummary, DatasetStatistics, ResidueShift
from torchref_kinetic_plugin.structures import AtomicStructure
from torchref_kinetic_plugin.structures.atoms import Indices
from torchref_kinetic_plugin.structures.matching import displacement, same_atoms
from torchref_kinetic_plugin.structures.moving import MovingResidues
from torchref_kinetic_plugin.structures.report import counted
from torchref_kinetic_plugin.workflow.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from torchref_kinetic_plugin.workflow.form_remarks import form_remarks, width_remarks
from torchref_kinetic_plugin.workflow.joint_forms import forms_of
from torchref_kinetic_plugin.workflow.joint_setup import JointSetup, prepare_joint, refined_references, restraints_of
from torchref_kinetic_plugin.workflow.loaded import LoadedRefinement

if TYPE_CHECKING:
    from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
    from torchref_kinetic_plugin.refinement.experiment import ExperimentData
    from torchref_kinetic_plugin.refinement.form_restraints import FormRestraints
    from torchref_kinetic_plugin.refinement.joint_progress import Cycle, JointFit, JointProgress
    from torchref_kinetic_plugin.refinement.joint_uncertainty import AtomFreedom

#: Information about some rate or yield that the structures leave, as a fraction, below which a user is told.
_LITTLE_LEFT = 0.3


@final
@dataclass(frozen=True, eq=False)
class JointOutcome:
    """What a joint refinement came to.

    Attributes
    ----------
    setup : JointSetup
        With its variables at the best point.
    fit : JointFit
        What happened.
    freedom : AtomFreedom
        What the atoms' freedom costs, and the errors of their positions.
    structures_by_form : tuple of tuple of AtomicStructure
        As refined, of each crystal form.
    statistics : tuple of DatasetStatistics
        After each cycle.
    """

    setup: JointSetup
    fit: JointFit
    freedom: AtomFreedom
    structures_by_form: tuple[tuple[AtomicStructure, ...], ...]
    statistics: tuple[DatasetStatistics, ...]

    @property
    def structures(self) -> tuple[AtomicStructure, ...]:
        """Those of the first crystal form; of the only one, as a rule."""
        return self.structures_by_form[0]

    @property
    def remarks(self) -> list[str]:
        """What a user has to know of it."""
        found = [*form_remarks(self.setup), *(moving.text for moving in self.setup.moving)]
        progress = self.fit.progress
        if progress.finished:
            found.append(f"stopped after cycle {len(progress.cycles)}: {progress.finished}")
        elif progress.cycles:
            found.append(
                f"not converged: the last of {len(progress.cycles)} cycles still gained "
                f"{progress.cycles[-1].gain:.1f} in the objective; more cycles would move structures further"
            )
        found += [
            f"cycle {cycle.number}: {counted(cycle.n_undone, 'trial step')} led where the objective is no number, and "
            "back again from there on a shorter way"
            for cycle in progress.cycles
            if cycle.n_undone
        ]
        found += width_remarks(self.setup, progress.widths)
        if self.freedom.kept < _LITTLE_LEFT:
            found.append(
                "the data do not separate occupancy from displacement well: the freedom of the structures takes "
                f"{100.0 * (1.0 - self.freedom.kept):.0f} % of the information about a combination of rates and "
                "yields; intervals include it"
            )
        return found

    def shifts(self) -> list[ResidueShift]:
        """Residues that moved, form by form and structure by structure, against the form's reference."""
        rows = self.setup.variables.rows.free.tolist()
        error_of = dict(zip(rows, self.freedom.errors.tolist(), strict=True))
        found = []
        forms = zip(self.setup.forms, self.setup.blocks, self.structures_by_form, strict=True)
        for form, block, (reference, *others) in forms:
            tables = zip(others, self.setup.moving, form.structures.parameters.rows[1:], strict=True)
            for structure, moving, own in tables:
                found += _shifts(form.name, structure, reference, moving, own + block.start, error_of)
        return found


def _shifts(
    experiment: str,
    structure: AtomicStructure,
    reference: AtomicStructure,
    moving: MovingResidues,
    rows: Indices,
    error_of: Mapping[int, float],
) -> list[ResidueShift]:
    here, there = same_atoms(structure.atoms, reference.atoms)
    length = np.linalg.norm(displacement(structure, reference, (here, there)), axis=1)
    by_residue: dict[object, list[int]] = {}
    for number, place in enumerate(here.tolist()):
        if structure.atoms.residues[place] in moving.residues and not structure.atoms.hydrogen[place]:
            by_residue.setdefault(structure.atoms.residues[place], []).append(number)
    found = []
    for residue, numbers in by_residue.items():
        errors = [error_of.get(int(rows[here[number]]), np.nan) for number in numbers]
        furthest = numbers[int(np.argmax(length[numbers]))]
        found.append(
            ResidueShift(
                structure.name,
                str(residue),
                len(numbers),
                float(np.sqrt(np.mean(length[numbers] ** 2))),
                float(length[furthest]),
                str(structure.atoms.atom_name[here[furthest]]),
                float(np.sqrt(np.mean(np.square(errors)))),
                experiment,
            )
        )
    return found


def refine_together(
    loaded: LoadedRefinement,
    provider: SeriesOccupancies,
    data: list[ExperimentData],
    directory: Path,
    *,
    device: str,
    resume: bool,
    statistics_of: Callable[[JointSetup, int], list[DatasetStatistics]],
    announce: Callable[[str, float | None], None],
    on_cycle: Callable[[CycleSummary], None],
) -> JointOutcome:
    """Refine the reference, then structures and kinetics together; a checkpoint follows it, and every cycle.

    Parameters
    ----------
    loaded : LoadedRefinement
        The file and what it names.
    provider : SeriesOccupancies
        The occupancies.
    data : list of ExperimentData
        Of each experiment.
    directory : path
        Where the checkpoint is.
    device : str
        Where to compute.
    resume : bool
        Whether to go on from the checkpoint.
    statistics_of : callable
        Agreement of all datasets after a cycle.
    announce : callable
        Told what is being done, and the objective.
    on_cycle : callable
        Told of each finished cycle, after its checkpoint.

    Raises
    ------
    InputError
        When a checkpoint is asked for that is not there or does not fit.
    DriftError
        When a structure comes apart; the checkpoint is that of the cycle before.
    """
    from torchref_kinetic_plugin.refinement.joint_fit import refine_jointly
    from torchref_kinetic_plugin.refinement.joint_uncertainty import atom_freedom

    file = loaded.file
    settings = resolved_toml(file, relative_to=directory)
    inputs = dict(loaded.inputs)
    saved = read_checkpoint(directory, settings, inputs) if resume else None
    if saved is None:
        announce(f"refining {loaded.structures.names[0]} against the references", None)
        values = refined_references(loaded, data, device=device, on_cycle=_telling(loaded, announce))
        write_checkpoint(directory, Checkpoint(settings, inputs, values))
    else:
        values = saved.references
    announce("choosing what moves", None)
    setup = prepare_joint(loaded, values, data, provider, device=device)
    restraints = restraints_of(loaded, setup)
    statistics = list(saved.statistics) if saved is not None else []

    refuse_drift = _watching(setup, restraints)

    def after(progress: JointProgress) -> None:
        cycle = progress.cycles[-1]
        refuse_drift(f"after cycle {cycle.number}")
        statistics.extend(statistics_of(setup, cycle.number))
        write_checkpoint(directory, Checkpoint(settings, inputs, values, progress, tuple(statistics)))
        announce(f"cycle {cycle.number} of at most {file.refinement.cycles}", _loss(cycle))
        on_cycle(summary_of(cycle))

    announce("structures and kinetics", None)
    fit = refine_jointly(
        setup.experiments,
        setup.variables,
        restraints,
        cycles=file.refinement.cycles,
        seed=file.refinement.seed,
        n_starts=file.refinement.starts,
        stop=file.refinement.stop,
        resume=None if saved is None else saved.progress,
        on_cycle=after,
    )
    refuse_drift("after the last fit")
    announce("standard errors, with the freedom of the structures", None)
    freedom = atom_freedom(setup.experiments, setup.variables, restraints)
    return JointOutcome(setup, fit, freedom, setup.present_structures(), tuple(statistics))


def summary_of(cycle: Cycle) -> CycleSummary:
    """A cycle as plain values."""
    return CycleSummary(
        cycle.number,
        dict(cycle.terms),
        cycle.gain,
        cycle.work,
        cycle.validation,
        cycle.free,
        cycle.shift,
        dict(cycle.parameters),
        cycle.n_undone,
    )


def _watching(setup: JointSetup, restraints: FormRestraints) -> Callable[[str], None]:
    """Refuses structures that have come apart since now; told when."""
    from torchref_kinetic_plugin.refinement.drift import BondWatch

    start = setup.variables.values
    watches = []
    for form, each, block in zip(setup.forms, restraints.forms, setup.blocks, strict=True):
        rows = dict(zip(form.structures.names, form.structures.parameters.rows, strict=True))
        watches.append((BondWatch(each.geometry, rows, start.rows(block)), block))

    def refuse(when: str) -> None:
        for watch, block in watches:
            watch.refuse_drift(setup.variables.values.rows(block), when)

    return refuse


def _telling(
    loaded: LoadedRefinement, announce: Callable[[str, float | None], None]
) -> Callable[[str, JointProgress], None]:
    """Tells of the cycles of the reference alone."""
    several = len(forms_of(loaded)) > 1

    def tell(form: str, progress: JointProgress) -> None:
        where = f" of {form}" if several else ""
        text = f"{loaded.structures.names[0]}{where}, cycle {len(progress.cycles)}"
        announce(text, _loss(progress.cycles[-1]))

    return tell


def _loss(cycle: Cycle) -> float:
    return sum(cycle.terms.values())
