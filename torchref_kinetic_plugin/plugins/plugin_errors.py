"""Errors that name a plugin.

They derive from `InputError`: whoever runs a refinement mends them by choosing, updating or removing a plugin, so the
command line answers with one message and exit code 2.
"""

from __future__ import annotations

from torchref_kinetic_plugin.errors import InputError


class PluginError(InputError):
    """A plugin that cannot be used, or broke while it was.

    Parameters
    ----------
    plugin : str
        Name of the plugin.
    problem : str
        What is wrong with it.
    """

    def __init__(self, plugin: str, problem: str) -> None:
        super().__init__(f"plugin {plugin!r}: {problem}")
        self.plugin = plugin
        self.problem = problem


class PluginLoadError(PluginError):
    """A plugin that failed to load, and a run that asks for what it may provide."""


class DuplicateProviderError(PluginError):
    """A provider's name that two plugins claim."""


class OccupancyError(PluginError):
    """A provider's module that does not keep to the contract of occupancies."""


def cause_of(error: BaseException) -> str:
    """Kind and message of an error on one line, e.g. ``"ImportError: No module named 'x'"``."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
