"""``refine``: from one file to rate constants against structure factors."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.files import output_directory
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.results import CycleSummary, DatasetStatistics, RefinementResult
from torchref_kinetic_plugin.workflow.assembling import assemble, statistics_of
from torchref_kinetic_plugin.workflow.interruption import noting_what_is_kept
from torchref_kinetic_plugin.workflow.loaded import LoadedRefinement, first_occupancies, refuse_other_indexing
from torchref_kinetic_plugin.workflow.loading import load_refinement
from torchref_kinetic_plugin.workflow.outputs import FOLDERS, write_outputs
from torchref_kinetic_plugin.workflow.sections import write_sections
from torchref_kinetic_plugin.workflow.validating import validate

if TYPE_CHECKING:
    from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
    from torchref_kinetic_plugin.refinement.experiment import ExperimentModel
    from torchref_kinetic_plugin.refinement.kinetic_fit import Iteration, KineticFit
    from torchref_kinetic_plugin.refinement.preparation import Preparation
    from torchref_kinetic_plugin.refinement.uncertainty import Uncertainty
    from torchref_kinetic_plugin.workflow.joint import JointOutcome
    from torchref_kinetic_plugin.workflow.joint_setup import JointSetup

#: Iterations of a fit that are usual, for an estimate of the time left.
_USUAL_ITERATIONS = 5


@final
@dataclass(frozen=True)
class Progress:
    """Where a refinement stands.

    Attributes
    ----------
    stage : str
        What is being done, in words.
    loss : float or None
        The objective, once there is one.
    seconds_left : float or None
        Estimate of the time left of this stage.
    """

    stage: str
    loss: float | None = None
    seconds_left: float | None = None


@final
@dataclass(frozen=True, eq=False)
class Refinement:
    """A refinement with all its parts; what plugins' events are given, and what Python users may look into.

    Attributes
    ----------
    loaded : LoadedRefinement
        The file and what it names.
    provider : SeriesOccupancies
        The occupancies.
    preparations : tuple of Preparation
        Of each experiment.
    fit : KineticFit or None
        None before the fit.
    joint : JointOutcome or None
        Where structures were refined as well.
    uncertainty : Uncertainty or None
        What the data leave open; None before the fit.
    """

    loaded: LoadedRefinement
    provider: SeriesOccupancies
    preparations: tuple[Preparation, ...]
    fit: KineticFit | None = None
    joint: JointOutcome | None = None
    uncertainty: Uncertainty | None = None

    @property
    def models(self) -> list[ExperimentModel]:
        """Forward models of the experiments."""
        return [preparation.model for preparation in self.preparations]


def refine(
    path: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    plugins: PluginManager | None = None,
    overrides: Mapping[str, Any] | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> RefinementResult:
    """Refine what a refinement file asks for and write everything into its output directory.

    Parameters
    ----------
    path : path
        The refinement file.
    output : path, optional
        Directory that stands in for the file's.
    device : str
        Where structure factors and likelihood are computed, as torch names it.
    plugins : PluginManager, optional
        By default the built-in plugins and those installed.
    overrides : mapping, optional
        Keys, as ``"refinement.d_min"``, to values that stand in for those of the file.
    resume : bool
        Whether to go on from the checkpoint in the output directory; for refinements of structures.
    on_progress : callable
        Told what is being done.

    Returns
    -------
    RefinementResult

    Raises
    ------
    InputError
        For whatever is wrong with the file or with what it names, before anything is written.
    LockedError
        When another run works in the output directory.
    """
    begun = time.perf_counter()
    if output is not None:
        # In the file as it was read, so that plugins too find it there.
        overrides = {**(overrides or {}), "output.directory": str(Path(output).absolute())}
    loaded = load_refinement(
        path, plugins=plugins, overrides=overrides, announce=lambda text: on_progress(Progress(text))
    )
    directory = loaded.file.output.directory
    require_device(device)
    if resume and "structures" not in loaded.file.refinement.refine:
        raise InputError("--resume is for refinements of structures; this one starts anew in a minute")
    if (directory / "refinement.toml").resolve() == loaded.file.path.resolve():
        raise InputError(
            f"the output directory {str(directory)!r} is that of the refinement file, which would be replaced; choose "
            "another, e.g. -o refined"
        )
    with output_directory(directory, *FOLDERS), noting_what_is_kept(loaded.file):
        run = prepare(loaded, device=device, on_progress=on_progress)
        loaded.plugins.refinement_started(run)
        before = statistics_of(run.models, run.provider, cycle=0)
        if "structures" in loaded.file.refinement.refine:
            run, result = _refined_together(run, before, begun, directory, device, resume, on_progress)
        else:
            run, result = _fitted(run, before, begun, on_progress)
        validation, said = validate(run, lambda text: on_progress(Progress(text)))
        result = replace(
            result,
            validation=validation,
            remarks=(*result.remarks, *said),
            seconds=time.perf_counter() - begun,
        )
        result = write_sections(loaded.plugins, result, directory)
        result = write_outputs(run, result, directory, lambda text: on_progress(Progress(text)))
        loaded.plugins.refinement_finished(run, result)
    return result


def require_device(device: str) -> None:
    """Refuse a device that is not there.

    Raises
    ------
    InputError
        For a name torch does not know, or a device this machine lacks.
    """
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {device!r} cannot be used here: {reason}") from error


def prepare(
    loaded: LoadedRefinement,
    *,
    device: str = "cpu",
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Refinement:
    """Build the occupancies, evaluate the structures, and scale the datasets.

    Raises
    ------
    InputError
        For a provider that does not fit structures or experiments, or data that cannot be scaled.
    """
    from torchref_kinetic_plugin.refinement.preparation import prepare_experiment

    for experiment in loaded.experiments:
        refuse_other_indexing(experiment)
    provider = loaded.build_provider()
    preparations = []
    for experiment, module in zip(loaded.experiments, provider.modules_by_experiment, strict=True):
        on_progress(Progress(f"structure factors and scales of {experiment.settings.name}"))
        preparations.append(
            prepare_experiment(
                experiment.data,
                [structure.to_gemmi() for structure in experiment.structures],
                first_occupancies(module, len(loaded.structures), experiment.n_references),
                device=device,
            )
        )
    return Refinement(loaded, provider, tuple(preparations))


def _fitted(
    run: Refinement,
    before: list[DatasetStatistics],
    begun: float,
    on_progress: Callable[[Progress], None],
) -> tuple[Refinement, RefinementResult]:
    from torchref_kinetic_plugin.refinement.estimates import ProviderParameters
    from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
    from torchref_kinetic_plugin.refinement.uncertainty import estimate_uncertainty

    file = run.loaded.file
    start = ProviderParameters(run.provider).values()
    started = time.perf_counter()

    def report(iteration: Iteration) -> None:
        # Where the amplitudes led counts as a step.
        done = iteration.number + 1
        left = (time.perf_counter() - started) / done * max(1, _USUAL_ITERATIONS - done)
        on_progress(Progress(f"fit, step {iteration.number}", iteration.objective, left))

    on_progress(Progress("fit, amplitudes"))
    fit = fit_kinetics(
        run.models,
        run.provider,
        n_starts=file.refinement.starts,
        seed=file.refinement.seed,
        refine_provider="kinetics" in file.refinement.refine,
        refine_scale="scale" in file.refinement.refine,
        on_iteration=report,
    )
    on_progress(Progress("standard errors"))
    run = replace(run, fit=fit, uncertainty=estimate_uncertainty(run.models, run.provider))
    after = statistics_of(run.models, run.provider, cycle=1)
    return run, assemble(run, fit, start, [*before, *after], begun)


def _refined_together(
    run: Refinement,
    before: list[DatasetStatistics],
    begun: float,
    directory: Path,
    device: str,
    resume: bool,
    on_progress: Callable[[Progress], None],
) -> tuple[Refinement, RefinementResult]:
    from torchref_kinetic_plugin.refinement.estimates import ProviderParameters
    from torchref_kinetic_plugin.refinement.uncertainty import estimate_uncertainty
    from torchref_kinetic_plugin.workflow.joint import refine_together

    start = ProviderParameters(run.provider).values()

    def statistics(setup: JointSetup, cycle: int) -> list[DatasetStatistics]:
        return statistics_of([each.model for each in setup.experiments], run.provider, cycle)

    def finished(cycle: CycleSummary) -> None:
        run.loaded.plugins.cycle_finished(run, cycle)

    outcome = refine_together(
        run.loaded,
        run.provider,
        [model.data for model in run.models],
        directory,
        device=device,
        resume=resume,
        statistics_of=statistics,
        announce=lambda text, loss: on_progress(Progress(text, loss)),
        on_cycle=finished,
    )
    run = replace(run, preparations=outcome.setup.present_preparations(), fit=outcome.fit.kinetics, joint=outcome)
    run = replace(run, uncertainty=estimate_uncertainty(run.models, run.provider, lost=outcome.freedom.lost))
    last = len(outcome.fit.progress.cycles) + 1
    after = statistics_of(run.models, run.provider, cycle=last)
    result = assemble(run, outcome.fit.kinetics, start, [*before, *outcome.statistics, *after], begun, outcome)
    return run, result
