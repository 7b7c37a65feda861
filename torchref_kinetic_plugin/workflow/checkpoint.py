"""What a joint refinement has come to, on disk after every cycle; it can be gone on with exactly."""

from __future__ import annotations

import dataclasses
import io
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import torch

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.files import write_bytes
from torchref_kinetic_plugin.results import DatasetStatistics

if TYPE_CHECKING:
    from torchref_kinetic_plugin.bridge.shared_atoms import AtomValues
    from torchref_kinetic_plugin.refinement.joint_progress import JointProgress

#: Name of the file in the output directory.
CHECKPOINT = "checkpoint.pt"
_SCHEMA = 5
#: What a file raises that has not the form of a checkpoint.
_UNREADABLE = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    RuntimeError,
    TypeError,
    ValueError,
)


@final
@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where a joint refinement stood after a cycle, or after that of its references alone.

    Attributes
    ----------
    settings : str
        The resolved refinement file, which must not have changed.
    inputs : dict
        File to the SHA-256 of its content, likewise.
    references : tuple of AtomValues
        The refined reference of each crystal form.
    progress : JointProgress or None
        Cycles done, and the state after them; None before the first.
    statistics : tuple of DatasetStatistics
        Of the cycles done, with that before them.
    """

    settings: str
    inputs: dict[str, str]
    references: tuple[AtomValues, ...]
    progress: JointProgress | None = None
    statistics: tuple[DatasetStatistics, ...] = ()


def write_checkpoint(directory: Path, checkpoint: Checkpoint) -> None:
    """Write it, whole or not at all; plain numbers, text and tensors only.

    Raises
    ------
    NotWrittenError
        When the directory cannot be written.
    """
    content = {
        "schema": _SCHEMA,
        "settings": checkpoint.settings,
        "inputs": checkpoint.inputs,
        "references": [[each.xyz, each.b, each.u] for each in checkpoint.references],
        "progress": None if checkpoint.progress is None else _packed_progress(checkpoint.progress),
        "statistics": [dataclasses.asdict(row) for row in checkpoint.statistics],
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes(directory / CHECKPOINT, buffer.getbuffer())


def read_checkpoint(directory: Path, settings: str, inputs: dict[str, str]) -> Checkpoint:
    """Read the checkpoint of a run and see that it is of the same file and data.

    Raises
    ------
    InputError
        When there is none, it cannot be read, or something has changed since.
    """
    path = directory / CHECKPOINT
    if not path.is_file():
        raise InputError(f"nothing to resume: {str(path)!r} does not exist; run without --resume")
    try:
        # Plain values and tensors: whatever else a file holds is not unpacked, let alone called.
        with warnings.catch_warnings():
            # Of what other pickles hold; they are refused.
            warnings.simplefilter("ignore")
            content = torch.load(path, weights_only=True)
        schema = content["schema"]
        found = _parsed(content) if schema == _SCHEMA else None
    except _UNREADABLE as error:
        raise InputError(
            f"{str(path)!r} is not a checkpoint that can be read: it is damaged, or holds more than numbers and text, "
            "of which nothing was run; run without --resume"
        ) from error
    if found is None:
        raise InputError(f"{str(path)!r} was written by another version; run without --resume")
    changed = [name for name, digest in inputs.items() if found.inputs.get(name) != digest]
    if changed or len(inputs) != len(found.inputs):
        names = ", ".join(Path(name).name for name in changed) or "the list of files"
        raise InputError(f"cannot resume: {names} changed since the checkpoint was written; run without --resume")
    if found.settings != settings:
        raise InputError("cannot resume: the refinement file changed since the checkpoint; run without --resume")
    return found


def _parsed(content: dict[str, Any]) -> Checkpoint:
    from torchref_kinetic_plugin.bridge.shared_atoms import AtomValues

    return Checkpoint(
        content["settings"],
        dict(content["inputs"]),
        tuple(AtomValues(*each) for each in content["references"]),
        None if content["progress"] is None else _parsed_progress(content["progress"]),
        tuple(DatasetStatistics(**row) for row in content["statistics"]),
    )


def _packed_progress(progress: JointProgress) -> dict[str, Any]:
    return {
        "cycles": [dataclasses.asdict(cycle) for cycle in progress.cycles],
        "state": _packed(progress.state),
        "best": _packed(progress.best),
        "best_is_last": progress.best is progress.state,
        "best_validation": torch.from_numpy(progress.best_validation),
        "widths": list(progress.widths),
        "finished": progress.finished,
    }


def _parsed_progress(content: dict[str, Any]) -> JointProgress:
    from torchref_kinetic_plugin.refinement.joint_progress import Cycle, JointProgress

    state = _unpacked(content["state"])
    return JointProgress(
        tuple(Cycle(**cycle) for cycle in content["cycles"]),
        state,
        state if content["best_is_last"] else _unpacked(content["best"]),
        content["best_validation"].numpy(),
        tuple(content["widths"]),
        content["finished"],
    )


def _packed(state: Any) -> dict[str, Any]:
    return {
        "arrays": [torch.from_numpy(each) for each in (state.vector, state.xyz, state.b, state.u)],
        "nuisances": [[torch.from_numpy(each) for each in (n.scale, n.error, n.inflation)] for n in state.nuisances],
        "strengths": [torch.from_numpy(each) for each in state.strengths],
    }


def _unpacked(content: dict[str, Any]) -> Any:
    from torchref_kinetic_plugin.refinement.experiment import Nuisances
    from torchref_kinetic_plugin.refinement.joint_progress import JointState

    vector, xyz, b, u = (each.numpy() for each in content["arrays"])
    return JointState(
        vector,
        xyz,
        b,
        u,
        tuple(Nuisances(*(part.numpy() for part in each)) for each in content["nuisances"]),
        tuple(each.numpy() for each in content["strengths"]),
    )
