"""``report``: the report of a finished refinement, made again."""

from __future__ import annotations

import os
from pathlib import Path

from torchref_kinetic_plugin.errors import FileError
from torchref_kinetic_plugin.files import lock
from torchref_kinetic_plugin.output.report import read_material, write_report


def report(directory: str | os.PathLike[str]) -> Path:
    """Write the report of an output directory anew, with profiles and bootstrap that were made since.

    Parameters
    ----------
    directory : path
        Where a refinement wrote its result.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    FileError
        When there is no such directory, no result in it, or a file of it cannot be read.
    LockedError
        When a run works in it.
    """
    place = Path(directory)
    if not place.is_dir():
        raise FileError(f"no such directory: {str(place)!r}")
    with lock(place):
        return write_report(read_material(place))
