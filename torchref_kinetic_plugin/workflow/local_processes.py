"""Processes of this machine, each of which may die without taking the work of another with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any, final

from torchref_kinetic_plugin.errors import InputError

#: Read by the libraries that compute when they are loaded.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TORCHREF_NUM_THREADS")

#: Seconds between looks at whether a process has ended.
_MOMENT = 0.02


@final
class LocalProcesses(Executor):
    """An executor with a pool of one process for each worker.

    In one pool of all workers, as `ProcessPoolExecutor` has it, the end of one ends all, and nobody knows whose work it
    was. Here a call whose process dies raises `BrokenProcessPool`, and no other call is touched.

    Parameters
    ----------
    count : int
        Number of processes.
    """

    def __init__(self, count: int) -> None:
        # Begun with the first process, it would let signals through to that one.
        resource_tracker.ensure_running()
        self._callers = ThreadPoolExecutor(count, thread_name_prefix="worker", initializer=_hear_no_signal)
        self._own = threading.local()
        self._pools: list[ProcessPoolExecutor] = []
        self._calls = 0
        self._changing = threading.Lock()
        self._ending = False
        # Whatever this process had begun before is not to be ended.
        self._others = set(multiprocessing.active_children())

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function in the next process that is free."""
        return self._callers.submit(self._call, fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes, when they have finished what they are at."""
        self._callers.shutdown(wait, cancel_futures=cancel_futures)
        if self._pools:
            # All at once: with torch and all that was read, each takes a second to end.
            with ThreadPoolExecutor(len(self._pools)) as closers:
                list(closers.map(lambda pool: pool.shutdown(wait), self._pools))

    def end(self) -> None:
        """End the processes at once, whatever they are at."""
        self._ending = True
        self._callers.shutdown(wait=False, cancel_futures=True)
        while self._calls:
            for child in set(multiprocessing.active_children()) - self._others:
                child.kill()
            time.sleep(_MOMENT)
        self.shutdown()

    def _call(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self._changing:
            if self._ending:
                raise CancelledError
            self._calls += 1
            pool: ProcessPoolExecutor | None = getattr(self._own, "pool", None)
            if pool is None:
                pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)
                self._own.pool = pool
                self._pools.append(pool)
        try:
            return pool.submit(fn, *args, **kwargs).result()
        except BrokenProcessPool:
            # The next call of this thread begins another process.
            self._own.pool = None
            raise
        finally:
            with self._changing:
                self._calls -= 1


@contextmanager
def local_processes(count: int | None = None) -> Iterator[Executor]:
    """Processes that end with the block, at once where it is left by an error or an interruption.

    Parameters
    ----------
    count : int, optional
        By default as many as there are cores.

    Raises
    ------
    InputError
        For a number below 1.
    """
    require_workers(count)
    workers = LocalProcesses(cores() if count is None else count)
    try:
        yield workers
    except BaseException:
        workers.end()
        raise
    workers.shutdown()


def require_workers(count: int | None) -> None:
    """Refuse a number of processes below 1.

    Raises
    ------
    InputError
        Naming it.
    """
    if count is not None and count < 1:
        raise InputError(f"workers = {count}: at least 1 is wanted")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin() -> None:
    """One thread for this process, which ends with the one that began it."""
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _hear_no_signal() -> None:
    """Of a thread and the processes it begins: Ctrl-C and a queue's SIGTERM reach all; the first ends the others."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    # Nobody waits for what is computed here, and the campaign may have begun anew.
    os._exit(1)
