import inspect
import re

import pytest

from tests.unit.plugins import fakes
from torchref_kinetic_plugin.plugins import PluginError, PluginManager, hookspecs

HOOKS = [name for name in vars(hookspecs) if name.startswith(hookspecs.PREFIX)]
EVENTS = {
    "refinement_started": {"run": "the run"},
    "cycle_finished": {"run": "the run", "cycle": 3},
    "refinement_finished": {"run": "the run", "result": "the result"},
    "report_sections": {"result": "the result"},
}


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_documented_with_its_arguments(name):
    function = vars(hookspecs)[name]
    assert inspect.getdoc(function), f"{name} has no docstring"
    for argument in inspect.signature(function).parameters:
        assert re.search(rf"^{argument} : ", inspect.getdoc(function), re.M), f"{name} does not document {argument}"
    if inspect.signature(function).return_annotation not in ("None", None):
        assert "Returns\n" in inspect.getdoc(function)


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_a_specification_and_is_exercised(name):
    assert vars(hookspecs)[name].torchref_kinetic_spec is not None
    short = name.removeprefix(hookspecs.PREFIX)
    assert short == "occupancy_providers" or short in EVENTS, f"{name} is called by no test"


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_has_a_way_to_be_called_that_hands_on_its_arguments(event):
    parameters = inspect.signature(vars(hookspecs)[hookspecs.PREFIX + event]).parameters
    assert set(parameters) == set(EVENTS[event])
    seen = {}

    def one(result):
        seen.update(result=result)
        return fakes.section(result)

    def listen_one(run):
        seen.update(run=run)

    def listen_cycle(run, cycle):
        seen.update(run=run, cycle=cycle)

    def listen_result(run, result):
        seen.update(run=run, result=result)

    listener = {
        "refinement_started": listen_one,
        "cycle_finished": listen_cycle,
        "refinement_finished": listen_result,
        "report_sections": one,
    }[event]
    manager = PluginManager(entry_points=[fakes.Installed("listener", fakes.plugin(**{event: listener}))])
    answer = getattr(manager, event)(**EVENTS[event])
    assert seen == EVENTS[event]
    assert event != "report_sections" or [s.title for s in answer] == ["Decay"]


@pytest.mark.parametrize("event", EVENTS)
def test_a_hook_may_leave_out_arguments_and_a_broken_one_is_named(event):
    def broken():
        raise ZeroDivisionError("by me")

    good = fakes.Installed("good", fakes.plugin(refinement_started=lambda: None))
    bad = fakes.Installed("bad", fakes.plugin(**{event: broken}))
    manager = PluginManager(entry_points=[good, bad])
    with pytest.raises(PluginError, match=f"plugin 'bad': its hook torchref_kinetic_{event} failed.*by me"):
        getattr(manager, event)(**EVENTS[event])


def test_plugins_are_asked_one_by_one_in_their_order():
    entries = [fakes.Installed(n, fakes.plugin(report_sections=fakes.section)) for n in ("a", "b")]
    assert len(PluginManager(entry_points=entries).report_sections("x")) == 2
    heard = []

    def listener(name):
        return fakes.plugin(refinement_started=lambda: heard.append(name))

    entries = [fakes.Installed(name, listener(name)) for name in ("a", "b")]
    PluginManager(entry_points=entries).refinement_started("x")
    assert heard == ["a", "b"]


def test_sections_that_are_none_are_refused_with_the_plugin_named():
    manager = PluginManager(entry_points=[fakes.Installed("odd", fakes.plugin(report_sections=lambda: ["text"]))])
    with pytest.raises(PluginError, match="plugin 'odd'.*ReportSection"):
        manager.report_sections("x")
