"""Faults in the text of a model file that its parser would read past."""

from __future__ import annotations

import math

import gemmi

from torchref_kinetic_plugin.structures.report import counted, some_of

_PDB_FIELDS = (("x", 30, 38), ("y", 38, 46), ("z", 46, 54), ("occupancy", 54, 60), ("B factor", 60, 66))
_MMCIF_FIELDS = ("Cartn_x", "Cartn_y", "Cartn_z", "occupancy", "B_iso_or_equiv")
_TENSOR = tuple((28 + 7 * number, 35 + 7 * number) for number in range(6))
_SHOWN = 3


def pdb_faults(text: str) -> tuple[list[str], tuple[str, ...]]:
    """Faults of a PDB file that make it unusable, and remarks on what is only odd."""
    faults: list[str] = []
    ended = False
    # As gemmi counts lines: Python ends one at other characters too.
    for number, line in enumerate(text.split("\n"), start=1):
        record = line[:6].rstrip().upper()
        if record in ("ATOM", "HETATM"):
            if fault := _atom_fault(line):
                faults.append(f"line {number}: {fault}")
        elif record == "ANISOU":
            if not all(_is_integer(line[start:end]) for start, end in _TENSOR):
                faults.append(f"line {number}: ANISOU does not hold six integers")
        elif record == "END":
            ended = True
    more = len(faults) - _SHOWN
    shown = faults[:_SHOWN] + ([f"{counted(more, 'more line')} like these"] if more > 0 else [])
    return shown, () if ended else ("no END record; the file may have been cut short",)


def _atom_fault(line: str) -> str:
    if not line.isascii():
        return f"{line[:6].strip()} record with characters that are not ASCII; columns cannot be told"
    if len(line.rstrip()) < _PDB_FIELDS[-1][2]:
        return f"{line[:6].strip()} record cut short, after {len(line)} of at least 66 columns"
    for name, start, end in _PDB_FIELDS:
        if not _is_finite(line[start:end]):
            value = line[start:end].strip()
            return f"{name} of atom {line[12:26].strip()!r} is {value!r}, not a finite number"
    return ""


def mmcif_faults(block: gemmi.cif.Block) -> list[str]:
    """Faults of the ``_atom_site`` table of an mmCIF file that make it unusable."""
    faults: list[str] = []
    for tag in _MMCIF_FIELDS:
        column = block.find_values(f"_atom_site.{tag}")
        if not column:
            faults.append(f"no column _atom_site.{tag}")
            continue
        wrong = [
            f"{value} in row {row}"
            for row, value in enumerate(column, start=1)
            if not math.isfinite(gemmi.cif.as_number(value))
        ]
        if wrong:
            faults.append(f"_atom_site.{tag} that is not a finite number: {some_of(wrong, _SHOWN)}")
    column = block.find_values("_atom_site.label_alt_id")
    names = dict.fromkeys(gemmi.cif.as_string(value) for value in column)
    if long := [repr(name) for name in names if len(name) > 1]:
        faults.append(f"altlocs of more than one letter, which are not supported: {some_of(long)}")
    return faults


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _is_integer(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True
