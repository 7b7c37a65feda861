"""Blocks of reflections, which bound the memory of what is computed for all datasets of each.

The common error ties all datasets of a reflection together, and nothing ties reflections together but sums over them:
so a block is some reflections of all datasets, and the likelihood and its slopes are the same whatever the blocks are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

#: Bytes that one block may take.
BLOCK_BYTES = 1 << 28
#: Bytes that an observation takes while the likelihood and its slopes are computed.
_PER_OBSERVATION = 300
#: Observations of an experiment beyond which what can be computed again is not kept, and what is kept of each of them
#: is in single precision, if it may be.
_MANY_OBSERVATIONS = 1 << 25


def reflection_blocks(n_datasets: int, n_reflections: int) -> tuple[slice, ...]:
    """Reflections in blocks of nearly equal size, one where that fits in the memory of a block."""
    fit = block_length(n_datasets)
    count = max(1, -(-n_reflections // fit))
    ends = [n_reflections * number // count for number in range(count + 1)]
    return tuple(slice(first, last) for first, last in itertools.pairwise(ends))


def block_length(n_datasets: int) -> int:
    """Number of reflections of so many datasets that a block may have."""
    return max(1, BLOCK_BYTES // (_PER_OBSERVATION * n_datasets))


def summed(blocks: Iterable[Sequence[Tensor]]) -> list[Tensor]:
    """Sums over blocks, each with the same terms; those of the first block are added to in place."""
    sums: list[Tensor] = []
    for found in blocks:
        sums = [whole.add_(more) for whole, more in zip(sums, found, strict=True)] if sums else list(found)
    return sums


def are_few(n_datasets: int, n_reflections: int) -> bool:
    """Whether memory allows to keep what saves time."""
    return n_datasets * n_reflections <= _MANY_OBSERVATIONS


def kept_dtype(n_datasets: int, n_reflections: int) -> torch.dtype:
    """How to keep a number for each observation that is no measurement and no scale: a factor's argument."""
    return torch.float64 if are_few(n_datasets, n_reflections) else torch.float32
