"""The kinetic fit at fixed structures: this package beside `KineticRefinement.refine_kinetics`."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from benchmarks.framework_series import kinetic_model, kinetic_refinement
from benchmarks.series import Series, example, provider
from torchref_kinetic_plugin.bridge.environment import quiet
from torchref_kinetic_plugin.plugins import SeriesOccupancies
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel
from torchref_kinetic_plugin.refinement.kinetic_fit import KineticFit, fit_kinetics
from torchref_kinetic_plugin.refinement.preparation import Preparation, prepare_experiment

#: Largest ratio of the times.
LIMIT = 1.0 / 1000.0
_STEPS = 100
_REPEATS = 3


def rows(*, steps: int = _STEPS) -> Iterator[str]:
    """Two lines of the table: the example at its true structures, from the starts of its refinement file.

    Set-up is timed on neither side: reading, scaling and, here, the structure factors, which the framework evaluates
    again at every timepoint and step. Its result is judged by the likelihood of this package, with scales and error
    model fitted anew at its occupancies. Ours is timed twice: until its likelihood is as high, and until it converged.

    Parameters
    ----------
    steps : int
        Of the framework; with fewer than 100 its time is scaled up to 100.
    """
    series = example()
    prepared = prepare_experiment(series.data, series.structures, series.reference_occupancies)
    _fit(prepared, series, provider(series))
    runs = [_fit(prepared, series, provider(series)) for _ in range(_REPEATS)]
    kinetics = kinetic_model(series)
    refinement = kinetic_refinement(series, kinetics)
    begin = time.perf_counter()
    with quiet():
        refinement.refine_kinetics(niter=steps)
    theirs = (time.perf_counter() - begin) * _STEPS / steps
    # Half of ours before and half after, as the speed of the machine drifts meanwhile.
    runs += [_fit(prepared, series, provider(series)) for _ in range(_REPEATS)]
    fit, ours = runs[-1].fit, statistics.median(run.seconds for run in runs)
    judged = _fit(prepared, series, _as_given(series, kinetics)).fit
    as_high = statistics.median(run.as_high_as(judged.work) for run in runs)

    scaled = "" if steps == _STEPS else f" (scaled from {steps})"
    for what, seconds in (("until ln L is as high", as_high), ("until converged", ours)):
        yield (
            f"| kinetic fit, {series.name}, {what}; ln L in the end {fit.work:.1f} against {judged.work:.1f} "
            f"| {seconds:.2f} s | {theirs:.0f} s, refine_kinetics({_STEPS}){scaled} "
            f"| 1/{theirs / seconds:.0f} | 1/{1.0 / LIMIT:.0f} |"
        )


@dataclass(frozen=True)
class _Run:
    """A fit, its time in seconds, and when which log-likelihood of the work reflections was reached."""

    fit: KineticFit
    seconds: float
    reached: list[tuple[float, float]]

    def as_high_as(self, work: float) -> float:
        """Seconds until the log-likelihood was at least as high; infinite when it never was."""
        return min((seconds for seconds, value in self.reached if value >= work), default=math.inf)


def _fit(prepared: Preparation, series: Series, occupancies: SeriesOccupancies) -> _Run:
    """Fit from scales and an error model that no other fit has touched."""
    begin = time.perf_counter()
    reached: list[tuple[float, float]] = []
    model = ExperimentModel(
        series.data, prepared.model.components, prepared.model.base_log_scale.numpy(), series.reference_occupancies
    )
    refined = any(parameter.requires_grad for parameter in occupancies.parameters())
    fit = fit_kinetics(
        [model],
        occupancies,
        refine_provider=refined,
        on_iteration=lambda step: reached.append((time.perf_counter() - begin, step.work)),
    )
    return _Run(fit, time.perf_counter() - begin, reached)


@torch.no_grad()
def _as_given(series: Series, kinetics: torch.nn.Module) -> SeriesOccupancies:
    """The framework's occupancies; the reference's structure takes what float32 leaves of 1."""
    values = kinetics()[1:, 1:].double().clamp(0.0, 1.0)
    structures = [state["name"] for state in series.settings["structures"]["states"]]
    table = {name: row.tolist() for name, row in zip(structures[1:], values, strict=True)}
    return provider(series, "fixed", {"occupancies": {series.data.name: table}})
