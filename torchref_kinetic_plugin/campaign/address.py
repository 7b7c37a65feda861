"""The address of a run: what it is computed from, as one digest; equal addresses are equal runs."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torchref_kinetic_plugin
from torchref_kinetic_plugin.config import RefinementFile
from torchref_kinetic_plugin.files import sha256
from torchref_kinetic_plugin.plugins import PluginManager

#: Version of what goes into an address.
_SCHEMA = 1
#: What changes nothing that is computed.
_WITHOUT_EFFECT: dict[str, Any] = {"title": True, "schemes": True, "path": True, "output": {"directory"}}


class Digests:
    """SHA-256 of files, each read once.

    Raises
    ------
    FileError
        From `of`, when a file cannot be read.
    """

    def __init__(self) -> None:
        self.of = cache(sha256)


def address_of(file: RefinementFile, plugins: PluginManager, digests: Digests) -> str:
    """Hexadecimal SHA-256 of the refinement file as understood, the content of its files, and the programs' versions.

    Where files lie is left out, so that a campaign may move; their names are in, since results have them.
    """
    content = {
        "schema": _SCHEMA,
        "request": _plain(file.model_dump(by_alias=True, exclude=_WITHOUT_EFFECT), digests),
        "programs": programs(file, plugins),
    }
    text = json.dumps(content, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def programs(file: RefinementFile, plugins: PluginManager) -> dict[str, str]:
    """Versions of this program, the framework, and the plugin that gives the occupancies."""
    found = {
        "torchref-kinetic-plugin": torchref_kinetic_plugin.__version__,
        "torchref": importlib.metadata.version("torchref"),
    }
    plugin = plugins.plugin_of(file.refinement.occupancy)
    for record in plugins.describe():
        if record.name == plugin and not record.builtin:
            found[record.package or record.name] = record.version
    return found


def _plain(value: Any, digests: Digests) -> Any:
    if isinstance(value, Path):
        return [value.name, digests.of(value)]
    if isinstance(value, Mapping):
        return {str(key): _plain(each, digests) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, digests) for each in value]
    return value
