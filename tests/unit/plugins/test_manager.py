import subprocess
import sys

import pytest

from tests.unit.plugins import fakes
from torchref_kinetic_plugin.errors import InputError, KineticsError, UnknownNameError
from torchref_kinetic_plugin.plugins import (
    DuplicateProviderError,
    ExperimentSchedule,
    OccupancyProvider,
    PluginError,
    PluginLoadError,
    PluginManager,
    hookimpl,
)
from torchref_kinetic_plugin.plugins import manager as manager_module


def loaded(*entries):
    return PluginManager(entry_points=[fakes.Installed(name, plugin) for name, plugin in entries])


def record(manager, name):
    return next(r for r in manager.describe() if r.name == name)


def test_the_built_in_plugins_go_through_the_same_hooks():
    manager = PluginManager(builtin_only=True)
    assert manager.provider_names() == ["kinetics", "unrestrained", "fixed"]
    for r in manager.describe():
        assert r.builtin
        assert r.failure is None
        assert r.version
        assert r.hooks == ("torchref_kinetic_occupancy_providers",)
    assert manager.plugin_of("fixed") == "builtin-fixed"
    assert all(manager.provider(name).description for name in manager.provider_names())


def test_a_third_party_plugin_works_and_is_listed():
    manager = loaded(("mine", fakes.plugin(fakes.DECAY, report_sections=fakes.section)))
    r = record(manager, "mine")
    assert (r.package, r.version, r.builtin, r.failure) == ("third-party", "2.1", False, None)
    assert set(r.hooks) == {"torchref_kinetic_occupancy_providers", "torchref_kinetic_report_sections"}
    assert r.providers == ("decay",)
    settings = manager.provider("decay").read_settings({"start": 0.4})
    series = manager.build("decay", settings, fakes.EXPERIMENTS, fakes.NAMES, seed=1)
    assert [tuple(o.shape) for o in series()] == [(3, 3), (3, 2)]
    (group,) = series.get_parameter_groups(0.5)
    assert group["lr"] == 0.5
    assert len(group["params"]) == 3  # two levels, one lifetime for both experiments
    assert series.get_regularization_loss().dim() == 0


def test_installed_entry_points_are_found_in_one_order(monkeypatch):
    asked = {}

    def entry_points(**selection):
        asked.update(selection)
        plugin = fakes.plugin(report_sections=fakes.section)
        return [fakes.Installed("z", plugin), fakes.Installed("a", fakes.plugin(fakes.DECAY))]

    monkeypatch.setattr(manager_module.importlib.metadata, "entry_points", entry_points)
    assert [r.name for r in PluginManager().describe() if not r.builtin] == ["a", "z"]
    assert asked == {"group": "torchref_kinetic"}
    asked.clear()
    assert all(r.builtin for r in PluginManager(builtin_only=True).describe())
    assert not asked


@pytest.mark.parametrize("error", [ImportError("no module 'x'"), RuntimeError("boom"), SystemExit("gone")])
def test_a_plugin_that_fails_to_import_stops_only_who_asks_for_it(error):
    manager = loaded(("broken", error), ("mine", fakes.plugin(fakes.DECAY)))
    failure = record(manager, "broken").failure
    assert "cannot be imported" in failure
    assert str(error) in failure
    assert manager.provider("decay")
    assert manager.provider("kinetics")
    with pytest.raises(PluginLoadError, match="plugin 'broken'.*'wanted'.*cannot be imported") as caught:
        manager.provider("wanted")
    assert str(error) in str(caught.value)
    assert isinstance(caught.value, KineticsError)


def test_an_unknown_provider_names_the_closest():
    with pytest.raises(UnknownNameError, match=r"'kinetic' in occupancy \(did you mean 'kinetics'\?\); allowed: kin"):
        PluginManager(builtin_only=True).provider("kinetic")


def test_a_duplicate_name_names_both_plugins_and_leaves_the_others_usable():
    manager = loaded(("one", fakes.plugin(fakes.DECAY)), ("two", fakes.plugin(fakes.DECAY)))
    with pytest.raises(DuplicateProviderError, match="'decay' is offered by 'one' and 'two'"):
        manager.provider("decay")
    assert "'one' and 'two'" in record(manager, "one").failure
    assert "'one' and 'two'" in record(manager, "two").failure
    assert manager.provider("fixed")


def test_a_built_in_name_cannot_be_taken_over():
    manager = loaded(("thief", fakes.plugin(fakes.provider(fakes.build_decay, "kinetics"))))
    with pytest.raises(DuplicateProviderError, match="'builtin-kinetics' and 'thief'.*--no-plugins"):
        manager.provider("kinetics")
    assert record(manager, "builtin-kinetics").failure is None
    assert record(manager, "thief").failure


