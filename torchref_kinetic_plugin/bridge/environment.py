"""TorchRef, imported in one place and kept from changing the process around it."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch

_LOG = logging.getLogger(__name__)
_EXPORTED = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TORCHREF_NUM_THREADS",
    "PYTORCH_ENABLE_MPS_FALLBACK",
)
_COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Turn what TorchRef prints and warns inside the block into debug messages of the log."""
    printed = io.StringIO()
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for line in printed.getvalue().splitlines():
                if line.strip():
                    _LOG.debug("%s", line)
            for warning in caught:
                _LOG.debug("%s: %s", warning.category.__name__, warning.message)


@contextlib.contextmanager
def _process_kept() -> Iterator[None]:
    """Restore torch's thread count and the environment variables that TorchRef exports."""
    threads = torch.get_num_threads()
    before = {name: os.environ.get(name) for name in _EXPORTED}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        torch.set_num_threads(threads)


def framework(module: str = "") -> Any:
    """TorchRef or one of its modules, imported on first use.

    Importing TorchRef warns (an error under ``-W error``), sets torch's thread count and exports variables
    that child processes inherit; here it does none of these.

    Parameters
    ----------
    module : str
        Name below ``torchref``, e.g. ``"model"``; empty for the package itself.

    Returns
    -------
    module
        Typed `Any`: TorchRef carries no annotations.
    """
    name = f"torchref.{module}" if module else "torchref"
    loaded: ModuleType | None = sys.modules.get(name)
    if loaded is not None:
        return loaded
    with _process_kept(), quiet():
        return importlib.import_module(name)


@contextlib.contextmanager
def settings(*, dtype: torch.dtype, cutoff: float | None = None) -> Iterator[None]:
    """Hold TorchRef's process-wide settings for the block, restored after.

    Its forward cache is off inside: it does not see writes through ``.data`` and would serve old structure
    factors.

    Parameters
    ----------
    dtype : torch.dtype
        float32 or float64; what TorchRef allocates in.
    cutoff : float, optional
        Radius, in units of an atom's own width, at which its density is cut off.
    """
    config = framework("config")
    before = (config.dtypes.float, config.dtypes.complex, config.sigma_cutoff_ed.value, config.caching.value)
    try:
        config.dtypes.float, config.dtypes.complex = dtype, _COMPLEX[dtype]
        if cutoff is not None:
            config.sigma_cutoff_ed.value = cutoff
        config.caching.value = False
        yield
    finally:
        config.dtypes.float, config.dtypes.complex = before[:2]
        config.sigma_cutoff_ed.value, config.caching.value = before[2:]


def complex_of(dtype: torch.dtype) -> torch.dtype:
    """The complex type whose parts have a real type."""
    return _COMPLEX[dtype]
