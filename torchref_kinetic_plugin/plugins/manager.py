"""Loading plugins, asking them, and telling which of them failed."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pluggy
from pydantic import BaseModel

from torchref_kinetic_plugin.errors import InputError, UnknownNameError, closest_match
from torchref_kinetic_plugin.plugins import hookspecs
from torchref_kinetic_plugin.plugins.plugin_errors import DuplicateProviderError, PluginError, PluginLoadError, cause_of
from torchref_kinetic_plugin.plugins.plugin_record import EntryPoint, PluginRecord
from torchref_kinetic_plugin.plugins.provider import ExperimentSchedule, OccupancyProvider
from torchref_kinetic_plugin.plugins.registration import implemented_hooks, offered_providers, register
from torchref_kinetic_plugin.plugins.sections import ReportSection

if TYPE_CHECKING:
    from torchref_kinetic_plugin.plugins.series import SeriesOccupancies

_PACKAGE = "torchref-kinetic-plugin"
#: The plugins of this package, in the order in which they are listed.
BUILTIN = {
    "builtin-kinetics": "torchref_kinetic_plugin.plugins.builtin_kinetics",
    "builtin-unrestrained": "torchref_kinetic_plugin.plugins.builtin_unrestrained",
    "builtin-fixed": "torchref_kinetic_plugin.plugins.builtin_fixed",
}


class PluginManager:
    """The plugins of this program and those installed.

    Loading never raises: what fails is recorded, and stops only a run that asks for it.

    Parameters
    ----------
    builtin_only : bool
        Leave installed plugins alone, do not even import them (``--no-plugins``).
    entry_points : iterable of EntryPoint, optional
        By default those installed in the group `hookspecs.PROJECT`.
    """

    def __init__(self, *, builtin_only: bool = False, entry_points: Iterable[EntryPoint] | None = None) -> None:
        self.builtin_only = builtin_only
        self._pluggy = pluggy.PluginManager(hookspecs.PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._records: dict[str, PluginRecord] = {}
        self._offers: dict[str, list[tuple[str, OccupancyProvider]]] = {}
        for name, module in BUILTIN.items():
            record = PluginRecord(name, _PACKAGE, importlib.metadata.version(_PACKAGE), builtin=True)
            self._add(record, importlib.import_module(module))
        if not builtin_only:
            self._load_installed(_installed() if entry_points is None else entry_points)

    def _load_installed(self, entry_points: Iterable[EntryPoint]) -> None:
        for entry_point in entry_points:
            package = entry_point.dist
            record = PluginRecord(
                entry_point.name, package.name if package else "", package.version if package else "", builtin=False
            )
            if record.name in self._records:
                # Two packages may name their entry points alike; the second is told by its package.
                record = replace(record, name=f"{record.name} ({record.package or len(self._records)})")
            try:
                plugin = entry_point.load()
            except (Exception, SystemExit) as error:  # noqa: BLE001  # recorded; a broken plugin must not stop others
                self._fail(record, f"cannot be imported: {cause_of(error)}")
            else:
                self._add(record, plugin)

    def _add(self, record: PluginRecord, plugin: object) -> None:
        """Register a plugin and ask for its providers, or record why that fails."""
        try:
            register(self._pluggy, plugin, record.name)
            hooks = implemented_hooks(self._pluggy, plugin)
            providers = offered_providers(self._calls("occupancy_providers", record.name), record.name)
        except PluginError as error:
            if self._pluggy.has_plugin(record.name):
                self._pluggy.unregister(name=record.name)
            self._fail(record, error.problem)
            return
        names = tuple(provider.name for provider in providers)
        self._records[record.name] = replace(record, hooks=hooks, providers=names)
        for provider in providers:
            self._offers.setdefault(provider.name, []).append((record.name, provider))

    def _fail(self, record: PluginRecord, failure: str) -> None:
        self._records[record.name] = replace(record, failure=failure)

    def _calls(self, hook: str, only: str | None = None, **arguments: Any) -> list[tuple[str, Any]]:
        """Call a hook, one plugin after the other, so that what one raises is laid at its door."""
        full = hookspecs.PREFIX + hook
        registered = dict(self._pluggy.list_name_plugin())
        answers = []
        for name in self._implementers(hook) if only is None else [only]:
            others = [plugin for other, plugin in registered.items() if other != name and plugin is not None]
            try:
                answers += [(name, a) for a in self._pluggy.subset_hook_caller(full, others)(**arguments)]
            except Exception as error:  # whatever a plugin raises is reported as the plugin's
                raise PluginError(name, f"its hook {full} failed with {cause_of(error)}") from error
        return answers

    def _implementers(self, hook: str) -> list[str]:
        """Plugins that implement a hook: in the order of loading, unless one asks to come first or last."""
        implementations = self._pluggy.hook.__dict__[hookspecs.PREFIX + hook].get_hookimpls()
        # pluggy's own order is the reverse.
        return [i.plugin_name for i in sorted(implementations, key=lambda i: (i.trylast, not i.tryfirst))]

    def provider_names(self) -> list[str]:
        """Names that ``occupancy = ...`` may take."""
        return list(self._offers)

    def provider(self, name: str) -> OccupancyProvider:
        """Find an occupancy provider.

        Raises
        ------
        UnknownNameError
            For a name that no plugin offers, with the closest match.
        PluginLoadError
            For a name that nobody offers while some plugin failed to load, which may be the one: its cause is named.
        DuplicateProviderError
            For a name that two plugins offer.
        """
        return self._offer(name)[1]

    def plugin_of(self, name: str) -> str:
        """Name of the plugin that offers a provider; raises as `provider` does."""
        return self._offer(name)[0]

    def _offer(self, name: str) -> tuple[str, OccupancyProvider]:
        offers = self._offers.get(name, [])
        if len(offers) > 1:
            raise DuplicateProviderError(offers[-1][0], self._clash(name))
        if offers:
            return offers[0]
        failed = [record for record in self._records.values() if record.failure and not record.providers]
        if not failed:
            raise UnknownNameError("occupancy provider", name, self.provider_names(), "occupancy")
        # The plugin of that name first: it is the likeliest to have had the provider.
        failed.sort(key=lambda record: record.name != name)
        causes = "; ".join(f"{record.name}: {record.failure}" for record in failed)
        raise PluginLoadError(
            failed[0].name,
            f"no loaded plugin offers the occupancy provider {name!r}{closest_match(name, self.provider_names())}, "
            f"and these plugins failed to load: {causes}",
        )

    def _clash(self, name: str) -> str:
        plugins = " and ".join(repr(plugin) for plugin, _ in self._offers[name])
        way_out = "; --no-plugins leaves the built-in one" if self._records[self._offers[name][0][0]].builtin else ""
        return f"the occupancy provider {name!r} is offered by {plugins}; uninstall one of them{way_out}"

    def build(
        self,
        name: str,
        settings: BaseModel | None,
        experiments: Sequence[ExperimentSchedule],
        structure_names: Sequence[str],
        seed: int,
    ) -> SeriesOccupancies:
        """Build the occupancies of a run and hold them against the contract.

        Parameters
        ----------
        name : str
            The provider.
        settings : BaseModel or None
            Its settings, see `OccupancyProvider.read_settings`.
        experiments : sequence of ExperimentSchedule
            All experiments of the run.
        structure_names : sequence of str
            Names of the structures.
        seed : int
            The run's seed.

        Raises
        ------
        InputError
            For settings that do not fit the experiments or structures.
        PluginError
            For a provider that breaks, or whose modules do not keep to the contract.
        """
        from torchref_kinetic_plugin.plugins.series import SeriesOccupancies

        plugin, provider = self._offer(name)
        if provider.settings is not None and not isinstance(settings, provider.settings):
            raise InputError(f"settings of occupancy {name!r} are {provider.settings.__name__}, not {settings!r}")
        try:
            modules = provider.factory(settings, experiments, structure_names, seed)
        except InputError:
            raise
        except Exception as error:  # whatever a plugin raises is reported as the plugin's
            raise PluginError(plugin, f"provider {name!r}: its factory failed with {cause_of(error)}") from error
        return SeriesOccupancies(modules, experiments, len(structure_names), provider, plugin)

    def describe(self) -> list[PluginRecord]:
        """Every plugin, built-in ones first, with what it offers and why it failed."""
        clashing = {
            plugin: self._clash(name)
            for name, offers in self._offers.items()
            if len(offers) > 1
            for plugin, _ in offers
            if not self._records[plugin].builtin
        }
        return [replace(r, failure=clashing.get(name, r.failure)) for name, r in self._records.items()]

    def refinement_started(self, run: object) -> None:
        """Tell every plugin; a `PluginError` names one that breaks."""
        self._calls("refinement_started", run=run)

    def cycle_finished(self, run: object, cycle: object) -> None:
        """Tell every plugin; a `PluginError` names one that breaks."""
        self._calls("cycle_finished", run=run, cycle=cycle)

    def refinement_finished(self, run: object, result: object) -> None:
        """Tell every plugin; a `PluginError` names one that breaks."""
        self._calls("refinement_finished", run=run, result=result)

    def report_sections(
        self, result: object, on_failure: Callable[[PluginError], None] | None = None
    ) -> list[ReportSection]:
        """Sections that plugins add to the report, plugin by plugin.

        A `PluginError` names one that breaks; ``on_failure`` is told of it instead, and the others are asked.
        """
        found: list[ReportSection] = []
        for name in self._implementers("report_sections"):
            try:
                found += self._sections_of(name, result)
            except PluginError as error:
                if on_failure is None:
                    raise
                on_failure(error)
        return found

    def _sections_of(self, name: str, result: object) -> list[ReportSection]:
        found: list[ReportSection] = []
        for _, sections in self._calls("report_sections", name, result=result):
            if not isinstance(sections, list | tuple) or not all(isinstance(s, ReportSection) for s in sections):
                raise PluginError(name, f"its report sections are a list of ReportSection, not {sections!r:.80}")
            found += sections
        return found


def _installed() -> list[EntryPoint]:
    # One order whatever the order of installation, so that reports list sections alike everywhere.
    found = importlib.metadata.entry_points(group=hookspecs.PROJECT)
    return sorted(found, key=lambda entry_point: entry_point.name)
