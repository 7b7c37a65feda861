"""What is told of a refinement that is interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torchref_kinetic_plugin.config import RefinementFile


@contextmanager
def noting_what_is_kept(file: RefinementFile) -> Iterator[None]:
    """An interruption carries a note where the refinement can be gone on with."""
    try:
        yield
    except KeyboardInterrupt as stop:
        # It imports torch, which a program that begins has no time for.
        from torchref_kinetic_plugin.workflow.checkpoint import CHECKPOINT

        if "structures" in file.refinement.refine and (file.output.directory / CHECKPOINT).is_file():
            stop.add_note("what is finished is kept: the same command with --resume goes on from there")
        raise
