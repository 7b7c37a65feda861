"""Pictures of difference maps at the residues that moved most."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from torchref_kinetic_plugin.files import make_inner_directory, remove
from torchref_kinetic_plugin.output.difference_views import (
    Frame,
    correlation_near,
    difference_densities,
    drawn_model,
    residue_atoms,
    slab,
)
from torchref_kinetic_plugin.plotting import save
from torchref_kinetic_plugin.plotting.map_view import map_view_figure
from torchref_kinetic_plugin.results import MapView, OccupancyEstimate, RefinementResult
from torchref_kinetic_plugin.structures import AtomicStructure, ResidueDifference, residue_differences
from torchref_kinetic_plugin.workflow.map_files import map_data_of
from torchref_kinetic_plugin.workflow.outputs import VIEWS

if TYPE_CHECKING:
    from torchref_kinetic_plugin.workflow.refining import Refinement

#: Residues shown of each structure, how far apart, and how far they have moved at least; A.
_MOST, _APART, _MOVED = 2, 7.0, 0.1
#: Colours of the reference and of the other structure; those of structures in plots would be lost in the density.
_PALE, _DARK = "#A3ABB5", "#22272F"
#: First contour, in root-mean-square densities of the observed map.
_SIGMAS = 3.0


def write_map_views(run: Refinement, result: RefinementResult, directory: Path) -> list[MapView]:
    """Draw, for each structure but the reference's, the residues that moved most where it is most occupied.

    Nothing is drawn of experiments without references, which have no differences.

    Parameters
    ----------
    run : Refinement
        After the fit.
    result : RefinementResult
        Its result.
    directory : path
        The output directory; pictures go into `VIEWS` there, in place of those of an earlier run.

    Raises
    ------
    FileError
        When one cannot be written.
    """
    views: list[MapView] = []
    for old in (directory / VIEWS).glob("[0-9][0-9]_*.png"):
        remove(old)
    names = run.loaded.structures.names
    for structure in names:
        best = _most_occupied(run, result, structure)
        if best is None:
            continue
        number = [each.settings.name for each in run.loaded.experiments].index(best.experiment)
        reference, excited = (_structure(run, number, name) for name in (_reference_name(run, number), structure))
        residues = _moved_most(excited, reference)
        if not residues:
            continue
        make_inner_directory(directory / VIEWS)
        row = [point.name for point in run.loaded.experiments[number].settings.timepoints].index(best.timepoint)
        observed, model = difference_densities(map_data_of(run, number)[row])
        sigma = float(np.std(np.asarray(observed.array)))
        for found in residues:
            atoms = np.concatenate([residue_atoms(each, found.residue) for each in (reference, excited)])
            frame = Frame.about(atoms)
            figure = map_view_figure(
                [
                    ("observed:  Fo(t) − Fo(reference), weighted", slab(observed, frame)),
                    ("model:  Fc(t) − Fc(reference), same weights", slab(model, frame)),
                ],
                [
                    (drawn_model(reference, frame, reference.name), _PALE),
                    (drawn_model(excited, frame, excited.name), _DARK),
                ],
                half_width=frame.width,
                level=_SIGMAS * sigma,
            )
            file = f"{VIEWS}/{len(views) + 1:02d}_{structure}_{re.sub('[^A-Za-z0-9]+', '-', str(found.residue))}.png"
            save(figure, directory / file)
            views.append(
                MapView(
                    file,
                    best.experiment,
                    best.timepoint,
                    structure,
                    str(found.residue),
                    best.time_s,
                    best.occupancy,
                    found.rms,
                    _SIGMAS * sigma,
                    _SIGMAS,
                    correlation_near(observed, model, atoms),
                )
            )
    return views


def _most_occupied(run: Refinement, result: RefinementResult, structure: str) -> OccupancyEstimate | None:
    """Where a structure that references lack is most occupied; None where it nowhere is."""
    dark = {
        each.settings.name: _reference_name(run, number)
        for number, each in enumerate(run.loaded.experiments)
        if each.n_references
    }
    timepoints = {(e.settings.name, p.name) for e in run.loaded.experiments for p in e.settings.timepoints}
    rows = [
        each
        for each in result.occupancies
        if each.structure == structure
        and dark.get(each.experiment, structure) != structure
        and (each.experiment, each.timepoint) in timepoints
        and each.occupancy > 0.0
    ]
    return max(rows, key=lambda each: each.occupancy, default=None)


def _reference_name(run: Refinement, number: int) -> str:
    """The structure that the references of an experiment have most of."""
    return run.loaded.structures.names[int(np.argmax(run.models[number].reference_occupancies))]


def _structure(run: Refinement, number: int, name: str) -> AtomicStructure:
    """A structure of an experiment, in the cell of its data, as it is now."""
    structures: Sequence[AtomicStructure] = run.loaded.experiments[number].structures.structures
    if run.joint is not None:
        forms = zip(run.joint.setup.forms, run.joint.structures_by_form, strict=True)
        structures = next(own for form, own in forms if number in form.experiments)
    return structures[run.loaded.structures.names.index(name)]


def _moved_most(excited: AtomicStructure, reference: AtomicStructure) -> list[ResidueDifference]:
    """The residues that moved most, none in the neighbourhood of another."""
    rows = [each for each in residue_differences(excited, reference) if each.n_common and each.rms > _MOVED]
    chosen: list[ResidueDifference] = []
    centres: list[np.ndarray] = []
    for each in sorted(rows, key=lambda row: -row.rms):
        centre = residue_atoms(reference, each.residue).mean(axis=0)
        if all(np.linalg.norm(centre - other) > _APART for other in centres):
            chosen.append(each)
            centres.append(centre)
    return chosen[:_MOST]
