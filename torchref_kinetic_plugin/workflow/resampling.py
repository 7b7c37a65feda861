"""``bootstrap`` and ``starts``: many refits of one refinement."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.files import output_directory
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.results import (
    BootstrapReport,
    Estimate,
    FailedDraw,
    StartedParameter,
    StartOutcome,
    StartReport,
)
from torchref_kinetic_plugin.workflow.fitted import AnalysedRefinement, load_for_analysis
from torchref_kinetic_plugin.workflow.tasks import Job, SharedRefinement, run_jobs

if TYPE_CHECKING:
    from torchref_kinetic_plugin.analysis.multistart import StartFit
    from torchref_kinetic_plugin.refinement.estimates import Key
    from torchref_kinetic_plugin.workflow.refining import Refinement

#: Told what is being done, in words.
Announce = Callable[[str], None]


@final
@dataclass(frozen=True)
class BootstrapDraw(Job):
    """A refit to a draw, numbered from 1."""

    shared: SharedRefinement
    number: int
    seed: int
    parametric: bool
    error_model: bool

    def compute(self, run: Refinement) -> dict[Key, float]:
        """Values of the refined parameters by experiment, kind and name."""
        from torchref_kinetic_plugin.analysis.bootstrap import refit_draw

        return refit_draw(
            run.models,
            run.provider,
            self.number,
            seed=self.seed,
            parametric=self.parametric,
            refine_scale="scale" in run.loaded.file.refinement.refine,
            error_model=self.error_model,
        )


@final
@dataclass(frozen=True)
class _Best(Job):
    """Estimates of the fit to the data themselves."""

    shared: SharedRefinement
    number: int = 0

    def compute(self, run: Refinement) -> list[Estimate]:
        from torchref_kinetic_plugin.refinement.estimates import ProviderParameters

        assert run.uncertainty is not None
        parameters = ProviderParameters(run.provider)
        return parameters.estimates(run.uncertainty, parameters.values())


@final
@dataclass(frozen=True)
class _Start(Job):
    """A fit from a drawn start."""

    shared: SharedRefinement
    number: int
    seed: int

    def compute(self, run: Refinement) -> StartFit:
        from torchref_kinetic_plugin.analysis.multistart import fit_from_start

        return fit_from_start(
            run.models,
            run.loaded.build_provider(),
            self.number,
            seed=self.seed,
            refine_scale="scale" in run.loaded.file.refinement.refine,
        )


def bootstrap(
    path: str | os.PathLike[str],
    n_draws: int = 100,
    *,
    parametric: bool = False,
    error_model: bool = True,
    output: str | os.PathLike[str] | None = None,
    builtin_only: bool = False,
    overrides: Mapping[str, Any] | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
    announce: Announce = lambda _: None,
) -> BootstrapReport:
    """Refit a refinement to drawn data, and write what that says into its output directory.

    Parameters
    ----------
    path : path
        The refinement file.
    n_draws : int
        Number of draws, at least 2.
    parametric : bool
        Whether intensities are drawn from the model; else reflections from the data, within shells of resolution.
    error_model : bool
        Whether the error model is fitted in each draw, as in the refinement.
    output : path, optional
        Directory that stands in for the file's.
    builtin_only : bool
        Whether installed plugins are left out.
    overrides : mapping, optional
        Keys to values that stand in for those of the file.
    executor : Executor, optional
        Who computes, as a Dask client's ``get_executor()``; by default processes of this machine. These import the
        calling script, which therefore needs the usual ``if __name__ == "__main__":``.
    workers : int, optional
        Number of these processes; by default as many as there are cores.
    announce : callable
        Told what is being done.

    Returns
    -------
    BootstrapReport
        The same whoever computes.

    Raises
    ------
    InputError
        For whatever is wrong with the file; or when all draws but one fail.
    """
    from torchref_kinetic_plugin.analysis.bootstrap import bootstrap_estimates
    from torchref_kinetic_plugin.output.resampling_files import write_bootstrap

    if n_draws < 2:
        raise InputError(f"n = {n_draws}: at least 2 draws are wanted")
    analysed = load_for_analysis(
        path, output=output, plugins=PluginManager(builtin_only=builtin_only), overrides=overrides, announce=announce
    )
    shared = _shared(analysed, path, overrides, builtin_only=builtin_only)
    seed = analysed.loaded.file.refinement.seed
    with output_directory(analysed.directory):
        jobs: list[Job] = [_Best(shared)]
        jobs += [BootstrapDraw(shared, number, seed, parametric, error_model) for number in range(1, n_draws + 1)]
        announce("fit to the data")
        found, failed = run_jobs(jobs, executor=executor, workers=workers, on_done=_counting(announce, len(jobs)))
        if 0 not in found:
            raise InputError(f"the fit to the data failed: {failed[0].error}")
        best: list[Estimate] = found[0]
        draws = {number: values for number, values in found.items() if number}
        if len(draws) < 2:
            raise InputError(f"{len(draws)} of {n_draws} draws gave a result; the first failed with {failed[0].error}")
        report = BootstrapReport(
            analysed.loaded.file.title,
            parametric,
            error_model,
            seed,
            tuple(draws),
            tuple(bootstrap_estimates(best, list(draws.values()))),
            tuple(each for each in best if each.refined),
            failed,
            (*analysed.remarks, *_told(failed, n_draws, "draws")),
        )
        write_bootstrap(analysed.directory, report)
    return report


def starts(
    path: str | os.PathLike[str],
    n_starts: int = 50,
    *,
    output: str | os.PathLike[str] | None = None,
    builtin_only: bool = False,
    overrides: Mapping[str, Any] | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
    announce: Announce = lambda _: None,
) -> StartReport:
    """Fit a refinement from many starts, and write where they end into its output directory.

    Parameters
    ----------
    path : path
        The refinement file.
    n_starts : int
        Number of starts, that of the file among them.
    output, builtin_only, overrides, executor, workers, announce
        As for `bootstrap`.

    Raises
    ------
    InputError
        For whatever is wrong with the file; or when all starts fail.
    """
    from torchref_kinetic_plugin.analysis.multistart import minima_of
    from torchref_kinetic_plugin.output.resampling_files import write_starts

    if n_starts < 1:
        raise InputError(f"n = {n_starts}: at least 1 start is wanted")
    analysed = load_for_analysis(
        path, output=output, plugins=PluginManager(builtin_only=builtin_only), overrides=overrides, announce=announce
    )
    shared = _shared(analysed, path, overrides, builtin_only=builtin_only)
    seed = analysed.loaded.file.refinement.seed
    with output_directory(analysed.directory):
        jobs = [_Start(shared, number, seed) for number in range(n_starts)]
        announce("preparing")
        found, failed = run_jobs(jobs, executor=executor, workers=workers, on_done=_counting(announce, n_starts))
        if not found:
            raise InputError(f"no start led to a result; the first failed with {failed[0].error}")
        fits: dict[int, StartFit] = dict(sorted(found.items(), key=lambda each: (each[1].objective, each[0])))
        keys = _refined(analysed)
        outcomes = tuple(
            StartOutcome(
                number,
                fit.objective,
                fit.converged,
                minimum,
                tuple(fit.start[key] for key, _ in keys),
                tuple(fit.values[key] for key, _ in keys),
            )
            for (number, fit), minimum in zip(
                fits.items(), minima_of([fit.objective for fit in fits.values()]), strict=True
            )
        )
        report = StartReport(
            analysed.loaded.file.title,
            seed,
            tuple(StartedParameter(*key, unit) for key, unit in keys),
            outcomes,
            failed,
            (*analysed.remarks, *_told(failed, n_starts, "starts")),
        )
        write_starts(analysed.directory, report)
    return report


def _shared(
    analysed: AnalysedRefinement,
    path: str | os.PathLike[str],
    overrides: Mapping[str, Any] | None,
    *,
    builtin_only: bool,
) -> SharedRefinement:
    return SharedRefinement(
        str(Path(path).resolve()),
        str(analysed.directory.resolve()),
        json.dumps(dict(overrides or {}), sort_keys=True),
        builtin_only,
        analysed.fingerprint(),
    )


def _refined(analysed: AnalysedRefinement) -> list[tuple[Key, str]]:
    """Refined parameters and their units."""
    from torchref_kinetic_plugin.refinement.estimates import ProviderParameters

    parameters = ProviderParameters(analysed.loaded.build_provider())
    tensors = parameters.tensors()
    return [(key, tensors[key][1]) for key in parameters.slopes()]


def _counting(announce: Announce, total: int) -> Callable[[int], None]:
    def tell(done: int) -> None:
        announce(f"{done} of {total} done")

    return tell


def _told(failed: tuple[FailedDraw, ...], total: int, what: str) -> list[str]:
    if not failed:
        return []
    reasons = "; ".join(dict.fromkeys(each.error for each in failed))
    return [f"{len(failed)} of {total} {what} failed: {reasons}"]