def test_two_packages_with_one_entry_point_name_are_told_apart():
    entries = [
        fakes.Installed("mine", fakes.plugin(fakes.DECAY), "first"),
        fakes.Installed("mine", fakes.plugin(report_sections=fakes.section), "second"),
    ]
    names = [r.name for r in PluginManager(entry_points=entries).describe() if not r.builtin]
    assert names == ["mine", "mine (second)"]


def unmarked():
    module = fakes.plugin(fakes.DECAY)
    module.torchref_kinetic_report_sections = lambda result: [result]
    return module


BROKEN = {
    "an unknown hook": (
        lambda: fakes.plugin(report_section=fakes.section),
        "did you mean 'torchref_kinetic_report_sec",
    ),
    "an unknown argument": (lambda: fakes.plugin(cycle_finished=lambda loss: loss), "does not fit.*loss"),
    "no mark": (unmarked, "not marked with @hookimpl"),
    "no hook": (fakes.plugin, "implements no hook"),
    "providers of another kind": (lambda: fakes.plugin("decay"), "list of OccupancyProvider"),
    "one provider twice": (
        lambda: fakes.plugin(fakes.DECAY, fakes.DECAY),
        "offers the occupancy provider 'decay' twice",
    ),
    "a hook that raises": (lambda: fakes.plugin(occupancy_providers=lambda: 1 / 0), "ZeroDivisionError"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_plugin_that_cannot_be_registered_is_recorded_and_calls_nothing(kind):
    make, message = BROKEN[kind]
    manager = loaded(("broken", make()), ("mine", fakes.plugin(fakes.DECAY)))
    with pytest.raises(PluginLoadError, match=message):
        manager.provider("wanted")
    assert manager.provider("decay")
    assert not manager.report_sections("x")
    assert record(manager, "broken").failure


def test_one_module_installed_twice_is_told():
    module = fakes.plugin(fakes.DECAY)
    manager = loaded(("one", module), ("two", module))
    assert "registered already" in record(manager, "two").failure
    assert manager.provider("decay")


@pytest.mark.parametrize("name", ["", "Kinetics", "a b", "1st", "weights", 3])
def test_a_provider_needs_a_name_that_can_be_a_section(name):
    with pytest.raises(InputError, match="provider name"):
        OccupancyProvider(name, None, lambda *_: [], "d")


def test_settings_must_refuse_unknown_keys():
    class Loose(fakes.BaseModel):
        key: int = 1

    with pytest.raises(InputError, match="misspelt key; give Loose"):
        OccupancyProvider("loose", Loose, lambda *_: [], "d")
    for settings in (dict, Loose(), "x"):
        with pytest.raises(InputError, match="pydantic model"):
            OccupancyProvider("loose", settings, lambda *_: [], "d")
    with pytest.raises(InputError, match="cannot be called"):
        OccupancyProvider("loose", None, None, "d")


def test_settings_are_read_by_the_providers_own_model():
    assert fakes.DECAY.read_settings(None).start == 0.3
    with pytest.raises(ValueError, match="strat"):
        fakes.DECAY.read_settings({"strat": 0.4})
    bare = fakes.provider(fakes.build_decay)
    assert bare.read_settings({}) is None
    with pytest.raises(InputError, match=r"takes no settings, but \[decay\] has x"):
        bare.read_settings({"x": 1})
    with pytest.raises(InputError, match="DecaySettings"):
        loaded(("mine", fakes.plugin(fakes.DECAY))).build("decay", None, fakes.EXPERIMENTS, fakes.NAMES, 1)


def test_a_schedule_is_checked():
    assert ExperimentSchedule("x", (1e-6,), "us").times_in("ns") == pytest.approx([1000.0])
    with pytest.raises(InputError, match="no timepoint"):
        ExperimentSchedule("x", ())
    with pytest.raises(InputError, match="not a number"):
        ExperimentSchedule("x", (float("nan"),))
    with pytest.raises(InputError, match="unit of time"):
        ExperimentSchedule("x", (1.0,), "nm")


def test_a_factory_that_breaks_is_the_plugins_fault_one_that_refuses_is_the_users():
    def breaks(*_):
        raise KeyError("k")

    def refuses(*_):
        raise InputError("start must be smaller")

    for factory, kind, message in ((breaks, PluginError, "plugin 'mine'.*KeyError"), (refuses, InputError, "^start")):
        manager = loaded(("mine", fakes.plugin(fakes.provider(factory))))
        with pytest.raises(kind, match=message):
            manager.build("decay", None, fakes.EXPERIMENTS, fakes.NAMES, 1)


def test_an_object_of_a_class_may_be_a_plugin():
    class Mine:
        @hookimpl
        def torchref_kinetic_occupancy_providers(self):
            return [fakes.DECAY]

    assert loaded(("mine", Mine())).provider("decay") is fakes.DECAY


def test_plugins_are_listed_without_torch():
    code = (
        "import sys; from torchref_kinetic_plugin.plugins import PluginManager; "
        "m = PluginManager(builtin_only=True); m.describe(); "
        "m.provider('kinetics').read_settings({'scheme': 'A->B'}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
