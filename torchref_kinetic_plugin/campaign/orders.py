"""What a worker is told to compute, and how it does: a refinement in its own directory, or one draw of its data."""

from __future__ import annotations

import platform
import time
import traceback
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

import torchref_kinetic_plugin
from torchref_kinetic_plugin.campaign.record import DrawnValue, Record, read_record, write_record
from torchref_kinetic_plugin.errors import InputError, KineticsError, LockedError, NotWrittenError
from torchref_kinetic_plugin.files import lock, sha256
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.workflow.tasks import SharedRefinement, run_job, turn

if TYPE_CHECKING:
    from torchref_kinetic_plugin.refinement.estimates import Key

#: The refinement file of a run, and its output, in the directory of the run.
REQUEST, OUTPUT = "refinement.toml", "refined"
#: Seconds between attempts at a directory where another worker is at the same run, and until it is given up.
_WAIT, _PATIENCE = 1.0, 600.0


@final
@dataclass(frozen=True)
class Order:
    """One computation, as plain values; where it is computed the same files lie at the same paths.

    Attributes
    ----------
    directory : str
        Of the run.
    address : str
        Of the run.
    inputs : tuple of (file, digest)
        What the run reads, with the SHA-256 that the address holds.
    version : str
        Of this program.
    builtin_only : bool
        Whether installed plugins are left out.
    draw : int
        Number of the draw; 0 for the run itself.
    seed : int
        Of the draws.
    """

    directory: str
    address: str
    inputs: tuple[tuple[str, str], ...]
    version: str
    builtin_only: bool
    draw: int = 0
    seed: int = 0

    @property
    def key(self) -> tuple[str, int]:
        """The run's address and the draw: what tells orders apart."""
        return self.address, self.draw


def compute(order: Order) -> Record:
    """Compute an order, unless it is finished, and leave its record, by which it is finished.

    What goes wrong with it is in the record, but for a disk that cannot be written on. Only one worker at a time is at
    a run: another one may be where a cluster has given up a worker that still computes, and what that one finds is
    taken then.

    Raises
    ------
    FileError
        When the record cannot be read, or something cannot be written.
    """
    directory = Path(order.directory)
    patient_until = time.monotonic() + _PATIENCE
    while (known := read_record(directory, order.address, order.draw)) is None:
        try:
            with lock(directory) if order.draw == 0 else nullcontext():
                record = _computed(order, directory)
                write_record(directory, record)
                return record
        except LockedError:
            if time.monotonic() > patient_until:
                raise
            time.sleep(_WAIT)
    return known


def _computed(order: Order, directory: Path) -> Record:
    begun = time.perf_counter()
    status, error, trace = "failed", "", ""
    values: tuple[DrawnValue, ...] = ()
    try:
        if order.version != torchref_kinetic_plugin.__version__:
            raise InputError(
                f"the worker on {platform.node()} has version {torchref_kinetic_plugin.__version__} of "
                f"torchref-kinetic-plugin, the campaign {order.version}"
            )
        if order.draw:
            values = _drawn(order, directory)
        else:
            _refined(order, directory)
        _require_unchanged(order)
        status = "done"
    except (LockedError, NotWrittenError):
        # No fault of the run.
        raise
    except KineticsError as caught:
        error = str(caught)
    except Exception as caught:  # noqa: BLE001  # recorded with its trace; one run must not stop the others
        error, trace = f"{type(caught).__name__}: {caught}", traceback.format_exc()
    seconds = time.perf_counter() - begun
    return Record(order.address, order.draw, status, error, trace, seconds, platform.node(), values)


def _refined(order: Order, directory: Path) -> None:
    """Refine as the request says; what a worker that ended too early has left is gone on with."""
    from torchref_kinetic_plugin.workflow.checkpoint import CHECKPOINT
    from torchref_kinetic_plugin.workflow.refining import refine

    output, plugins = directory / OUTPUT, PluginManager(builtin_only=order.builtin_only)
    with turn():
        if (output / CHECKPOINT).is_file():
            try:
                refine(directory / REQUEST, plugins=plugins, resume=True)
            except (LockedError, NotWrittenError):
                raise
            except InputError:
                # The checkpoint cannot be gone on with; what is wrong with the run itself comes up again.
                (output / CHECKPOINT).unlink(missing_ok=True)
            else:
                return
        refine(directory / REQUEST, plugins=plugins)


def _drawn(order: Order, directory: Path) -> tuple[DrawnValue, ...]:
    """Refit to one draw of the data, at the structures of the run where it refines them."""
    from torchref_kinetic_plugin.workflow.resampling import BootstrapDraw

    shared = SharedRefinement(
        str(directory / REQUEST), str(directory / OUTPUT), "{}", order.builtin_only, order.address
    )
    values: dict[Key, float] = run_job(
        BootstrapDraw(shared, order.draw, order.seed, parametric=False, error_model=True)
    )
    return tuple(DrawnValue(*key, value) for key, value in values.items())


def _require_unchanged(order: Order) -> None:
    if changed := [Path(name).name for name, digest in order.inputs if sha256(name) != digest]:
        raise InputError(f"{', '.join(changed)} changed while the campaign ran; start it again")
