"""What PDBx/mmCIF has items for and python-ihm no classes: the crystal, conditions, displacement tensors, charges."""

from __future__ import annotations

from collections.abc import Sequence

import gemmi
import numpy as np

from torchref_kinetic_plugin.output.deposition.contents import DepositedCrystal, DepositedExperiment
from torchref_kinetic_plugin.output.deposition.datasets import condition
from torchref_kinetic_plugin.output.deposition.details import number

_TENSOR = ("U[1][1]", "U[2][2]", "U[3][3]", "U[1][2]", "U[1][3]", "U[2][3]")


def add_cell(block: gemmi.cif.Block, crystal: DepositedCrystal) -> None:
    """Add cell and space group of a crystal."""
    structure = crystal.structures[0].to_gemmi()
    structure.name = str(block.find_value("_entry.id"))
    groups = gemmi.MmcifOutputGroups(False)
    groups.cell = groups.symmetry = True
    structure.update_mmcif_block(block, groups)


def add_conditions(
    block: gemmi.cif.Block, experiments: Sequence[DepositedExperiment], crystals: Sequence[DepositedCrystal]
) -> None:
    """Add the method, the crystals, and the condition of each experiment; temperatures in K."""
    entry = str(block.find_value("_entry.id"))
    block.set_pair("_exptl.entry_id", entry)
    block.set_pair("_exptl.method", gemmi.cif.quote("X-RAY DIFFRACTION"))
    loop = block.init_loop("_exptl_crystal.", ["id", "description"])
    for place, crystal in enumerate(crystals, start=1):
        loop.add_row([str(place), gemmi.cif.quote(crystal.name)])
    loop = block.init_loop("_diffrn.", ["id", "crystal_id", "ambient_temp", "details"])
    for place, experiment in enumerate(experiments, start=1):
        temperature = "?" if experiment.temperature is None else number(experiment.temperature)
        loop.add_row([str(place), str(experiment.crystal + 1), temperature, gemmi.cif.quote(condition(experiment))])


def add_population_errors(block: gemmi.cif.Block, errors: Sequence[float | None]) -> None:
    """Add the standard errors of the states' populations, in the order of the states."""
    _add_column(
        block, "_ihm_multi_state_modeling.population_fraction_sd", ["." if e is None else number(e) for e in errors]
    )


def add_atoms(block: gemmi.cif.Block, crystals: Sequence[DepositedCrystal]) -> None:
    """Add charges and anisotropic displacement tensors, A^2, to the atoms of all models, in their order."""
    atoms = [structure.atoms for crystal in crystals for structure in crystal.structures]
    charges = np.concatenate([each.charge for each in atoms])
    _add_column(block, "_atom_site.pdbx_formal_charge", [str(charge) if charge else "?" for charge in charges.tolist()])
    anisotropic = np.concatenate([each.anisotropic for each in atoms])
    if not anisotropic.any():
        return
    tensors = np.concatenate([each.u for each in atoms])
    elements = list(block.find_values("_atom_site.type_symbol"))
    loop = block.init_loop("_atom_site_anisotrop.", ["id", "type_symbol", *_TENSOR])
    for row in np.flatnonzero(anisotropic).tolist():
        loop.add_row([str(row + 1), elements[row], *(f"{value:.6f}" for value in tensors[row])])


def _add_column(block: gemmi.cif.Block, tag: str, values: Sequence[str]) -> None:
    """Add a column to the table that it belongs to; python-ihm leaves out the states of a single one."""
    table = block.find_mmcif_category(tag[: tag.index(".") + 1])
    loop = table.loop
    if loop is None:
        return
    loop.add_columns([tag], "?")
    column = block.find_loop(tag)
    if len(column) != len(values):
        raise ValueError(f"{len(values)} values of {tag} for {len(column)} rows")
    for row, value in enumerate(values):
        column[row] = value
