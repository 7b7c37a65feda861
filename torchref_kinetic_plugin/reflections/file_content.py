"""Reflection files to tables: format by content, gzip."""

from __future__ import annotations

import os
import re

from torchref_kinetic_plugin.errors import FileError
from torchref_kinetic_plugin.files import read_bytes
from torchref_kinetic_plugin.reflections.mmcif import mmcif_tables
from torchref_kinetic_plugin.reflections.mtz import mtz_table
from torchref_kinetic_plugin.reflections.reflection_table import ReflectionTable

_MTZ = b"MTZ "
# Blank lines and comments, then the first data block; blanks exclude the line feed, so that no text takes long
# to refuse.
_CIF = re.compile(r"\A(?:[^\S\n]*(?:#[^\n]*)?\n)*[^\S\n]*data_", re.IGNORECASE)


def read_tables(path: str | os.PathLike[str]) -> list[ReflectionTable]:
    """Read an MTZ or structure-factor mmCIF file, gzipped or not, told apart by content.

    Returns
    -------
    list of ReflectionTable
        One for MTZ; one for each data block of mmCIF that holds merged reflections.

    Raises
    ------
    FileError
        When it is missing, damaged, cut short, unmerged, or of another format.
    """
    source = os.fspath(path)
    content = read_bytes(path)
    if content.startswith(_MTZ):
        return [mtz_table(source, content)]
    if b"\0" not in content:
        text = content.decode("utf-8-sig", errors="replace")
        if _CIF.match(text):
            return mmcif_tables(source, text)
    raise FileError(f"{source!r} is neither an MTZ nor an mmCIF file")
