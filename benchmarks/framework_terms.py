"""Data terms with gradients to the atoms: this package beside the targets of the framework's own kinetic module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.data_terms import bank_of, data_terms, forget_gradients
from benchmarks.framework_series import kinetic_model, kinetic_refinement
from benchmarks.series import Series, example, with_timepoints
from benchmarks.timing import in_turn
from torchref_kinetic_plugin.bridge.environment import quiet
from torchref_kinetic_plugin.refinement.preparation import prepare_experiment

#: Smallest number of times that ours are faster, by timepoints.
LIMITS = {8: 5.0, 64: 30.0}


def rows(*, long: bool = False) -> Iterator[str]:
    """One line of the table for 8 timepoints, and if long one for 64, which the framework takes minutes to set up.

    Difference and amplitude target of `KineticRefinement`, as it refines structures with them, with gradients to the
    atoms of all structures and to the occupancies, beside the likelihood of this package with the same gradients.
    """
    for n_timepoints in LIMITS if long else (8,):
        yield _row(_repeated(example(), n_timepoints), n_timepoints)


def _repeated(series: Series, n_timepoints: int) -> Series:
    """The series with its timepoints measured again and again, each a little later."""
    data, chosen = with_timepoints(series.data, n_timepoints)
    times = tuple(time * (1.0 + 1e-3 * (place // len(series.data.times))) for place, time in enumerate(data.times))
    return replace(series, data=replace(data, times=times), observations=tuple(series.observations[n] for n in chosen))


def _row(series: Series, n_timepoints: int) -> str:
    prepared = prepare_experiment(series.data, series.structures, series.reference_occupancies)
    ours = data_terms(series, prepared, bank_of(series), n_timepoints)
    refinement = kinetic_refinement(series, kinetic_model(series))
    targets = [refinement.loss_state.targets[name] for name in ("xray/difference", "xray/ml")]
    parameters = refinement._collect_parameters()

    def theirs() -> None:
        forget_gradients(parameters)
        with quiet():
            sum(target() for target in targets).backward()

    pair = in_turn(ours, theirs, seconds=6.0)
    what = f"data terms with gradients, {series.name}, 3 structures, {n_timepoints} timepoints"
    times = f"{1e3 * pair.ours:.0f} ms | {1e3 * pair.theirs:.0f} ms, the framework's own"
    return f"| {what} | {times} | 1/{1.0 / pair.ratio:.0f} | 1/{LIMITS[n_timepoints]:.0f} |"
