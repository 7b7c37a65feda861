"""Orders on processes that are killed, on executors that break, and interrupted."""

import os
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.campaign import small_orders
from tests.unit.campaign.small_orders import orders, record, times
from torchref_kinetic_plugin.campaign.computing import Computation
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.workflow.local_processes import local_processes


def none(_order, _record):
    return ()


def computed(executor, wanted, function, following=none):
    """Orders in the sequence in which they were finished, with their status."""
    told = []
    Computation(executor, lambda order, record: told.append((order, record.status)), function).run(wanted, following)
    return told


def test_a_killed_process_costs_its_order_alone_and_that_is_computed_again(tmp_path):
    wanted = orders(tmp_path, 4)
    with local_processes(2) as executor:
        told = computed(executor, wanted, small_orders.kills_its_worker_once)
    assert sorted(order.address for order, _ in told) == [order.address for order in wanted]
    assert {status for _, status in told} == {"done"}
    assert [times(order) for order in wanted] == [1, 1, 1, 1]
    assert (tmp_path / "run1" / "killed").exists()


def test_an_order_that_kills_its_process_again_is_recorded_as_failed(tmp_path):
    wanted = orders(tmp_path, 4)
    with local_processes(2) as executor:
        told = dict(computed(executor, wanted, small_orders.kills_its_worker))
    assert [told[order] for order in wanted] == ["done", "failed", "done", "done"]
    assert "its worker ended 2 times while it was computed: killed, or out of memory" in record(wanted[1]).error
    # Nobody else's work was lost with it.
    assert [times(order) for order in wanted] == [1, 0, 1, 1]


def test_what_was_finished_before_the_process_died_is_taken(tmp_path):
    wanted = orders(tmp_path, 1)
    with local_processes(1) as executor:
        ((_, status),) = computed(executor, wanted, small_orders.dies_after_its_record)
    assert (status, times(wanted[0])) == ("done", 1)


def test_an_error_of_the_executor_s_own_is_recorded_and_stops_nothing(tmp_path):
    wanted = orders(tmp_path, 3)
    with ThreadPoolExecutor(1) as executor:
        told = dict(computed(executor, wanted, small_orders.breaks))
    assert [told[order] for order in wanted] == ["done", "failed", "done"]
    assert record(wanted[1]).error == "MemoryError: no more"


def test_a_full_disk_ends_it_without_a_record(tmp_path):
    wanted = orders(tmp_path, 3)
    with (
        ThreadPoolExecutor(1) as executor,
        pytest.raises(InputError, match="No space left on device; what is finished"),
    ):
        computed(executor, wanted, small_orders.meets_a_full_disk)
    assert record(wanted[0]).done
    assert record(wanted[1]) is None


def test_orders_that_follow_are_computed_after_what_they_need(tmp_path):
    wanted = orders(tmp_path, 2)
    later = dict(zip((order.address for order in wanted), orders(tmp_path, 2, draw=1), strict=True))
    with ThreadPoolExecutor(2) as executor:
        told = computed(
            executor,
            wanted,
            small_orders.done,
            lambda order, found: [later[order.address]] if found.draw == 0 else [],
        )
    finished = [(order.address, order.draw) for order, _ in told]
    assert sorted(finished) == [("address0", 0), ("address0", 1), ("address1", 0), ("address1", 1)]
    for address in later:
        assert finished.index((address, 0)) < finished.index((address, 1))


def test_a_pool_that_breaks_as_a_whole_is_told(tmp_path):
    """The standard library's own pool ends with one process; a new start goes on."""
    wanted = orders(tmp_path, 2)
    with ProcessPoolExecutor(1) as executor, pytest.raises(InputError, match="the workers are gone"):
        computed(executor, wanted, small_orders.kills_its_worker)


class Dropping(Executor):
    """Cancels what it is given, as a cluster does whose scheduler ends."""

    def submit(self, *_):
        future = Future()
        future.cancel()
        future.set_running_or_notify_cancel()
        return future


def test_a_cluster_that_goes_is_told(tmp_path):
    with pytest.raises(InputError, match="has dropped a run"):
        computed(Dropping(), orders(tmp_path, 1), small_orders.done)


def test_an_interruption_ends_the_processes_and_cancels_what_waits(tmp_path):
    slow, quick, *waiting = orders(tmp_path, 5)

    def interrupt(_order, _record):
        raise KeyboardInterrupt

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt), local_processes(2) as executor:
        running = executor.submit(small_orders.takes_an_hour, slow)
        while not (Path(slow.directory) / "pid").is_file():
            time.sleep(0.02)
        Computation(executor, interrupt, small_orders.done).run([quick, *waiting], none)
    assert time.monotonic() - begun < 30.0
    assert running.done()
    with pytest.raises(ProcessLookupError):
        os.kill(int((Path(slow.directory) / "pid").read_text()), 0)
    assert record(slow) is None


def test_processes_end_with_the_one_that_began_them(tmp_path):
    """Killed itself it can tell them nothing; a new start must not find them at work."""
    (order,) = orders(tmp_path, 1)
    code = (
        "from tests.unit.campaign import small_orders\n"
        "from torchref_kinetic_plugin.workflow.local_processes import local_processes\n"
        "if __name__ == '__main__':\n"
        "    import pathlib\n"
        f"    (order,) = small_orders.orders(pathlib.Path({str(tmp_path)!r}), 1)\n"
        "    with local_processes(1) as executor:\n"
        "        executor.submit(small_orders.takes_an_hour, order).result()\n"
    )
    (tmp_path / "script.py").write_text(code)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen([sys.executable, str(tmp_path / "script.py")], env=environment) as parent:
        pid = Path(order.directory) / "pid"
        while not (pid.is_file() and pid.read_text()):
            assert parent.poll() is None
            time.sleep(0.02)
        parent.kill()
    for _ in range(500):
        if not _alive(int(pid.read_text())):
            return
        time.sleep(0.02)
    raise AssertionError("the process is still there")


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Ended, and nobody has asked how.
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_no_workers_is_refused():
    with pytest.raises(InputError, match="workers = 0: at least 1"), local_processes(0):
        pass
