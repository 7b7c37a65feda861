"""Refined structures, and what moved."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING

from torchref_kinetic_plugin.files import write_text
from torchref_kinetic_plugin.output.tables import as_csv
from torchref_kinetic_plugin.results import RefinementResult
from torchref_kinetic_plugin.structures import write_models, write_structure

if TYPE_CHECKING:
    from torchref_kinetic_plugin.workflow.joint import JointOutcome

#: Columns of ``shifts.csv``; new ones are added at the end, none is renamed.
SHIFTS = ("structure", "residue", "n_atoms", "rms", "maximum", "furthest", "std_error")


def write_structures_of(outcome: JointOutcome, result: RefinementResult, directory: Path) -> None:
    """Write each structure as mmCIF and PDB, all as models of one file, and the residues that moved.

    Raises
    ------
    FileError
        When one cannot be written.
    InputError
        When a structure does not fit the PDB format.
    """
    directory.mkdir(exist_ok=True)
    for structure in outcome.structures:
        for suffix in (".cif", ".pdb"):
            write_structure(structure, directory / f"{structure.name}{suffix}")
    write_models(outcome.structures, directory / "all.cif")
    write_text(directory / "shifts.csv", as_csv(SHIFTS, (astuple(each) for each in result.shifts)))
