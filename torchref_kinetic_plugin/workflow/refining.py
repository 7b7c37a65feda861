"""``refine``: from one file to rate constants against structure factors."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

import torchref_kinetic_plugin
from torchref_kinetic_plugin.config import resolved_toml
from torchref_kinetic_plugin.errors import FileError, InputError
from torchref_kinetic_plugin.files import lock, sha256, write_text
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.reflections import write_free_set
from torchref_kinetic_plugin.results import DatasetStatistics, FitStep, RefinementResult
from torchref_kinetic_plugin.workflow.loading import (
    LoadedRefinement,
    load_refinement,
    reference_occupancies,
    refuse_other_indexing,
)
from torchref_kinetic_plugin.workflow.sections import write_sections

if TYPE_CHECKING:
    from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
    from torchref_kinetic_plugin.refinement.agreement import Agreement
    from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Preparation
    from torchref_kinetic_plugin.refinement.kinetic_fit import Iteration, KineticFit

_log = logging.getLogger(__name__)

#: Iterations of a fit that are usual, for an estimate of the time left.
_USUAL_ITERATIONS = 8
#: Free reflections below which the error model is no longer as good as known.
_FEW_FREE = 200


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
    """

    loaded: LoadedRefinement
    provider: SeriesOccupancies
    preparations: tuple[Preparation, ...]
    fit: KineticFit | None = None

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
    if (directory / "refinement.toml").resolve() == loaded.file.path.resolve():
        raise InputError(
            f"the output directory {str(directory)!r} is that of the refinement file, which would be replaced; choose "
            "another, e.g. -o refined"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the output directory {str(directory)!r}: {error.strerror}") from error
    with lock(directory):
        run = prepare(loaded, device=device, on_progress=on_progress)
        loaded.plugins.refinement_started(run)
        before = _statistics(run, cycle=0)
        run, result = _fitted(run, before, begun, on_progress)
        result = write_sections(loaded.plugins, result, directory)
        _write(run, result, directory, on_progress)
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
    from torchref_kinetic_plugin.refinement.experiment import ExperimentData, prepare_experiment

    file = loaded.file
    if "structures" in file.refinement.refine:
        raise InputError(
            'refine = ["structures", ...]: structures are refined by a later version; leave "structures" out'
        )
    for experiment in loaded.experiments:
        refuse_other_indexing(experiment)
    provider = loaded.build_provider()
    preparations = []
    for experiment, module in zip(loaded.experiments, provider.modules_by_experiment, strict=True):
        on_progress(Progress(f"structure factors and scales of {experiment.settings.name}"))
        data = ExperimentData(experiment.settings.name, experiment.names, experiment.schedule.times, experiment.grid)
        preparations.append(
            prepare_experiment(
                data,
                [structure.to_gemmi() for structure in loaded.structures],
                reference_occupancies(module, len(loaded.structures)),
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
    from torchref_kinetic_plugin.refinement.estimates import ProviderParameters, occupancy_estimates
    from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
    from torchref_kinetic_plugin.refinement.uncertainty import estimate_uncertainty

    file = run.loaded.file
    parameters = ProviderParameters(run.provider)
    start = parameters.values()
    started = time.perf_counter()

    def report(iteration: Iteration) -> None:
        each = (time.perf_counter() - started) / iteration.number
        left = each * max(1, _USUAL_ITERATIONS - iteration.number)
        on_progress(Progress(f"fit, step {iteration.number}", iteration.objective, left))

    on_progress(Progress("fit, error model"))
    fit = fit_kinetics(
        run.models,
        run.provider,
        n_starts=file.refinement.starts,
        seed=file.refinement.seed,
        refine_provider="kinetics" in file.refinement.refine,
        refine_scale="scale" in file.refinement.refine,
        on_iteration=report,
    )
    run = Refinement(run.loaded, run.provider, run.preparations, fit)
    on_progress(Progress("standard errors"))
    uncertainty = estimate_uncertainty(run.models, run.provider)
    names = [[point.name for point in e.settings.timepoints] for e in run.loaded.experiments]
    result = RefinementResult(
        title=file.title,
        provider=file.refinement.occupancy,
        refined=tuple(file.refinement.refine),
        structures=tuple(run.loaded.structures.names),
        converged=fit.converged,
        n_observations_work=sum(int(m.likelihood.present[:, m.work].sum()) for m in run.models),
        n_observations_free=sum(int(m.likelihood.present[:, m.free].sum()) for m in run.models),
        n_parameters=len(uncertainty.covariance) + sum(_n_nuisances(model) for model in run.models),
        parameters=tuple(parameters.estimates(uncertainty, start)),
        occupancies=tuple(
            occupancy_estimates(run.models, names, run.loaded.structures.names, run.provider, uncertainty)
        ),
        statistics=(*before, *_statistics(run, cycle=1)),
        steps=tuple(FitStep(i.number, i.objective, i.work, i.free, i.regularization) for i in fit.iterations),
        remarks=tuple(_remarks(run, fit)),
        seed=file.refinement.seed,
        versions=versions(),
        inputs={str(name): sha256(name) for name in input_files(run.loaded)},
        seconds=time.perf_counter() - begun,
    )
    return run, result


def _remarks(run: Refinement, fit: KineticFit) -> list[str]:
    from torchref_kinetic_plugin.occupancies import occupancies_kinetics

    found = run.loaded.remarks
    if not fit.converged:
        found.append("the fit has not converged: the last step still promised a gain")
    for name, module in zip(run.provider.names, run.provider.modules_by_experiment, strict=True):
        if isinstance(module, occupancies_kinetics):
            found += [f"{name}: {remark}" for remark in module.remarks()]
    for model in run.models:
        if (count := int(model.free.sum())) < _FEW_FREE:
            found.append(
                f"{model.data.name}: the error model comes from {count} free reflections; with fewer than {_FEW_FREE} "
                "standard errors are too small"
            )
        inflation = np.exp(model.log_inflation().cpu().numpy())
        inflation = np.where(model.data.grid.mask, inflation, np.nan)
        for dataset, factor in zip(model.data.datasets, np.nanmedian(inflation, axis=1), strict=True):
            if not 0.67 < factor < 1.5:
                found.append(
                    f"{model.data.name}, {dataset}: sigmas are {factor:.2f} times too small by the free reflections; "
                    "taken into account"
                )
    return found


def _n_nuisances(model: ExperimentModel) -> int:
    nuisances = model.nuisances
    return int(nuisances.scale.size + nuisances.error.size + nuisances.inflation.size)


def _statistics(run: Refinement, cycle: int) -> list[DatasetStatistics]:
    from torchref_kinetic_plugin.refinement.agreement import agreements

    rows = []
    for model, values in zip(run.models, run.provider(), strict=True):
        rows += [_row(model.data.name, cycle, each) for each in agreements(model, values.detach())]
    return rows


def _row(experiment: str, cycle: int, found: Agreement) -> DatasetStatistics:
    def known(value: float) -> float | None:
        return None if np.isnan(value) else value

    return DatasetStatistics(
        experiment,
        found.dataset,
        cycle,
        found.n_work,
        found.n_free,
        found.r_work,
        found.r_free,
        known(found.cc_diff_work),
        known(found.cc_diff_free),
    )


def _write(run: Refinement, result: RefinementResult, directory: Path, on_progress: Callable[[Progress], None]) -> None:
    from torchref_kinetic_plugin.output.tables import write_tables
    from torchref_kinetic_plugin.workflow.pictures import write_plots

    file = run.loaded.file
    on_progress(Progress("writing"))
    write_text(directory / "refinement.toml", resolved_toml(file, relative_to=directory))
    for experiment in run.loaded.experiments:
        if any(each.free is None or (each.free < 0).any() for each in experiment.observations):
            write_free_set(directory / f"free_{experiment.settings.name}.mtz", experiment.free_set)
    if file.output.plots:
        write_plots(run, result, directory / "plots")
    if file.output.maps:
        from torchref_kinetic_plugin.workflow.map_files import write_maps_of

        on_progress(Progress("maps"))
        write_maps_of(run, directory / "maps")
    # Last, so that who finds a result finds everything.
    write_tables(directory, result)


def versions() -> dict[str, str]:
    """Versions of what computes."""
    packages = ("torchref", "torch", "numpy", "scipy", "gemmi")
    return {
        "torchref-kinetic-plugin": torchref_kinetic_plugin.__version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
    }


def input_files(loaded: LoadedRefinement) -> list[Path]:
    """Every file that a refinement reads, each once, in the order of the refinement file."""
    section = loaded.file.structures
    files = [state.file for state in section.states or ()]
    files += [section.file] if section.file is not None else []
    files += list(section.restraints)
    for experiment in loaded.file.experiments:
        files += [dataset.file for dataset in (*experiment.references, *experiment.timepoints)]
    return list(dict.fromkeys(files))
