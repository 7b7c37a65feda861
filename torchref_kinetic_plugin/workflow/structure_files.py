"""Refined structures, and what moved."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING

from torchref_kinetic_plugin.files import make_inner_directory, write_text
from torchref_kinetic_plugin.output.tables import as_csv
from torchref_kinetic_plugin.results import RefinementResult
from torchref_kinetic_plugin.structures import write_models, write_structure

if TYPE_CHECKING:
    from torchref_kinetic_plugin.workflow.joint import JointOutcome

#: Columns of ``shifts.csv``; new ones are added at the end, none is renamed.
SHIFTS = ("structure", "residue", "n_atoms", "rms", "maximum", "furthest", "std_error", "experiment")


def write_structures_of(outcome: JointOutcome, result: RefinementResult, directory: Path) -> None:
    """Write each structure as mmCIF and PDB, all as models of one file, and the residues that moved.

    With several crystal forms the files of each begin with the name of its first experiment.

    Raises
    ------
    FileError
        When one cannot be written.
    InputError
        When a structure does not fit the PDB format.
    """
    make_inner_directory(directory)
    several = len(outcome.setup.forms) > 1
    for form, structures in zip(outcome.setup.forms, outcome.structures_by_form, strict=True):
        prefix = f"{form.name}_" if several else ""
        for structure in structures:
            for suffix in (".cif", ".pdb"):
                write_structure(structure, directory / f"{prefix}{structure.name}{suffix}")
        write_models(structures, directory / f"{prefix}all.cif")
    write_text(directory / "shifts.csv", as_csv(SHIFTS, (astuple(each) for each in result.shifts)))
