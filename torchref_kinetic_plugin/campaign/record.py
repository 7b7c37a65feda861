"""What is kept of each run and each draw: one file, whole or absent, that says it is finished and how."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import final

from torchref_kinetic_plugin.errors import FileError
from torchref_kinetic_plugin.files import make_inner_directory, write_text
from torchref_kinetic_plugin.results import plain_json, read_versioned

#: Version of the form of a record; raised when a key changes its meaning.
SCHEMA = 1
#: Where the record of a run lies in its directory, and where those of its draws do.
RUN_RECORD, DRAWS = "run.json", "draws"
_ADVICE = "Remove it to compute the run again"


@final
@dataclass(frozen=True)
class DrawnValue:
    """A parameter as refitted to a draw: experiment, kind and name as of `Estimate`."""

    experiment: str
    kind: str
    name: str
    value: float


@final
@dataclass(frozen=True)
class Record:
    """A finished run or draw.

    Attributes
    ----------
    address : str
        Of the run.
    draw : int
        Number of the draw; 0 for the run itself.
    status : str
        ``"done"`` or ``"failed"``.
    error : str
        Why it failed, in words.
    trace : str
        Where in the program, for errors that are bugs.
    seconds : float
        That it took.
    host : str
        The machine that computed it.
    values : tuple of DrawnValue
        Of a draw.
    """

    address: str
    draw: int
    status: str
    error: str = ""
    trace: str = ""
    seconds: float = 0.0
    host: str = ""
    values: tuple[DrawnValue, ...] = ()

    @property
    def done(self) -> bool:
        """Whether it led to a result."""
        return self.status == "done"


def record_path(directory: Path, draw: int) -> Path:
    """Where the record of a run's directory, or of one of its draws, lies."""
    return directory / RUN_RECORD if draw == 0 else directory / DRAWS / f"{draw:05d}.json"


def write_record(directory: Path, record: Record) -> None:
    """Write it, whole or not at all, where `record_path` says.

    Raises
    ------
    FileError
        When it cannot be written.
    """
    path = record_path(directory, record.draw)
    if record.draw:
        make_inner_directory(path.parent)
    content = plain_json({"schema": SCHEMA, **dataclasses.asdict(record)})
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_record(directory: Path, address: str, draw: int) -> Record | None:
    """The record of a run or draw; None where there is none.

    Raises
    ------
    FileError
        When it cannot be read, or belongs to another run.
    """
    path = record_path(directory, draw)
    if not path.is_file():
        return None
    found = read_versioned(path, Record, schema=SCHEMA, what="record of a run", advice=_ADVICE)
    if (found.address, found.draw) != (address, draw):
        raise FileError(f"{str(path)!r} is the record of another run. {_ADVICE}")
    return found
