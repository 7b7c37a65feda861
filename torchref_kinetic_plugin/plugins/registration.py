"""Registering a plugin with pluggy, refusing what pluggy would pass over in silence."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import pluggy

from torchref_kinetic_plugin.errors import closest_match, listing
from torchref_kinetic_plugin.plugins import hookspecs
from torchref_kinetic_plugin.plugins.plugin_errors import PluginError, cause_of
from torchref_kinetic_plugin.plugins.provider import OccupancyProvider

#: Names of all hooks.
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith(hookspecs.PREFIX))


def register(manager: pluggy.PluginManager, plugin: object, name: str) -> None:
    """Register a plugin.

    Raises
    ------
    PluginError
        For an unknown hook, a hook with arguments it does not have, one without its mark, or no hook at all.
    """
    try:
        manager.register(plugin, name)
    except pluggy.PluginValidationError as error:
        raise PluginError(name, f"a hook does not fit its specification: {cause_of(error)}") from error
    except ValueError as error:
        raise PluginError(name, f"it is registered already: {cause_of(error)}") from error
    marked = implemented_hooks(manager, plugin)
    for hook in marked:
        if hook not in HOOKS:
            raise PluginError(name, f"unknown hook {hook!r}{closest_match(hook, HOOKS)}; {listing(HOOKS)}")
    for hook in dir(plugin):
        if hook.startswith(hookspecs.PREFIX) and hook not in marked and inspect.isroutine(getattr(plugin, hook)):
            raise PluginError(name, f"{hook} is not marked with @hookimpl and would never be called")
    if not marked:
        raise PluginError(name, f"it implements no hook; {listing(HOOKS)}")


def implemented_hooks(manager: pluggy.PluginManager, plugin: object) -> tuple[str, ...]:
    """Names of the hooks that a registered plugin implements."""
    return tuple(caller.name for caller in manager.get_hookcallers(plugin) or ())


def offered_providers(answers: Iterable[tuple[str, Any]], plugin: str) -> list[OccupancyProvider]:
    """Check the providers that a plugin offers.

    Raises
    ------
    PluginError
        For anything else than a list of providers of different names.
    """
    found: list[OccupancyProvider] = []
    for _, answer in answers:
        if not isinstance(answer, list | tuple) or not all(isinstance(p, OccupancyProvider) for p in answer):
            raise PluginError(plugin, f"its occupancy providers are a list of OccupancyProvider, not {answer!r:.80}")
        found += answer
    names = [provider.name for provider in found]
    for name in names:
        if names.count(name) > 1:
            raise PluginError(plugin, f"it offers the occupancy provider {name!r} twice")
    return found
