"""Model files to gemmi structures: format by content, gzip, and what gemmi would read past in silence."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import gemmi

from torchref_kinetic_plugin.errors import FileError
from torchref_kinetic_plugin.files import read_bytes
from torchref_kinetic_plugin.structures.text_checks import mmcif_faults, pdb_faults

_Parser = Callable[[str], gemmi.Structure]
_CIF = re.compile(r"\A\ufeff?(?:\s*(?:#[^\n]*)?\n)*\s*data_", re.IGNORECASE)
_PDB_RECORDS = "HEADER|TITLE |CRYST1|REMARK|MODEL |ATOM  |HETATM|COMPND|SEQRES|SCALE1|ORIGX1|LINK  |EXPDTA"
_PDB = re.compile(rf"^(?:{_PDB_RECORDS})", re.MULTILINE)


@final
@dataclass(frozen=True)
class ModelFile:
    """A model file as read.

    Attributes
    ----------
    source : str
        Its path.
    structure : gemmi.Structure
        All models; entities set up.
    remarks : tuple of str
        What is odd about the file but readable.
    """

    source: str
    structure: gemmi.Structure
    remarks: tuple[str, ...]


def read_text(path: str | os.PathLike[str]) -> str:
    """Text of a file, unpacked when it is gzipped.

    Raises
    ------
    FileError
        When it cannot be read or is not text.
    """
    content = read_bytes(path)
    if b"\0" in content:
        raise FileError(f"{os.fspath(path)!r} is not a text file; models are PDB or mmCIF files")
    # Old PDB files hold Latin-1 in their headers; where the text is used, both are ASCII.
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def read_model_file(path: str | os.PathLike[str]) -> ModelFile:
    """Read a PDB or mmCIF file, told apart by content.

    gemmi takes what it cannot read as zero, fills in absent occupancies and B factors, and keeps the
    first letter of a conformation's name; each of these is an error here.

    Raises
    ------
    FileError
        When the file is missing, damaged, cut short, of another format, or holds no atoms.
    """
    source = os.fspath(path)
    text = read_text(path)
    if _CIF.match(text):
        return _read(source, text, _mmcif_structure, ())
    if _PDB.search(text):
        faults, remarks = pdb_faults(text)
        if faults:
            raise FileError(f"{source!r}: " + "; ".join(faults))
        # gemmi cuts records into columns of bytes; what is not ASCII stands in headers, which nobody reads on.
        return _read(source, text.encode("ascii", "replace").decode("ascii"), gemmi.read_pdb_string, remarks)
    raise FileError(f"{source!r} is neither a PDB nor an mmCIF file")


def _read(source: str, text: str, parse: _Parser, remarks: tuple[str, ...]) -> ModelFile:
    try:
        structure = parse(text)
    except (RuntimeError, ValueError, IndexError) as error:
        if isinstance(error, _UnusableError):
            raise FileError(f"{source!r} {error}") from error
        raise FileError(f"{source!r} cannot be read: {' '.join(str(error).split())}") from error
    if sum(model.count_atom_sites() for model in structure) == 0:
        raise FileError(f"{source!r} holds no atoms")
    # PDB files list the waters of a chain after other chains; a chain is one all the same.
    structure.merge_chain_parts()
    structure.setup_entities()
    return ModelFile(source, structure, remarks)


@final
class _UnusableError(ValueError):
    """An mmCIF file that parses but is no usable model."""


def _mmcif_structure(text: str) -> gemmi.Structure:
    document = gemmi.cif.read_string(text)
    blocks = [block for block in document if block.find_values("_atom_site.Cartn_x")]
    if not blocks:
        raise _UnusableError("holds no atoms: it has no _atom_site table")
    if len(blocks) > 1:
        names = ", ".join(block.name for block in blocks)
        raise _UnusableError(f"holds {len(blocks)} models as data blocks ({names}); give one file for each")
    if faults := mmcif_faults(blocks[0]):
        raise _UnusableError("has " + "; ".join(faults))
    return gemmi.make_structure_from_block(blocks[0])
