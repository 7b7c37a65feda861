"""Orders that are computed in no time, or end the process that computes them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from torchref_kinetic_plugin.campaign.orders import Order
from torchref_kinetic_plugin.campaign.record import Record, read_record, write_record
from torchref_kinetic_plugin.errors import NotWrittenError


def orders(directory: Path, count: int, draw: int = 0) -> list[Order]:
    """Orders with a directory each."""
    found = []
    for number in range(count):
        own = directory / f"run{number}"
        own.mkdir(exist_ok=True)
        found.append(Order(str(own), f"address{number}", (), "0", True, draw))
    return found


def record(order: Order) -> Record | None:
    return read_record(Path(order.directory), order.address, order.draw)


def done(order: Order) -> Record:
    """Leave a record, and a line for each time that this was done."""
    with (Path(order.directory) / "times.txt").open("a") as file:
        file.write(f"{os.getpid()}\n")
    found = Record(order.address, order.draw, "done")
    write_record(Path(order.directory), found)
    return found


def times(order: Order) -> int:
    path = Path(order.directory) / "times.txt"
    return len(path.read_text().splitlines()) if path.is_file() else 0


def kills_its_worker_once(order: Order) -> Record:
    """The second order ends its process, the first time."""
    mark = Path(order.directory) / "killed"
    if order.address == "address1" and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return done(order)


def kills_its_worker(order: Order) -> Record:
    """The second order ends its process whenever it is computed; the others take a while, to be there then."""
    if order.address == "address1":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.2)
    return done(order)


def dies_after_its_record(order: Order) -> Record:
    """The word of it is lost, what it did is not."""
    done(order)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def breaks(order: Order) -> Record:
    """The second order meets an error that is in no record."""
    if order.address == "address1":
        raise MemoryError("no more")
    return done(order)


def meets_a_full_disk(order: Order) -> Record:
    """At the second order."""
    if order.address == "address1":
        raise NotWrittenError("cannot write 'rates.csv': No space left on device")
    return done(order)


def takes_an_hour(order: Order) -> Record:
    (Path(order.directory) / "pid").write_text(str(os.getpid()))
    time.sleep(3600.0)
    return done(order)
