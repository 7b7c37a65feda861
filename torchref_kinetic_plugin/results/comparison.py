"""Several schemes on the same data, ranked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from torchref_kinetic_plugin.results.result import SCHEMA, plain_json


@final
@dataclass(frozen=True)
class ComparedScheme:
    """One scheme, fitted.

    Attributes
    ----------
    name : str
        File or flow chart, by which it is told from the others.
    scheme : str
        Flow chart; empty for a provider that has none.
    n_parameters : int
        Of provider and scales.
    n_observations : int
        To refine against.
    converged : bool
        Whether the fit left no gain.
    log_likelihood_work, log_likelihood_free : float
        After the fit.
    held_out : float
        Log-likelihood of the timepoints, each given all others, summed.
    difference, std_error : float
        Of ``held_out`` to the first scheme, and its standard error, paired over reflections.
    tied : bool
        Whether the difference is below two standard errors, or within what fits leave.
    aicc, bic : float
        Information criteria, the less the better.
    """

    name: str
    scheme: str
    n_parameters: int
    n_observations: int
    converged: bool
    log_likelihood_work: float
    log_likelihood_free: float
    held_out: float
    difference: float
    std_error: float
    tied: bool
    aicc: float
    bic: float


@final
@dataclass(frozen=True)
class LikelihoodRatio:
    """Of two schemes of which one contains the other: ``statistic`` is chi-square if the smaller one is right.

    ``smaller`` and ``larger`` are names. Rates that the smaller one lacks are 0 in it, an end of their range, so that
    ``p_value`` is rather too large.
    """

    smaller: str
    larger: str
    statistic: float
    freedom: int
    p_value: float


@final
@dataclass(frozen=True)
class SchemeComparison:
    """Schemes, that of the best held-out prediction first.

    Attributes
    ----------
    title : str
        Of the first refinement file.
    schemes : tuple of ComparedScheme
        Ranked.
    ratios : tuple of LikelihoodRatio
        Of all pairs of which one contains the other.
    n_held_out : int
        Timepoints that every scheme predicts; ``held_out`` is over these.
    remarks : tuple of str
        What can be told apart and what not, in words.
    inputs : mapping
        File to the SHA-256 of its content.
    versions : mapping
        Program to version.
    seconds : float
        How long it took.
    """

    title: str
    schemes: tuple[ComparedScheme, ...]
    ratios: tuple[LikelihoodRatio, ...]
    n_held_out: int
    remarks: tuple[str, ...]
    inputs: Mapping[str, str]
    versions: Mapping[str, str]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain values for ``comparison.json``; what is not a number is None, what is infinite the text ``"inf"``."""
        table: dict[str, Any] = plain_json({"schema": SCHEMA, **dataclasses.asdict(self)})
        return table
