"""Timing two functions against each other while the machine's speed drifts."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pair:
    """Median times in seconds of two functions run in turn, and the median of their ratios."""

    ours: float
    theirs: float
    ratio: float


def in_turn(ours: Callable[[], object], theirs: Callable[[], object], *, seconds: float = 3.0) -> Pair:
    """Run two functions A B A B ... for about so many seconds, at least five times each."""
    ours()
    theirs()
    times: list[tuple[float, float]] = []
    begin = time.perf_counter()
    while len(times) < 5 or time.perf_counter() - begin < seconds:
        times.append((_time(ours), _time(theirs)))
    return Pair(
        statistics.median(a for a, _ in times),
        statistics.median(b for _, b in times),
        statistics.median(a / b for a, b in times),
    )


def _time(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def peak_memory() -> int:
    """Largest resident size of this process, bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # What getrusage tells is no less than the size of the process that started this one.
        lines = status.read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
