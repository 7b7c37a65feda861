"""What a worker does with an order: once, alone, and whatever goes wrong is in the record."""

import dataclasses
import json
import threading
import time
from pathlib import Path

import pytest

import torchref_kinetic_plugin
from tests.unit.campaign.small_orders import orders, record
from torchref_kinetic_plugin.campaign import orders as module
from torchref_kinetic_plugin.campaign.orders import compute
from torchref_kinetic_plugin.campaign.record import DrawnValue, Record, read_record, record_path, write_record
from torchref_kinetic_plugin.errors import FileError, InputError, LockedError, NotWrittenError
from torchref_kinetic_plugin.files import lock, sha256


@pytest.fixture
def order(tmp_path):
    (found,) = orders(tmp_path, 1)
    (tmp_path / "data.mtz").write_text("data")
    inputs = ((str(tmp_path / "data.mtz"), sha256(tmp_path / "data.mtz")),)
    return dataclasses.replace(found, version=torchref_kinetic_plugin.__version__, inputs=inputs)


@pytest.fixture(autouse=True)
def refinements(monkeypatch):
    """In place of refinements: what is called is noted, and may be given something to do."""

    class Noted(list):
        do = staticmethod(lambda: None)

    found = Noted()

    def refine(order, _directory):
        found.append(order)
        found.do()

    monkeypatch.setattr(module, "_refined", refine)
    return found


def test_an_order_is_computed_once(order, refinements):
    first = compute(order)
    assert (first.status, first.address) == ("done", order.address)
    assert compute(order) == first == record(order)
    assert len(refinements) == 1


@pytest.mark.parametrize(
    ("error", "text", "traced"),
    [
        (InputError("two lines\nof it"), "two lines\nof it", False),
        (ZeroDivisionError("a bug"), "ZeroDivisionError: a bug", True),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device", True),
    ],
)
def test_what_goes_wrong_is_recorded(order, refinements, error, text, traced):
    def fail():
        raise error

    refinements.do = fail
    found = compute(order)
    assert (found.status, found.error) == ("failed", text)
    assert ("Traceback" in found.trace) is traced
    assert compute(order) == found
    assert len(refinements) == 1


def test_a_full_disk_is_no_fault_of_the_run(order, refinements):
    """Nothing is recorded, so that the same command computes the run when there is room."""

    def full():
        raise NotWrittenError("cannot write 'a': No space left on device")

    refinements.do = full
    with pytest.raises(NotWrittenError):
        compute(order)
    assert record(order) is None
    refinements.do = lambda: None
    assert compute(order).done


def test_a_full_disk_costs_no_checkpoint(order, monkeypatch):
    monkeypatch.undo()
    checkpoint = Path(order.directory) / "refined" / "checkpoint.pt"
    checkpoint.parent.mkdir()
    checkpoint.write_text("cycles")

    def full(*_, resume=False, **__):
        assert resume
        raise NotWrittenError("cannot write 'a': No space left on device")

    monkeypatch.setattr("torchref_kinetic_plugin.workflow.refining.refine", full)
    with pytest.raises(NotWrittenError):
        compute(order)
    assert checkpoint.read_text() == "cycles"


def test_data_that_change_meanwhile_are_told(order, refinements, tmp_path):
    refinements.do = lambda: (tmp_path / "data.mtz").write_text("other data")
    assert compute(order).error == "data.mtz changed while the campaign ran; start it again"


def test_a_worker_of_another_version_is_told(order, refinements):
    found = compute(dataclasses.replace(order, version="99"))
    assert "has version" in found.error
    assert "the campaign 99" in found.error
    assert not refinements


def test_a_run_that_another_worker_is_at_is_waited_for_and_its_record_taken(order, refinements, monkeypatch):
    monkeypatch.setattr(module, "_WAIT", 0.01)
    theirs = Record(order.address, 0, "done", host="other")
    held, found = threading.Event(), []
    with lock(order.directory):
        thread = threading.Thread(target=lambda: (held.set(), found.append(compute(order))))
        thread.start()
        held.wait()
        time.sleep(0.05)
        assert not found
        write_record(Path(order.directory), theirs)
    thread.join()
    assert found == [theirs]
    assert not refinements


def test_patience_has_an_end(order, monkeypatch):
    monkeypatch.setattr(module, "_WAIT", 0.01)
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    with lock(order.directory), pytest.raises(LockedError, match="in use by another run"):
        compute(order)


def test_a_draw_has_a_record_of_its_own(order, monkeypatch):
    values = (DrawnValue("298K", "rate_constant", "B->A", 2.5e5),)
    monkeypatch.setattr(module, "_drawn", lambda *_: values)
    draw = dataclasses.replace(order, draw=3)
    assert compute(draw).values == values
    assert record(draw).values == values
    assert record(order) is None
    assert record_path(Path(order.directory), 3).name == "00003.json"


@pytest.mark.parametrize("change", [{"address": "other"}, {"draw": 2}, {"schema": 2}, {"status": 3}])
def test_a_record_of_something_else_is_refused(order, change):
    compute(order)
    path = record_path(Path(order.directory), 0)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(FileError, match=r"run\.json"):
        read_record(Path(order.directory), order.address, 0)


def test_a_damaged_record_is_refused(order):
    record_path(Path(order.directory), 0).write_text('{"schema": 1')
    with pytest.raises(FileError, match=r"run\.json' is no JSON"):
        read_record(Path(order.directory), order.address, 0)
