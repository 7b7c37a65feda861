"""The runs of a campaign beside each other, as plain typed values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from torchref_kinetic_plugin.results.analysis import BootstrapEstimate
from torchref_kinetic_plugin.results.result import plain_json
from torchref_kinetic_plugin.results.rows import Estimate

#: Version of the form of ``campaign.json``; raised when a key changes its meaning.
CAMPAIGN_SCHEMA = 1


@final
@dataclass(frozen=True)
class RunOutcome:
    """What a run led to.

    Attributes
    ----------
    converged : bool
        Whether no gain was left.
    n_observations_work, n_observations_free, n_parameters : int
        As of the run's result.
    r_work, r_free, cc_diff_free : float
        Means over its datasets; not a number where there is none.
    log_likelihood_work, log_likelihood_free : float
        After the last step.
    parameters : tuple of Estimate
        Of the provider.
    draws : tuple of BootstrapEstimate
        Spread of the refined ones over the draws of the data; empty below two draws.
    n_draws : int
        Draws that led to values.
    remarks : tuple of str
        Of the run's result.
    """

    converged: bool
    n_observations_work: int
    n_observations_free: int
    n_parameters: int
    r_work: float
    r_free: float
    cc_diff_free: float
    log_likelihood_work: float
    log_likelihood_free: float
    parameters: tuple[Estimate, ...]
    draws: tuple[BootstrapEstimate, ...]
    n_draws: int
    remarks: tuple[str, ...]


@final
@dataclass(frozen=True)
class CampaignRun:
    """One run of the table.

    Attributes
    ----------
    number : int
        From 1.
    name : str
        The run in one line.
    directory : str
        Its own, relative to that of the campaign.
    address : str
        Digest of what it is computed from.
    axes : mapping
        Axis to value, as the table has them.
    status : str
        ``"done"``, ``"failed"`` or ``"waiting"``.
    seconds : float
        That it took; not a number where it is not finished.
    outcome : RunOutcome or None
        Of a run that is done.
    """

    number: int
    name: str
    directory: str
    address: str
    axes: Mapping[str, str]
    status: str
    seconds: float
    outcome: RunOutcome | None = None


@final
@dataclass(frozen=True)
class CampaignFailure:
    """A run, or a draw of it, that led to nothing, and why.

    Attributes
    ----------
    number : int
        Of the run.
    run : str
        Its name.
    draw : int
        0 for the run itself.
    error : str
        In words.
    trace : str
        Where in the program; empty where the input is wrong.
    """

    number: int
    run: str
    draw: int
    error: str
    trace: str


@final
@dataclass(frozen=True)
class CampaignResult:
    """All runs of a campaign.

    Attributes
    ----------
    title : str
        Of the campaign file.
    axes : tuple of str
        Columns of the table.
    runs : tuple of CampaignRun
        In its order.
    failures : tuple of CampaignFailure
        In the same order.
    bootstraps : int
        Draws wanted of each run.
    remarks : tuple of str
        What a user has to know, in words.
    versions : mapping
        Program to version.
    inputs : mapping
        File to the SHA-256 of its content, of all runs.
    seconds : float
        That this start took.
    """

    title: str
    axes: tuple[str, ...]
    runs: tuple[CampaignRun, ...]
    failures: tuple[CampaignFailure, ...]
    bootstraps: int
    remarks: tuple[str, ...]
    versions: Mapping[str, str]
    inputs: Mapping[str, str]
    seconds: float = 0.0

    def count(self, status: str) -> int:
        """Number of runs of a status."""
        return sum(run.status == status for run in self.runs)

    def to_json(self) -> dict[str, Any]:
        """Plain values for ``campaign.json``; what is not a number is None, what is infinite the text ``"inf"``."""
        table: dict[str, Any] = plain_json({"schema": CAMPAIGN_SCHEMA, **dataclasses.asdict(self)})
        return table
