"""What profiles, resampled data and many starts came to, as plain typed values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from torchref_kinetic_plugin.results.analysis import BootstrapEstimate, Profile
from torchref_kinetic_plugin.results.result import SCHEMA, plain_json
from torchref_kinetic_plugin.results.rows import Estimate

#: Objectives that differ by less are the same minimum.
SAME_MINIMUM = 0.1


@final
@dataclass(frozen=True)
class ProfileReport:
    """Profiles of a refinement.

    Attributes
    ----------
    title : str
        Of the refinement file.
    profiles : tuple of Profile
        Of each parameter.
    by_curvature : tuple of Estimate
        The same parameters with errors and intervals of the covariance.
    remarks : tuple of str
        What a user has to know, in words.
    """

    title: str
    profiles: tuple[Profile, ...]
    by_curvature: tuple[Estimate, ...]
    remarks: tuple[str, ...] = ()

    def profile(self, kind: str, name: str, experiment: str | None = None) -> Profile:
        """Find a profile, e.g. ``profile("rate_constant", "B->C")``.

        Raises
        ------
        KeyError
            When there is none.
        """
        for each in self.profiles:
            if each.kind == kind and each.name == name and experiment in {None, each.experiment}:
                return each
        raise KeyError(f"{kind} {name}" + (f" of {experiment}" if experiment else ""))

    def to_json(self) -> dict[str, Any]:
        """Plain values for ``profiles.json``."""
        return _json(self)


@final
@dataclass(frozen=True)
class FailedDraw:
    """A draw or start, by its number, that gave nothing, and why."""

    number: int
    error: str


@final
@dataclass(frozen=True)
class BootstrapReport:
    """What resampled or simulated data say of a refinement.

    Attributes
    ----------
    title : str
        Of the refinement file.
    parametric : bool
        Whether intensities were drawn from the model; else reflections were drawn from the data.
    error_model : bool
        Whether the error model was fitted in each draw.
    seed : int
        Of the draws.
    numbers : tuple of int
        Of the draws that the values are from, in their order.
    estimates : tuple of BootstrapEstimate
        Of each refined parameter.
    by_curvature : tuple of Estimate
        The same parameters with errors and intervals of the covariance.
    failed : tuple of FailedDraw
        Draws without a value.
    remarks : tuple of str
        What a user has to know, in words.
    """

    title: str
    parametric: bool
    error_model: bool
    seed: int
    numbers: tuple[int, ...]
    estimates: tuple[BootstrapEstimate, ...]
    by_curvature: tuple[Estimate, ...]
    failed: tuple[FailedDraw, ...] = ()
    remarks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values for ``bootstrap.json``."""
        return _json(self)


@final
@dataclass(frozen=True)
class StartOutcome:
    """Where a fit from one start ended.

    Attributes
    ----------
    number : int
        Of the start; 0 is that of the refinement file.
    objective : float
        Minus the log-likelihood of the work reflections plus the regularization.
    converged : bool
        Whether no gain was left.
    minimum : int
        Number of the minimum, from 1, the best; objectives within 0.1 are one.
    start, values : tuple of float
        Parameters at the start and at the end, in the order of the report's.
    """

    number: int
    objective: float
    converged: bool
    minimum: int
    start: tuple[float, ...]
    values: tuple[float, ...]


@final
@dataclass(frozen=True)
class StartedParameter:
    """A refined parameter that starts differ in: experiment, kind and name as of `Estimate`."""

    experiment: str
    kind: str
    name: str
    unit: str


@final
@dataclass(frozen=True)
class StartReport:
    """Fits from many starts.

    Attributes
    ----------
    title : str
        Of the refinement file.
    seed : int
        Of the starts.
    parameters : tuple of StartedParameter
        Refined ones.
    outcomes : tuple of StartOutcome
        Best first.
    failed : tuple of FailedDraw
        Starts without an end.
    remarks : tuple of str
        What a user has to know, in words.
    """

    title: str
    seed: int
    parameters: tuple[StartedParameter, ...]
    outcomes: tuple[StartOutcome, ...]
    failed: tuple[FailedDraw, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def minima(self) -> Mapping[int, tuple[StartOutcome, ...]]:
        """Outcomes by the number of their minimum."""
        found: dict[int, list[StartOutcome]] = {}
        for outcome in self.outcomes:
            found.setdefault(outcome.minimum, []).append(outcome)
        return {number: tuple(each) for number, each in found.items()}

    def to_json(self) -> dict[str, Any]:
        """Plain values for ``starts.json``."""
        return _json(self)


def _json(report: ProfileReport | BootstrapReport | StartReport) -> dict[str, Any]:
    table: dict[str, Any] = plain_json({"schema": SCHEMA, **dataclasses.asdict(report)})
    return table
