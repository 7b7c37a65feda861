"""Everything that a finished refinement leaves in its output directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from torchref_kinetic_plugin.config import resolved_toml
from torchref_kinetic_plugin.files import remove, write_text
from torchref_kinetic_plugin.reflections import write_free_set
from torchref_kinetic_plugin.results import RefinementResult
from torchref_kinetic_plugin.workflow.loading import Announce

if TYPE_CHECKING:
    from torchref_kinetic_plugin.workflow.refining import Refinement

#: In the output directory.
FOLDERS = (STRUCTURES, PLOTS, MAPS, VIEWS) = ("structures", "plots", "maps", "views")


def write_outputs(run: Refinement, result: RefinementResult, directory: Path, announce: Announce) -> RefinementResult:
    """Write what the file asks for, the result last: who finds a result finds everything.

    An earlier result is removed first, so that none stands beside files of another run. Whatever cannot be written, the
    numbers are: they are saved also where a picture or a file before them fails.

    Parameters
    ----------
    run : Refinement
        After the fit.
    result : RefinementResult
        What it found.
    directory : path
        The output directory.
    announce : callable
        Told what is being done.

    Returns
    -------
    RefinementResult
        As written, with the pictures that the report has.

    Raises
    ------
    FileError
        When a file cannot be written.
    """
    from torchref_kinetic_plugin.output.tables import write_tables

    announce("writing")
    remove(directory / "result.json")
    try:
        _write_files(run, result, directory, announce)
        result = _write_report(run, result, directory, announce)
    except Exception:
        write_tables(directory, result)
        raise
    write_tables(directory, result)
    return result


def _write_files(run: Refinement, result: RefinementResult, directory: Path, announce: Announce) -> None:
    file = run.loaded.file
    write_text(directory / "refinement.toml", resolved_toml(file, relative_to=directory))
    for experiment in run.loaded.experiments:
        if any(each.free is None or (each.free < 0).any() for each in experiment.observations):
            write_free_set(directory / f"free_{experiment.settings.name}.mtz", experiment.free_set)
    if run.joint is not None:
        from torchref_kinetic_plugin.workflow.structure_files import write_structures_of

        write_structures_of(run.joint, result, directory / STRUCTURES)
    if file.output.plots:
        from torchref_kinetic_plugin.workflow.pictures import write_plots

        write_plots(run, result, directory / PLOTS)
    if file.output.maps:
        from torchref_kinetic_plugin.workflow.map_files import write_maps_of

        announce("maps")
        write_maps_of(run, directory / MAPS)
    if file.output.deposition:
        from torchref_kinetic_plugin.workflow.deposition_file import write_deposition_of

        write_deposition_of(run, result, directory / "deposition.cif")


def _write_report(run: Refinement, result: RefinementResult, directory: Path, announce: Announce) -> RefinementResult:
    if not run.loaded.file.output.report:
        return result
    from torchref_kinetic_plugin.output.report import material_of, write_report
    from torchref_kinetic_plugin.workflow.map_pictures import write_map_views

    announce("report")
    result = replace(result, map_views=tuple(write_map_views(run, result, directory)))
    write_report(material_of(result, directory))
    return result
