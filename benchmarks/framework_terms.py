"""Data terms and joint steps with gradients: this package beside the framework's own kinetic module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from benchmarks.data_terms import bank_of, data_terms, forget_gradients
from benchmarks.framework_series import kinetic_model, kinetic_refinement
from benchmarks.joint_step import prepared, with_repeated_timepoints
from benchmarks.series import Series, example, with_timepoints
from benchmarks.timing import Pair, in_turn
from torchref_kinetic_plugin.bridge.environment import quiet
from torchref_kinetic_plugin.refinement.preparation import prepare_experiment

#: Smallest number of times that ours are faster, by timepoints.
LIMITS = {8: 5.0, 64: 30.0}
#: Timepoints of a whole joint step.
STEPS = (8, 32, 128)


def rows(*, long: bool = False) -> Iterator[str]:
    """Two lines of the table for 8 timepoints; if long also for more, which the framework takes minutes to set up.

    Data terms: difference and amplitude target of `KineticRefinement`, as it refines structures with them, with
    gradients to the atoms of all structures and to the occupancies, beside the likelihood of this package with the
    same gradients. Joint step: all targets of each, with gradients to all that is refined, atoms of both intermediates
    here, of all three structures there.
    """
    for n_timepoints in sorted({*LIMITS, *STEPS}) if long else (8,):
        series = _repeated(example(), n_timepoints)
        refinement = kinetic_refinement(series, kinetic_model(series))
        if n_timepoints in LIMITS:
            yield _data_terms(series, n_timepoints, refinement)
        if n_timepoints in STEPS:
            yield _joint_step(n_timepoints, refinement)


def _repeated(series: Series, n_timepoints: int) -> Series:
    """The series with its timepoints measured again and again, each a little later."""
    data, chosen = with_timepoints(series.data, n_timepoints)
    times = tuple(time * (1.0 + 1e-3 * (place // len(series.data.times))) for place, time in enumerate(data.times))
    return replace(series, data=replace(data, times=times), observations=tuple(series.observations[n] for n in chosen))


def _data_terms(series: Series, n_timepoints: int, refinement: Any) -> str:
    preparation = prepare_experiment(series.data, series.structures, series.reference_occupancies)
    ours = data_terms(series, preparation, bank_of(series), n_timepoints)
    targets = [refinement.loss_state.targets[name] for name in ("xray/difference", "xray/ml")]
    pair = in_turn(ours, _evaluation(refinement, lambda: sum(target() for target in targets)), seconds=6.0)
    return _line(f"data terms with gradients, {series.name}", n_timepoints, pair, f"1/{LIMITS[n_timepoints]:.0f}")


def _joint_step(n_timepoints: int, refinement: Any) -> str:
    objective = with_repeated_timepoints(*prepared({"I1": "//A", "I2": "//A"}), n_timepoints)
    vector = objective.variables.get()
    pair = in_turn(lambda: objective(vector), _evaluation(refinement, refinement.get_loss), seconds=6.0)
    return _line("joint step, photocycle", n_timepoints, pair, "-")


def _evaluation(refinement: Any, loss: Callable[[], Any]) -> Callable[[], None]:
    """A loss of the framework's with its gradients."""
    parameters = refinement._collect_parameters()

    def evaluate() -> None:
        forget_gradients(parameters)
        with quiet():
            loss().backward()

    return evaluate


def _line(what: str, n_timepoints: int, pair: Pair, limit: str) -> str:
    times = f"{1e3 * pair.ours:.0f} ms | {1e3 * pair.theirs:.0f} ms, the framework's own"
    return f"| {what}, 3 structures, {n_timepoints} timepoints | {times} | 1/{1.0 / pair.ratio:.0f} | {limit} |"
