"""Orders on an executor: lost workers, failures, interruption; whoever computes, each order is finished once."""

from __future__ import annotations

import queue
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from torchref_kinetic_plugin.campaign.orders import Order, compute
from torchref_kinetic_plugin.campaign.record import Record, read_record, write_record
from torchref_kinetic_plugin.errors import InputError, NotWrittenError

#: Workers that an order may lose before it is given up.
MOST_LOST = 2


@final
@dataclass(eq=False)
class Computation:
    """Computes orders by an executor.

    Attributes
    ----------
    executor : Executor
        Who computes; only `submit` is used, and futures.
    on_finished : callable
        Told of each order with its record.
    function : callable
        Computes an order where the executor puts it, leaves its record and gives it back.
    """

    executor: Executor
    on_finished: Callable[[Order, Record], None] = lambda *_: None
    function: Callable[[Order], Record] = compute
    _running: dict[Future[Record], Order] = field(default_factory=dict, init=False)
    _ended: queue.SimpleQueue[Future[Record]] = field(default_factory=queue.SimpleQueue, init=False)
    _lost: dict[tuple[str, int], int] = field(default_factory=dict, init=False)

    def run(self, orders: Sequence[Order], following: Callable[[Order, Record], Sequence[Order]]) -> None:
        """Compute orders and those that follow from them, until none is left.

        Parameters
        ----------
        orders : sequence of Order
            None of them finished.
        following : callable
            Orders that an order, once finished, makes possible.

        Raises
        ------
        InputError
            When the executor gives up, or nothing can be written.
        """
        try:
            for order in orders:
                self._submit(order)
            while self._running:
                future = self._ended.get()
                order = self._running.pop(future)
                record = self._record_of(order, future)
                if record is None:
                    self._submit(order)
                    continue
                self.on_finished(order, record)
                for each in following(order, record):
                    self._submit(each)
        except BaseException:
            for future in self._running:
                future.cancel()
            raise

    def _submit(self, order: Order) -> None:
        try:
            future = self.executor.submit(self.function, order)
        except (BrokenExecutor, RuntimeError) as error:
            raise InputError(
                f"the workers are gone ({error}); what is finished is kept, and a new start goes on"
            ) from error
        self._running[future] = order
        future.add_done_callback(self._ended.put)

    def _record_of(self, order: Order, future: Future[Record]) -> Record | None:
        """The record of an order that has ended; None where it has to be computed again."""
        try:
            return future.result()
        except CancelledError as error:
            raise InputError(
                "the cluster has dropped a run, as when its scheduler ends; what is finished is kept, and a new start "
                "goes on"
            ) from error
        except NotWrittenError as error:
            raise InputError(f"{error}; what is finished is kept, and a new start goes on") from error
        except Exception as error:  # noqa: BLE001  # recorded; one run must not stop the others
            return self._lost_or_failed(order, error)

    def _lost_or_failed(self, order: Order, error: Exception) -> Record | None:
        directory = Path(order.directory)
        if (known := read_record(directory, order.address, order.draw)) is not None:
            # Finished, and only the word of it was lost.
            return known
        if isinstance(error, BrokenExecutor):
            self._lost[order.key] = self._lost.get(order.key, 0) + 1
            if self._lost[order.key] < MOST_LOST:
                return None
            text = (
                f"its worker ended {MOST_LOST} times while it was computed: killed, or out of memory "
                f"({type(error).__name__})"
            )
        elif _killed_on_cluster(error):
            text = f"its workers on the cluster ended while it was computed: killed, or out of memory ({error})"
        else:
            text = f"{type(error).__name__}: {error}"
        record = Record(order.address, order.draw, "failed", text)
        write_record(directory, record)
        return record


def _killed_on_cluster(error: Exception) -> bool:
    """Whether Dask says so; its scheduler has tried a number of workers itself, its ``allowed-failures``."""
    distributed = sys.modules.get("distributed")
    return distributed is not None and isinstance(error, distributed.KilledWorker)
