"""Jobs on executors: order, failures, interruption."""

import multiprocessing
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest
import torch

from tests.unit.workflow.small_jobs import Square
from torchref_kinetic_plugin.errors import InputError, KineticsError
from torchref_kinetic_plugin.workflow import tasks
from torchref_kinetic_plugin.workflow.tasks import run_jobs


class Backwards(Executor):
    """Computes when the last job has come, the last first."""

    def __init__(self, total):
        self.waiting, self.total = [], total

    def submit(self, function, /, *arguments):
        future = Future()
        self.waiting.append((future, function, arguments))
        if len(self.waiting) == self.total:
            threading.Thread(target=self.compute).start()
        return future

    def compute(self):
        for future, function, arguments in reversed(self.waiting):
            try:
                future.set_result(function(*arguments))
            except KineticsError as error:
                future.set_exception(error)


@pytest.fixture(autouse=True)
def _no_refinement(monkeypatch):
    """In this process a job is given the number of threads in place of a refinement."""
    monkeypatch.setattr(tasks, "_fitted", lambda _: torch.get_num_threads())


@pytest.mark.parametrize("executor", [lambda: Backwards(5), lambda: ThreadPoolExecutor(2)])
def test_results_stand_by_number_and_one_failure_stops_nothing(executor):
    told = []
    with executor() as pool:
        found, failed = run_jobs([Square(number) for number in range(1, 6)], executor=pool, on_done=told.append)
    # One thread in each.
    assert list(found.items()) == [(1, (1, 1)), (2, (4, 1)), (4, (16, 1)), (5, (25, 1))]
    assert [(each.number, each.error) for each in failed] == [(3, "KineticsError: three is not squared")]
    assert told == [1, 2, 3, 4, 5]


def test_an_interruption_ends_the_processes_and_leaves_no_job():
    """The jobs would take an hour; in processes nothing is put in place of the refinement, so the first fails."""

    def interrupt(_):
        raise KeyboardInterrupt

    before = set(multiprocessing.active_children())
    with pytest.raises(KeyboardInterrupt):
        run_jobs([Square(number, seconds=3600.0) for number in range(1, 4)], workers=1, on_done=interrupt)
    for child in set(multiprocessing.active_children()) - before:
        child.join(timeout=20.0)
        assert not child.is_alive()


def test_no_workers_is_refused():
    with pytest.raises(InputError, match="workers = 0: at least 1"):
        run_jobs([Square(1)], workers=0)
