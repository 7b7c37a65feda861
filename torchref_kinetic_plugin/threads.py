"""One thread for many small operations."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from threadpoolctl import threadpool_limits


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch and the linear algebra of numpy compute with one thread.

    The arrays of a fit are so small that threads gain little; and where another program holds a core they wait for
    each other at every operation, which has made a fit a hundred times slower.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)
