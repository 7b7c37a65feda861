"""Many independent computations on one refinement, by any executor: fitted once in each process, then draw by draw.

Only `submit` of the executor is used, and futures; jobs and outcomes are plain values. What a job gives depends on the
job alone, to the bit: every process fits and computes with one thread, and a draw's random numbers come from its
own number.
"""

from __future__ import annotations

import abc
import functools
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.results import FailedDraw
from torchref_kinetic_plugin.workflow.local_processes import cores, local_processes, require_workers

if TYPE_CHECKING:
    from torchref_kinetic_plugin.workflow.refining import Refinement

#: Draws of one process take turns: they move the same parameters.
_TURN = threading.Lock()


@final
@dataclass(frozen=True)
class SharedRefinement:
    """What all jobs of a run share, as text, so that another process can fit it too.

    Attributes
    ----------
    path : str
        The refinement file.
    output : str
        Its output directory.
    overrides : str
        Keys that stand in for those of the file, as JSON.
    builtin_only : bool
        Whether installed plugins are left out.
    fingerprint : str
        Of all files; another one is another refinement.
    """

    path: str
    output: str
    overrides: str
    builtin_only: bool
    fingerprint: str


class Job(abc.ABC):
    """One computation; a plain value that can be pickled.

    Attributes
    ----------
    shared : SharedRefinement
        What it is computed on.
    number : int
        Which it is.
    """

    shared: SharedRefinement
    number: int

    @abc.abstractmethod
    def compute(self, run: Refinement) -> Any:
        """Compute it and leave the refinement as it was; the result can be pickled."""


@contextmanager
def turn() -> Iterator[None]:
    """Compute with one thread, while nothing else of this process that takes turns does."""
    from torchref_kinetic_plugin.threads import one_thread

    with _TURN, one_thread():
        yield


def run_job(job: Job) -> Any:
    """Fit the refinement, unless this process has it, and compute a job."""
    with turn():
        return job.compute(_fitted(job.shared))


@functools.lru_cache(maxsize=1)
def _fitted(shared: SharedRefinement) -> Refinement:
    from torchref_kinetic_plugin.workflow.fitted import load_for_analysis

    analysed = load_for_analysis(
        shared.path,
        output=shared.output,
        plugins=PluginManager(builtin_only=shared.builtin_only),
        overrides=json.loads(shared.overrides),
    )
    return analysed.fitted()


def run_jobs(
    jobs: Sequence[Job],
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    on_done: Callable[[int], None] = lambda _: None,
) -> tuple[Mapping[int, Any], tuple[FailedDraw, ...]]:
    """Results of jobs by their number, in its order, and those that failed.

    Parameters
    ----------
    jobs : sequence of Job
        With different numbers.
    executor : Executor, optional
        Who computes, as a Dask client's ``get_executor()``; by default processes of this machine.
    workers : int, optional
        Number of these processes; by default as many as there are cores, or jobs.
    on_done : callable
        Told how many are done.

    Raises
    ------
    InputError
        For a number of workers below 1.
    """
    require_workers(workers)
    count = min(len(jobs), cores() if workers is None else workers)
    found: dict[int, Any] = {}
    failed: dict[int, str] = {}
    with local_processes(count) if executor is None else nullcontext(executor) as pool:
        numbers = {pool.submit(run_job, job): job.number for job in jobs}
        try:
            for done, future in enumerate(as_completed(numbers), 1):
                error = future.exception()
                if error is None:
                    found[numbers[future]] = future.result()
                else:
                    failed[numbers[future]] = f"{type(error).__name__}: {error}".splitlines()[0]
                on_done(done)
        except BaseException:
            for future in numbers:
                future.cancel()
            raise
    return dict(sorted(found.items())), tuple(FailedDraw(number, text) for number, text in sorted(failed.items()))
