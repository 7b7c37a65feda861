"""What a refinement found."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

from torchref_kinetic_plugin.results.analysis import Correlations, Validation
from torchref_kinetic_plugin.results.presentation import DatasetSummary, MapView, OccupancyCurve, ShellResidual
from torchref_kinetic_plugin.results.rows import (
    CycleSummary,
    DatasetStatistics,
    Estimate,
    FitStep,
    GeometrySummary,
    OccupancyEstimate,
    ResidueShift,
)

#: Version of the form of ``result.json``; raised when a key changes its meaning.
SCHEMA = 1


@final
@dataclass(frozen=True)
class RefinementResult:
    """Everything that a refinement found, in the order of the refinement file.

    Attributes
    ----------
    title : str
        Of the refinement file.
    provider : str
        Where occupancies came from.
    refined : tuple of str
        What was refined.
    structures : tuple of str
        Names.
    converged : bool
        Whether no gain was left.
    n_observations_work, n_observations_free : int
        Amplitudes or intensities.
    n_parameters : int
        Of provider, scales and error model.
    parameters : tuple of Estimate
        Of the provider.
    occupancies : tuple of OccupancyEstimate
        Timepoint by timepoint.
    statistics : tuple of DatasetStatistics
        Dataset by dataset, cycle by cycle.
    steps : tuple of FitStep
        History of the fit.
    remarks : tuple of str
        What a user has to know, in words.
    seed : int
        Of the run.
    versions : mapping
        Program to version.
    inputs : mapping
        File to the SHA-256 of its content.
    seconds : float
        How long it took.
    cycles : tuple of CycleSummary
        History of structures and kinetics together; empty where structures were given.
    shifts : tuple of ResidueShift
        What moved.
    geometry : tuple of GeometrySummary
        Of each structure that was refined.
    correlations : Correlations or None
        Of the provider's refined parameters; None where there are none.
    validation : Validation
        What nobody can tune to.
    datasets : tuple of DatasetSummary
        What was measured, dataset by dataset, references first.
    residuals : tuple of ShellResidual
        What the model leaves, by dataset and resolution.
    curves : tuple of OccupancyCurve
        Occupancies between the delays; empty for providers that have none there.
    map_views : tuple of MapView
        Pictures of difference maps at residues that moved.
    """

    title: str
    provider: str
    refined: tuple[str, ...]
    structures: tuple[str, ...]
    converged: bool
    n_observations_work: int
    n_observations_free: int
    n_parameters: int
    parameters: tuple[Estimate, ...]
    occupancies: tuple[OccupancyEstimate, ...]
    statistics: tuple[DatasetStatistics, ...]
    steps: tuple[FitStep, ...]
    remarks: tuple[str, ...]
    seed: int
    versions: Mapping[str, str]
    inputs: Mapping[str, str]
    seconds: float
    cycles: tuple[CycleSummary, ...] = ()
    shifts: tuple[ResidueShift, ...] = ()
    geometry: tuple[GeometrySummary, ...] = ()
    correlations: Correlations | None = None
    validation: Validation = field(default_factory=Validation)
    datasets: tuple[DatasetSummary, ...] = ()
    residuals: tuple[ShellResidual, ...] = ()
    curves: tuple[OccupancyCurve, ...] = ()
    map_views: tuple[MapView, ...] = ()

    def parameter(self, kind: str, name: str, experiment: str | None = None) -> Estimate:
        """Find an estimate, e.g. ``parameter("rate_constant", "B->C")``.

        Raises
        ------
        KeyError
            When there is none.
        """
        for each in self.parameters:
            if each.kind == kind and each.name == name and experiment in {None, each.experiment}:
                return each
        raise KeyError(f"{kind} {name}" + (f" of {experiment}" if experiment else ""))

    def to_json(self) -> dict[str, Any]:
        """Plain values for ``result.json``; what is not a number is None, what is infinite the text ``"inf"``."""
        table: dict[str, Any] = plain_json({"schema": SCHEMA, **dataclasses.asdict(self)})
        return table


def plain_json(value: Any) -> Any:
    """A value as JSON has it: what is not a number None, what is infinite text."""
    if isinstance(value, Mapping):
        return {str(key): plain_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0.0 else "-inf")
    return value
