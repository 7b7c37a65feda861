"""MTZ files to tables of columns."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal, cast

import gemmi
import numpy as np

from torchref_kinetic_plugin.errors import FileError, NotWrittenError
from torchref_kinetic_plugin.reflections.reflection_table import (
    ReflectionTable,
    checked_crystal,
    checked_indices,
)

_RECORD_BYTES = 80
_HEADER_BYTES = 80  # before the data: signature, offset of the header, machine stamp


def mtz_table(source: str, content: bytes) -> ReflectionTable:
    """Read an MTZ file.

    Parameters
    ----------
    source : str
        Path, for messages.
    content : bytes
        Content of the file, unpacked.

    Raises
    ------
    FileError
        When it is damaged, cut short, unmerged, or has no cell or space group.
    """
    where = f"{source!r}"
    _refuse_incomplete(where, content)
    try:
        return _table(source, where, *_parsed(where, content))
    except UnicodeDecodeError as error:
        # gemmi decodes the labels and types of columns when they are asked for.
        raise FileError(f"{where} is damaged: a name in its header is no text") from error


def _table(source: str, where: str, mtz: gemmi.Mtz, warnings: list[str]) -> ReflectionTable:
    if len(mtz.batches) or any(column.type in {"Y", "B"} for column in mtz.columns):
        raise FileError(f"{where} holds unmerged observations (batches or M/ISYM); merge and scale it first")
    columns = list(mtz.columns)
    labels = [column.label for column in columns]
    if [column.type for column in columns[:3]] != ["H", "H", "H"]:
        raise FileError(f"{where}: the first three columns are no indices: {', '.join(labels[:3])}")
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if repeated:
        raise FileError(f"{where} has several columns named {', '.join(repeated)}; rename them")
    spacegroup = cast("gemmi.SpaceGroup | None", mtz.spacegroup)
    cells, wavelengths = {}, {}
    datasets = {each.id: each for each in mtz.datasets}
    for column in columns[3:]:
        dataset = datasets.get(column.dataset_id)
        if dataset is None:
            missing = f"column {column.label} is of a dataset {column.dataset_id} that is not there"
            raise FileError(f"{where} is damaged: {missing}")
        cell = dataset.cell if dataset.cell.is_crystal() else mtz.cell
        checked_crystal(where, cell, spacegroup, mtz.spacegroup_name)
        # A copy: gemmi's own would keep the whole file in memory.
        cells[column.label] = gemmi.UnitCell(*cell.parameters)
        wavelengths[column.label] = dataset.wavelength if dataset.wavelength > 0.0 else None
    assert spacegroup is not None or not cells
    # Any bit pattern may stand for a missing value, signalling NaN among them.
    with np.errstate(invalid="ignore"):
        data = np.array(mtz.array, dtype=np.float64)
    if not np.isnan(mtz.valm):
        # The header may name a number that stands for a missing value.
        data[:, 3:][data[:, 3:] == mtz.valm] = np.nan
    if spacegroup is None:
        raise FileError(f"{where} has no columns but the indices")
    return ReflectionTable(
        source=source,
        block="",
        spacegroup=spacegroup,
        hkl=checked_indices(where, data[:, :3]),
        types={column.label: column.type for column in columns},
        values={label: np.ascontiguousarray(data[:, number]) for number, label in enumerate(labels) if number > 2},
        status=None,
        cells=cells,
        wavelengths=wavelengths,
        remarks=tuple(warnings),
    )


def _refuse_incomplete(where: str, content: bytes) -> None:
    """Refuse a file whose header, which stands after the data, does not reach its END record.

    gemmi takes what there is of a header that was cut.
    """
    order: Literal["little", "big"] = "big" if len(content) > 8 and content[8] >> 4 == 1 else "little"
    offset = int.from_bytes(content[4:8], order, signed=True)
    if offset == -1:
        # Files of 8 GB and more have it in 64 bits.
        offset = int.from_bytes(content[12:20], order, signed=True)
    start = 4 * (offset - 1)
    if offset < 1 or start >= len(content):
        raise FileError(f"{where} cannot be read as MTZ: it is damaged or cut short, its header is missing")
    if not any(content[at : at + 3].upper() == b"END" for at in range(start, len(content), _RECORD_BYTES)):
        raise FileError(f"{where} is damaged or cut short: its header has no end")


def _parsed(where: str, content: bytes) -> tuple[gemmi.Mtz, list[str]]:
    warnings: list[str] = []
    with tempfile.TemporaryDirectory() as directory:
        # gemmi reads MTZ from a named file only.
        path = Path(directory) / "reflections.mtz"
        path.write_bytes(content)
        try:
            # The header first: it may promise more data than there is memory for.
            header = gemmi.read_mtz_file(str(path), with_data=False)
            promised = _HEADER_BYTES + 4 * header.nreflections * len(header.columns)
            if header.nreflections < 0 or promised > len(content):
                raise FileError(
                    f"{where} is damaged or cut short: its header promises {header.nreflections:,} reflections "
                    f"in {len(header.columns)} columns, {promised:,} bytes; it has {len(content):,}"
                )
            return gemmi.read_mtz_file(str(path), logging=warnings.append), warnings
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            if isinstance(error, FileError):
                raise
            message = " ".join(str(error).split()).replace(str(path), "the file")
            raise FileError(f"{where} cannot be read as MTZ: {message}") from error
        except OSError as error:
            raise NotWrittenError(f"{where} cannot be unpacked in {directory!r}: {error.strerror}") from error
