"""What a reflection file holds, before anything is chosen from it: one form for MTZ and mmCIF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import gemmi
import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.errors import FileError
from torchref_kinetic_plugin.reflections.asymmetric_unit import LARGEST_INDEX, Floats, Indices

#: What a column can be, by the letter of its MTZ type; ``s`` is the status of mmCIF.
KINDS = {
    "F": "amplitude",
    "J": "intensity",
    "G": "amplitude of a Friedel mate",
    "K": "intensity of a Friedel mate",
    "Q": "sigma",
    "L": "sigma of a Friedel mate's amplitude",
    "M": "sigma of a Friedel mate's intensity",
    "I": "integer",
    "D": "anomalous difference",
    "P": "phase",
    "W": "weight",
    "A": "phase probability",
    "E": "normalized amplitude",
    "B": "batch number",
    "Y": "M/ISYM",
    "H": "index",
    "R": "real number",
    "s": "status",
}


@final
@dataclass(frozen=True, eq=False)
class ReflectionTable:
    """Columns of a reflection file or of one data block.

    Attributes
    ----------
    source : str
        Path of the file.
    block : str
        Name of the data block; empty for MTZ.
    spacegroup : gemmi.SpaceGroup
        In the setting of the cells.
    hkl : ndarray
        (n, 3) int32 as in the file.
    types : mapping
        From label to type, a letter of `KINDS`, in the order of the file.
    values : mapping
        From label to (n,) float64; NaN where there is none. Text columns are not in it.
    status : ndarray or None
        (n,) text, the mmCIF status of each reflection.
    cells : mapping
        From label to the cell of the dataset it belongs to, A and degrees.
    wavelengths : mapping
        From label to wavelength, A; None when unknown.
    remarks : tuple of str
        What the reader found odd.
    """

    source: str
    block: str
    spacegroup: gemmi.SpaceGroup
    hkl: Indices
    types: Mapping[str, str]
    values: Mapping[str, Floats] = field(repr=False)
    status: NDArray[np.str_] | None
    cells: Mapping[str, gemmi.UnitCell]
    wavelengths: Mapping[str, float | None]
    remarks: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """File and block for messages."""
        return f"{self.source!r}" + (f", block {self.block!r}" if self.block else "")

    def found(self) -> str:
        """Say what columns there are, e.g. ``"FP (amplitude), SIGFP (sigma)"``."""
        columns = [f"{label} ({KINDS.get(kind, kind)})" for label, kind in self.types.items() if kind != "H"]
        return ", ".join(columns) if columns else "no columns but the indices"


def checked_indices(where: str, raw: NDArray[np.generic]) -> Indices:
    """Indices as whole numbers.

    Raises
    ------
    FileError
        When one is not a whole number, or too large to be one.
    """
    numbers = np.asarray(raw, dtype=np.float64).reshape(-1, 3)
    usable = np.isfinite(numbers) & (np.abs(numbers) <= LARGEST_INDEX)
    usable[usable] = numbers[usable] == np.round(numbers[usable])
    wrong = ~usable.all(axis=1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise FileError(
            f"{where}: the indices of {int(wrong.sum()):,} reflections are no whole numbers, e.g. "
            f"{tuple(numbers[row].tolist())} in row {row + 1}"
        )
    return numbers.astype(np.int32)


def checked_crystal(where: str, cell: gemmi.UnitCell, spacegroup: gemmi.SpaceGroup | None, name: str) -> None:
    """Refuse a file without a cell or a space group, or whose cell the space group forbids.

    Raises
    ------
    FileError
        Naming what is missing or wrong.
    """
    lengths, angles = cell.parameters[:3], cell.parameters[3:]
    shown = " ".join(f"{value:g}" for value in cell.parameters)
    if not cell.is_crystal():
        raise FileError(f"{where} has no unit cell")
    sound = all(np.isfinite(cell.parameters)) and min(lengths) > 0.0 and 0.0 < min(angles) <= max(angles) < 180.0
    if not sound or not np.isfinite(cell.volume) or cell.volume <= 0.0:
        raise FileError(f"{where} has an impossible unit cell: {shown}")
    if spacegroup is None:
        raise FileError(f"{where} has " + (f"an unknown space group {name!r}" if name else "no space group"))
    if not cell.is_compatible_with_spacegroup(spacegroup):
        raise FileError(f"{where}: the unit cell {shown} is impossible in space group {spacegroup.xhm()}")
