"""Structure-factor mmCIF files to tables of columns, one for each data block."""

from __future__ import annotations

from typing import cast

import gemmi
import numpy as np

from torchref_kinetic_plugin.errors import FileError
from torchref_kinetic_plugin.reflections.reflection_table import (
    ReflectionTable,
    checked_crystal,
    checked_indices,
)

#: MTZ types of the items of ``_refln`` (mmCIF dictionary 5) that are amplitudes, intensities, sigmas or flags.
_TYPES = {
    "F_meas_au": "F",
    "F_meas": "F",
    "F_meas_sigma_au": "Q",
    "F_meas_sigma": "Q",
    "F_squared_meas": "J",
    "F_squared_sigma": "Q",
    "intensity_meas": "J",
    "intensity_sigma": "Q",
    "pdbx_F_plus": "G",
    "pdbx_F_plus_sigma": "L",
    "pdbx_F_minus": "G",
    "pdbx_F_minus_sigma": "L",
    "pdbx_I_plus": "K",
    "pdbx_I_plus_sigma": "M",
    "pdbx_I_minus": "K",
    "pdbx_I_minus_sigma": "M",
    "F_calc_au": "F",
    "F_calc": "F",
    "pdbx_FWT": "F",
    "pdbx_DELFWT": "F",
    "pdbx_r_free_flag": "I",
    "phase_calc": "P",
    "phase_meas": "P",
    "pdbx_PHWT": "P",
    "pdbx_DELPHWT": "P",
    "fom": "W",
    "pdbx_anom_difference": "D",
    "status": "s",
}
_TEXT = {"status", "crystal_id", "wavelength_id", "scale_group_code", "refinement_status", "sint_over_lambda"}
_INDICES = ("index_h", "index_k", "index_l")


def mmcif_tables(source: str, text: str) -> list[ReflectionTable]:
    """Read the data blocks of an mmCIF file that hold merged reflections.

    Parameters
    ----------
    source : str
        Path, for messages.
    text : str
        Content of the file.

    Raises
    ------
    FileError
        When it is damaged, holds no merged reflections, or lacks a cell or a space group.
    """
    where = f"{source!r}"
    try:
        document = gemmi.cif.read_string(text)
        blocks = list(gemmi.as_refln_blocks(document))
    except (RuntimeError, ValueError, IndexError) as error:
        raise FileError(f"{where} cannot be read as mmCIF: {' '.join(str(error).split())}") from error
    merged = [block for block in blocks if block.is_merged()]
    if not merged:
        if any(block.is_unmerged() for block in blocks):
            raise FileError(f"{where} holds unmerged observations only (_diffrn_refln); merge and scale them first")
        raise FileError(f"{where} holds no reflections: it has no _refln table")
    return [_table(source, block) for block in merged]


def _table(source: str, block: gemmi.ReflnBlock) -> ReflectionTable:
    name = block.block.name
    where = f"{source!r}, block {name!r}"
    labels = block.column_labels()
    if missing := [label for label in _INDICES if label not in labels]:
        raise FileError(f"{where} has no _refln.{missing[0]}")
    if repeated := sorted({label for label in labels if labels.count(label) > 1}):
        raise FileError(f"{where} has several columns named {', '.join(repeated)}")
    spacegroup = cast("gemmi.SpaceGroup | None", block.spacegroup)
    named = block.block.find_value("_symmetry.space_group_name_H-M") or ""
    checked_crystal(where, block.cell, spacegroup, gemmi.cif.as_string(named))
    assert spacegroup is not None
    try:
        indices = np.stack([block.make_float_array(label) for label in _INDICES], axis=1)
        values = {
            label: np.asarray(block.make_float_array(label), dtype=np.float64)
            for label in labels
            if label not in _INDICES and label not in _TEXT
        }
    except (RuntimeError, ValueError, IndexError) as error:
        raise FileError(f"{where} cannot be read: {' '.join(str(error).split())}") from error
    wavelength = block.wavelength if np.isfinite(block.wavelength) and block.wavelength > 0.0 else None
    status = None
    if "status" in labels:
        column = block.block.find("_refln.", ["status"]).column(0)
        status = np.array([gemmi.cif.as_string(item) for item in column], dtype=np.str_)
    return ReflectionTable(
        source=source,
        block=name,
        spacegroup=spacegroup,
        hkl=checked_indices(where, indices),
        types={label: "H" if label in _INDICES else _TYPES.get(label, "R") for label in labels},
        values=values,
        status=status,
        # A copy: gemmi's own would keep the whole file in memory.
        cells=dict.fromkeys(labels, gemmi.UnitCell(*block.cell.parameters)),
        wavelengths=dict.fromkeys(labels, wavelength),
    )
