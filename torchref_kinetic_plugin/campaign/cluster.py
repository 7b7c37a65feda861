"""The workers of a Dask cluster as an executor."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from torchref_kinetic_plugin.errors import InputError

#: Seconds until a scheduler must have answered.
_TIMEOUT = 20


@contextmanager
def cluster_workers(address: str) -> Iterator[Executor]:
    """The executor of a client of a Dask scheduler, for as long as the block lasts.

    Parameters
    ----------
    address : str
        Of the scheduler, as ``"tcp://10.0.0.1:8786"``.

    Raises
    ------
    InputError
        When Dask is not installed, or no scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "a scheduler needs dask, which is not installed: pip install 'torchref-kinetic-plugin[dask]'"
        ) from None
    try:
        client: Any = Client(address, timeout=_TIMEOUT, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"no Dask scheduler answers at {address!r}: {reason}") from error
    with _silent("distributed.client"), client:
        # Runs differ by their orders alone, and none may be taken for another's cached result.
        executor: Executor = client.get_executor(pure=False)
        yield executor


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Nothing is logged of a connection that is lost: it is told by the run that it costs."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
