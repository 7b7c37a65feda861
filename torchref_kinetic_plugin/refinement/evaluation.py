"""The log-likelihood of an experiment at some point, with its derivatives as far as memory allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import final

from torch import Tensor

from torchref_kinetic_plugin.refinement.common_error import Scores

#: Gives blocks of reflections with their scores, in order.
Parts = Callable[[], Iterator[tuple[slice, Scores]]]


@final
@dataclass(frozen=True, eq=False)
class Evaluation:
    """Log-likelihood of one experiment at some occupancies and nuisances, with its derivatives.

    Attributes
    ----------
    occupancies : Tensor
        (K, T), references included.
    log_likelihood : Tensor
        (H,), of each reflection.
    work, free : float
        Sum of the log-likelihood over the work and the free reflections.
    parts : callable
        Gives blocks of reflections with their scores, in order. They are at hand where all reflections are one block,
        and are computed anew at the same point, whenever asked for, where they would not fit in memory.
    """

    occupancies: Tensor
    log_likelihood: Tensor
    work: float
    free: float
    parts: Parts

    @property
    def scores(self) -> Scores:
        """Of all reflections at once, however much memory that takes."""
        return Scores.joined([scores for _, scores in self.parts()])
