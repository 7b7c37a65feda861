"""A plugin as it is installed, and as it is listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


class Distribution(Protocol):
    """The package an entry point comes from."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def version(self) -> str:
        """Its version."""


class EntryPoint(Protocol):
    """An installed plugin, as `importlib.metadata` lists it."""

    @property
    def name(self) -> str:
        """Name of the plugin."""

    @property
    def dist(self) -> Distribution | None:
        """The package it comes from."""

    def load(self) -> Any:
        """Import it."""


@dataclass(frozen=True)
class PluginRecord:
    """A plugin as ``torchref.kinetic plugins`` lists it.

    Attributes
    ----------
    name : str
        Name of the plugin: that of its entry point.
    package, version : str
        Package it comes from and that package's version; empty where unknown.
    builtin : bool
        Whether it is part of this program.
    hooks : tuple of str
        Hooks it implements.
    providers : tuple of str
        Names of its occupancy providers.
    failure : str or None
        Why it cannot be used, or which of its providers clashes with another plugin's.
    """

    name: str
    package: str
    version: str
    builtin: bool
    hooks: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    failure: str | None = None
