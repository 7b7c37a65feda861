"""``campaign``: all runs of a campaign file, and what they say beside each other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import torchref_kinetic_plugin
from torchref_kinetic_plugin.campaign.cluster import cluster_workers
from torchref_kinetic_plugin.campaign.computing import Computation
from torchref_kinetic_plugin.campaign.orders import OUTPUT, REQUEST, Order
from torchref_kinetic_plugin.campaign.planning import Plan, PlannedRun, plan_campaign
from torchref_kinetic_plugin.campaign.record import DRAWS, Record, read_record, record_path
from torchref_kinetic_plugin.campaign.summarizing import summarize
from torchref_kinetic_plugin.config import resolved_toml
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.files import (
    lock,
    make_directory,
    make_inner_directory,
    refuse_link_out,
    remove_unfinished,
    write_text,
)
from torchref_kinetic_plugin.output.campaign_files import write_campaign
from torchref_kinetic_plugin.results import CampaignResult
from torchref_kinetic_plugin.workflow.local_processes import local_processes

#: Where runs lie in the directory of a campaign.
RUNS = "runs"


@final
@dataclass(frozen=True)
class CampaignProgress:
    """Where a campaign stands.

    Attributes
    ----------
    total : int
        Runs and draws.
    finished : int
        Of these, those found finished among them.
    found : int
        Finished before this start.
    failed : int
        Of the finished ones.
    ended : str
        What has just ended, in words; empty at the start.
    seconds_left : float or None
        Estimate, once something has ended.
    """

    total: int
    finished: int
    found: int
    failed: int
    ended: str = ""
    seconds_left: float | None = None


def run_campaign(
    path: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    scheduler: str | None = None,
    workers: int | None = None,
    retry: bool = False,
    builtin_only: bool = False,
    on_progress: Callable[[CampaignProgress], None] = lambda _: None,
) -> CampaignResult:
    """Compute the runs of a campaign file that are not finished, and write what all of them say.

    Parameters
    ----------
    path : path
        The campaign file.
    output : path, optional
        Directory that stands in for the file's.
    executor : Executor, optional
        Who computes. These processes see the files at the same paths.
    scheduler : str, optional
        Address of a Dask scheduler whose workers compute, in place of an executor.
    workers : int, optional
        Number of processes of this machine where neither is given; by default as many as there are cores. These
        import the calling script, which therefore needs the usual ``if __name__ == "__main__":``.
    retry : bool
        Whether runs that have failed are computed again.
    builtin_only : bool
        Whether installed plugins are left out.
    on_progress : callable
        Told where the campaign stands.

    Returns
    -------
    CampaignResult

    Raises
    ------
    InputError
        For whatever is wrong with the file, before anything is computed; when no run led to a result.
    LockedError
        When another campaign works in the directory.
    """
    if sum(each is not None for each in (executor, scheduler, workers)) > 1:
        raise InputError("one of executor, scheduler and workers is wanted")
    plan = plan_campaign(path, output=output, builtin_only=builtin_only)
    make_directory(plan.directory)
    make_inner_directory(plan.directory / RUNS)
    with lock(plan.directory):
        begun = time.perf_counter()
        campaign = _Campaign(plan, on_progress)
        try:
            campaign.compute(_workers(executor, scheduler, workers), retry=retry)
        finally:
            # After an interruption too: what is finished can be read.
            result = replace(summarize(plan, campaign.directory_of), seconds=time.perf_counter() - begun)
            write_campaign(plan.directory, result)
    if not any(run.status == "done" for run in result.runs):
        first = result.failures[0]
        raise InputError(
            f"no run led to a result; {first.run} failed with: {first.error}. All errors stand in "
            f"{str(plan.directory / 'campaign.html')!r}"
        )
    return result


def statuses(plan: Plan) -> list[str]:
    """What is known of each run of a plan: ``"done"``, ``"failed"`` or ``"waiting"``, without computing any."""
    campaign = _Campaign(plan, lambda _: None)
    records = [read_record(campaign.directory_of(run), run.address, 0) for run in plan.runs]
    return ["waiting" if record is None else record.status for record in records]


def _workers(
    executor: Executor | None, scheduler: str | None, workers: int | None
) -> Callable[[], AbstractContextManager[Executor]]:
    if executor is not None:
        return lambda: nullcontext(executor)
    if scheduler is not None:
        return lambda: cluster_workers(scheduler)
    return lambda: local_processes(workers)


class _Campaign:
    """The runs of a plan in their directories."""

    def __init__(self, plan: Plan, on_progress: Callable[[CampaignProgress], None]) -> None:
        self.plan = plan
        self._by_address = {run.address: run for run in plan.runs}
        self._tell = on_progress
        self._begun = 0.0
        self._progress = CampaignProgress(len(plan.runs) * (1 + plan.file.bootstraps), 0, 0, 0)

    def directory_of(self, run: PlannedRun) -> Path:
        return self.plan.directory / RUNS / run.directory_name

    def compute(self, workers: Callable[[], AbstractContextManager[Executor]], *, retry: bool) -> None:
        """Compute what is not finished; nobody is asked to where all is."""
        orders = self._open_orders(retry=retry)
        self._tell(self._progress)
        self._begun = time.perf_counter()
        if orders:
            with workers() as executor:
                Computation(executor, self._count).run(orders, self._following)

    def _open_orders(self, *, retry: bool) -> list[Order]:
        orders: list[Order] = []
        for run in self.plan.runs:
            directory = self.directory_of(run)
            remove_unfinished(directory, directory / DRAWS)
            if retry:
                self._forget_failures(run)
            record = read_record(directory, run.address, 0)
            if record is None:
                self._prepare(run)
                orders.append(self._order(run, 0))
                continue
            self._found(record)
            orders += self._following(self._order(run, 0), record)
        return orders

    def _following(self, order: Order, record: Record) -> Sequence[Order]:
        """The draws of a run that has ended well; one that has failed has none."""
        if order.draw:
            return ()
        draws = self.plan.file.bootstraps
        if not record.done:
            self._progress = replace(self._progress, total=self._progress.total - draws)
            return ()
        run, orders = self._by_address[order.address], []
        for number in range(1, draws + 1):
            known = read_record(self.directory_of(run), run.address, number)
            if known is None:
                orders.append(self._order(run, number))
            else:
                self._found(known)
        return orders

    def _order(self, run: PlannedRun, draw: int) -> Order:
        return Order(
            str(self.directory_of(run)),
            run.address,
            run.inputs,
            torchref_kinetic_plugin.__version__,
            self.plan.builtin_only,
            draw,
            run.request.refinement.seed,
        )

    def _prepare(self, run: PlannedRun) -> None:
        """The run's directory with its refinement file, as anybody could refine it."""
        directory = self.directory_of(run)
        make_inner_directory(directory)
        refuse_link_out(directory / OUTPUT)
        own = run.request.output.model_copy(update={"directory": directory / OUTPUT})
        request = run.request.model_copy(update={"output": own, "schemes": []})
        write_text(directory / REQUEST, resolved_toml(request, relative_to=directory))

    def _forget_failures(self, run: PlannedRun) -> None:
        for draw in range(self.plan.file.bootstraps + 1):
            record = read_record(self.directory_of(run), run.address, draw)
            if record is not None and not record.done:
                record_path(self.directory_of(run), draw).unlink()

    def _found(self, record: Record) -> None:
        now = self._progress
        self._progress = replace(
            now, finished=now.finished + 1, found=now.found + 1, failed=now.failed + (not record.done)
        )

    def _count(self, order: Order, record: Record) -> None:
        run, now = self._by_address[order.address], self._progress
        finished = now.finished + 1
        each = (time.perf_counter() - self._begun) / (finished - now.found)
        what = f"run {run.number}" + (f", draw {order.draw}" if order.draw else "")
        text = f"{what} ({run.row.text}): " + (
            f"done in {record.seconds:.1f} s" if record.done else f"failed, {record.error}"
        )
        self._progress = replace(
            now,
            finished=finished,
            failed=now.failed + (not record.done),
            ended=text,
            seconds_left=each * (now.total - finished),
        )
        self._tell(self._progress)
