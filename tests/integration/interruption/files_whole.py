"""Every file of an output directory read as what it is; the numbers in them, to be compared."""

from __future__ import annotations

import csv
import json
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gemmi
import torch

from torchref_kinetic_plugin.files import UNFINISHED

#: What differs between equal runs.
OTHERWISE = {"seconds", "host"}
#: Files with nothing but numbers in them, equal to the byte.
NUMBERS = {".cif", ".pdb", ".mtz", ".csv", ".toml"}


def require_whole(directory: Path) -> set[str]:
    """See that all files of a directory are whole, and give their names; those being written at a kill do not count."""
    names = set()
    for path in sorted(directory.rglob("*")):
        if path.is_dir() or path.name == ".lock" or path.name.startswith(UNFINISHED):
            continue
        try:
            READERS[path.suffix](path)
        except Exception as error:
            raise AssertionError(f"{path} is not whole") from error
        names.add(str(path.relative_to(directory)))
    return names


def unfinished(directory: Path) -> list[Path]:
    """What was being written at a kill."""
    return [path for path in directory.rglob(f"{UNFINISHED}*") if path.is_file()]


def numbers_of(directory: Path) -> dict[str, Any]:
    """All that must be the same in equal runs, by the file's name."""
    found: dict[str, Any] = {}
    for path in directory.rglob("*"):
        name = str(path.relative_to(directory))
        if path.suffix in NUMBERS and path.name != "summary.csv":
            found[name] = path.read_bytes()
        elif path.suffix == ".json":
            found[name] = _without(json.loads(path.read_text().replace(str(directory), "")))
    return found


def _without(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without(value) for key, value in content.items() if key not in OTHERWISE}
    return [_without(each) for each in content] if isinstance(content, list) else content


def _require(condition: bool) -> None:
    if not condition:
        raise ValueError


def _csv(path: Path) -> None:
    text = path.read_text()
    rows = list(csv.reader(text.splitlines()))
    _require(text.endswith("\n") and {len(row) for row in rows} == {len(rows[0])})


def _model(path: Path) -> None:
    structure = gemmi.read_structure(str(path))
    _require(len(structure) > 0 and structure[0].count_atom_sites() > 0)
    _require(path.suffix != ".pdb" or path.read_text().rstrip().endswith("END"))


READERS: dict[str, Callable[[Path], Any]] = {
    ".json": lambda path: json.loads(path.read_text()),
    ".toml": lambda path: tomllib.loads(path.read_text()),
    ".csv": _csv,
    ".mtz": lambda path: gemmi.read_mtz_file(str(path)),
    ".cif": _model,
    ".pdb": _model,
    ".pt": lambda path: torch.load(path, weights_only=True),
    ".html": lambda path: _require(path.read_text().rstrip().endswith("</html>")),
    ".svg": lambda path: ET.fromstring(path.read_text()),
    ".png": lambda path: _require(path.read_bytes().endswith(b"IEND\xaeB`\x82")),
}
