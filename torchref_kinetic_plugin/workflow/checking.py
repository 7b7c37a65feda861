"""``check``: what a refinement file names, without fitting anything."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from torchref_kinetic_plugin.errors import ScalingError
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.reflections import Spread
from torchref_kinetic_plugin.results import DatasetSummary, Identifiability
from torchref_kinetic_plugin.workflow.data_remarks import file_notes
from torchref_kinetic_plugin.workflow.dataset_summaries import r_between, spreads_of, summaries_of
from torchref_kinetic_plugin.workflow.loaded import LoadedExperiment, LoadedRefinement
from torchref_kinetic_plugin.workflow.loading import Announce, load_refinement

#: Differences over their sigmas between two datasets of one state beyond which sigmas are doubted.
_MATCHING_SPREAD = (0.67, 1.5)
#: R between two datasets beyond which they are hardly of one crystal.
_LARGEST_R = 0.4


@final
@dataclass(frozen=True)
class ParameterRow:
    """A parameter of the provider: where it starts, and whether it is refined."""

    experiment: str
    kind: str
    name: str
    start: float
    unit: str
    refined: bool


@final
@dataclass(frozen=True, eq=False)
class CheckReport:
    """What `check` found.

    Attributes
    ----------
    loaded : LoadedRefinement
        The file and what it names.
    datasets : tuple of DatasetSummary
        References first, experiment by experiment.
    parameters : tuple of ParameterRow
        Of the provider.
    n_observations_work, n_observations_free : int
        Of all datasets.
    n_parameters : int
        Of the provider, refined.
    notes : tuple of str
        On structures and data, for the record.
    warnings : tuple of str
        What may spoil the result.
    identifiability : Identifiability or None
        What the fit can determine from where it starts; None where it was not asked for, nothing of the provider is
        refined, or the datasets cannot be put on one scale.
    """

    loaded: LoadedRefinement
    datasets: tuple[DatasetSummary, ...]
    parameters: tuple[ParameterRow, ...]
    n_observations_work: int
    n_observations_free: int
    n_parameters: int
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    identifiability: Identifiability | None = None


def check(
    path: str | os.PathLike[str],
    *,
    quick: bool = False,
    plugins: PluginManager | None = None,
    overrides: Mapping[str, Any] | None = None,
    announce: Announce = lambda _: None,
) -> CheckReport:
    """Validate a refinement file, its models and its data without fitting.

    Parameters
    ----------
    path : path
        The refinement file.
    quick : bool
        Whether to leave out what needs structure factors: which parameters the data can determine.
    plugins : PluginManager, optional
        By default the built-in plugins and those installed.
    overrides : mapping, optional
        Keys, as ``"refinement.d_min"``, to values that stand in for those of the file.
    announce : callable
        Told what is being done.

    Raises
    ------
    InputError
        For what would stop a refinement.
    """
    from torchref_kinetic_plugin.refinement.estimates import ProviderParameters

    loaded = load_refinement(path, plugins=plugins, overrides=overrides, announce=announce)
    announce("building the occupancies")
    provider = loaded.build_provider()
    rows: list[DatasetSummary] = []
    warnings = list(loaded.remarks)
    for experiment in loaded.experiments:
        announce(f"comparing the datasets of {experiment.settings.name}")
        spreads = spreads_of(experiment)
        rows += summaries_of(experiment, spreads)
        warnings += _warnings(experiment, spreads)
    identifiability = None
    if not quick and "kinetics" in loaded.file.refinement.refine:
        identifiability, problems = _identifiability(loaded, announce)
        warnings += problems
    report = loaded.structures.report
    parameters = ProviderParameters(provider)
    masks = [(experiment.grid.mask, experiment.grid.free) for experiment in loaded.experiments]
    return CheckReport(
        loaded,
        tuple(rows),
        tuple(ParameterRow(*each) for each in parameters.starting()),
        sum(int(mask[:, ~free].sum()) for mask, free in masks),
        sum(int(mask[:, free].sum()) for mask, free in masks),
        parameters.n_refined if "kinetics" in loaded.file.refinement.refine else 0,
        tuple(str(finding) for finding in report.notes)
        + tuple(
            f"{experiment.settings.name}: {finding}"
            for experiment in loaded.experiments
            for finding in experiment.structures.report.notes
        )
        + tuple(
            note
            for experiment in loaded.experiments
            for note in (*experiment.free_set.remarks, *file_notes(experiment))
        ),
        tuple(dict.fromkeys(warnings)),
        identifiability,
    )


def _identifiability(loaded: LoadedRefinement, announce: Announce) -> tuple[Identifiability | None, list[str]]:
    """What the fit can determine, and what keeps it from being known, which would stop a refinement as well."""
    from torchref_kinetic_plugin.analysis.identifiability import analyse_identifiability
    from torchref_kinetic_plugin.workflow.refining import prepare

    if any(report.best != "h,k,l" for experiment in loaded.experiments for report in experiment.indexing):
        return None, []
    refinement = loaded.file.refinement
    try:
        run = prepare(loaded, on_progress=lambda progress: announce(progress.stage))
        announce("drawing data as they are expected, for the errors of a fit")
        found = analyse_identifiability(
            run.models,
            run.provider,
            loaded.structures.names,
            refine_scale="scale" in refinement.refine,
            structures_refined="structures" in refinement.refine,
            seed=refinement.seed,
        )
    except ScalingError as error:
        return None, [str(error)]
    return found, []


def _warnings(experiment: LoadedExperiment, spreads: Sequence[Spread]) -> list[str]:
    found = [report.text for report in experiment.indexing if report.best != "h,k,l"]
    low, high = _MATCHING_SPREAD
    first, *others = experiment.observations
    for name, each, spread in zip(experiment.names[1:], others, spreads, strict=True):
        if (residual := r_between(first, each, spread.scale)) > _LARGEST_R:
            found.append(
                f"{name} does not agree with {experiment.names[0]}: R = {residual:.2f}; another crystal form, or "
                "no data of this crystal?"
            )
    for number, spread in enumerate(spreads, start=1):
        # Two references are of one state, so only errors make them differ; timepoints may differ by more.
        of_references = number < experiment.n_references
        if not low < spread.overall < high if of_references else spread.overall < low:
            found.append(spread.text)
    return found
