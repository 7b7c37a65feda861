"""Reflection files to tables: format by content, gzip."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from pathlib import Path

from torchref_kinetic_plugin.errors import FileError
from torchref_kinetic_plugin.reflections.mmcif import mmcif_tables
from torchref_kinetic_plugin.reflections.mtz import mtz_table
from torchref_kinetic_plugin.reflections.reflection_table import ReflectionTable

_GZIP = b"\x1f\x8b"
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
    content = _content(path)
    if content.startswith(_MTZ):
        return [mtz_table(source, content)]
    if b"\0" not in content:
        text = content.decode("utf-8-sig", errors="replace")
        if _CIF.match(text):
            return mmcif_tables(source, text)
    raise FileError(f"{source!r} is neither an MTZ nor an mmCIF file")


def _content(path: str | os.PathLike[str]) -> bytes:
    shown = repr(os.fspath(path))
    try:
        content = Path(path).read_bytes()
        if content.startswith(_GZIP):
            content = gzip.decompress(content)
    except FileNotFoundError:
        raise FileError(f"no such file: {shown}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(f"{shown} is a damaged or incomplete gzip file: {error}") from error
    except OSError as error:
        raise FileError(f"cannot read {shown}: {error.strerror}") from error
    if not content.strip():
        raise FileError(f"{shown} is empty")
    return content
