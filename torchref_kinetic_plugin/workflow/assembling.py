"""What a refinement found, put together as one result."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

import torchref_kinetic_plugin
from torchref_kinetic_plugin.results import DatasetStatistics, FitStep, GeometrySummary, RefinementResult, ShellResidual
from torchref_kinetic_plugin.workflow.dataset_summaries import spreads_of, summaries_of

if TYPE_CHECKING:
    from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
    from torchref_kinetic_plugin.refinement.agreement import Agreement
    from torchref_kinetic_plugin.refinement.experiment import ExperimentModel
    from torchref_kinetic_plugin.refinement.kinetic_fit import KineticFit
    from torchref_kinetic_plugin.workflow.joint import JointOutcome
    from torchref_kinetic_plugin.workflow.refining import Refinement

#: Free reflections below which the error model is no longer as good as known.
_FEW_FREE = 200


def assemble(
    run: Refinement,
    fit: KineticFit,
    start: Mapping[tuple[str, str, str], float],
    statistics: Sequence[DatasetStatistics],
    begun: float,
    joint: JointOutcome | None = None,
) -> RefinementResult:
    """The result of a run.

    Parameters
    ----------
    run : Refinement
        After the fit, with its uncertainty.
    fit : KineticFit
        The last fit of everything but the structures.
    start : mapping
        Values of the provider's parameters before it, by experiment, kind and name.
    statistics : sequence of DatasetStatistics
        Of all cycles.
    begun : float
        When the run began, by `time.perf_counter`.
    joint : JointOutcome, optional
        Where structures were refined as well.
    """
    from torchref_kinetic_plugin.analysis.correlations import correlation_remarks, correlations
    from torchref_kinetic_plugin.refinement.curves import occupancy_curves
    from torchref_kinetic_plugin.refinement.estimates import (
        ProviderParameters,
        occupancy_estimates,
        undetermined_enthalpies,
        unsupported_structures,
    )
    from torchref_kinetic_plugin.workflow.joint import summary_of

    file = run.loaded.file
    uncertainty = run.uncertainty
    assert uncertainty is not None
    parameters = ProviderParameters(run.provider).estimates(uncertainty, start)
    remarks = [*remarks_of(run, fit), *undetermined_enthalpies(parameters)]
    remarks += [] if joint is None else joint.remarks
    scatter = None if joint is None else joint.freedom.scatter
    correlated = None
    if uncertainty.names:
        correlated = correlations(run.models, run.provider, uncertainty, scatter=scatter, seed=file.refinement.seed)
    remarks += [] if correlated is None else correlation_remarks(correlated)
    names = [[point.name for point in e.settings.timepoints] for e in run.loaded.experiments]
    structures = run.loaded.structures.names
    occupancies = occupancy_estimates(run.models, names, structures, run.provider, uncertainty)
    # References hold the first structure where they do not move.
    remarks += unsupported_structures(occupancies, structures[any(model.data.n_fixed for model in run.models) :])
    n_atoms = 0 if joint is None else joint.setup.variables.atoms.stop
    return RefinementResult(
        title=file.title,
        provider=file.refinement.occupancy,
        refined=tuple(file.refinement.refine),
        structures=tuple(run.loaded.structures.names),
        converged=fit.converged if joint is None else joint.fit.converged,
        n_observations_work=sum(int(m.present()[:, m.work].sum()) for m in run.models),
        n_observations_free=sum(int(m.present()[:, m.free].sum()) for m in run.models),
        n_parameters=len(uncertainty.covariance) + sum(_n_nuisances(model) for model in run.models) + n_atoms,
        parameters=tuple(parameters),
        occupancies=tuple(occupancies),
        statistics=tuple(statistics),
        steps=tuple(
            FitStep(i.number, i.objective, i.work, i.free, i.regularization, i.halvings) for i in fit.iterations
        ),
        remarks=tuple(remarks),
        seed=file.refinement.seed,
        versions=versions(),
        inputs=dict(run.loaded.inputs),
        seconds=time.perf_counter() - begun,
        cycles=() if joint is None else tuple(summary_of(cycle) for cycle in joint.fit.progress.cycles),
        shifts=() if joint is None else tuple(joint.shifts()),
        geometry=() if joint is None else tuple(_geometry(run, joint)),
        datasets=tuple(row for each in run.loaded.experiments for row in summaries_of(each, spreads_of(each))),
        residuals=tuple(_residuals(run)),
        curves=tuple(occupancy_curves(run.provider, uncertainty, run.loaded.structures.names)),
        correlations=correlated,
    )


def _residuals(run: Refinement) -> list[ShellResidual]:
    from torchref_kinetic_plugin.refinement.residuals import shell_residuals

    pairs = zip(run.models, run.provider(), strict=True)
    return [row for model, values in pairs for row in shell_residuals(model, values.detach())]


def _geometry(run: Refinement, joint: JointOutcome) -> list[GeometrySummary]:
    from torchref_kinetic_plugin.bridge.row_restraints import RowRestraints
    from torchref_kinetic_plugin.bridge.shared_atoms import SharedAtomBank

    found = []
    for form, structures in zip(joint.setup.forms, joint.structures_by_form, strict=True):
        hkl = joint.setup.preparations[form.experiments[0]].model.data.grid.hkl[:1]
        for structure in structures:
            rows = np.arange(len(structure.atoms))
            bank = SharedAtomBank(
                [structure.to_gemmi()],
                [rows],
                hkl,
                form.crystal,
                moving=np.ones(len(rows), dtype=np.bool_),
                restraint_files=run.loaded.file.structures.restraints,
            )
            restraints = RowRestraints(bank)
            bonds, angles = restraints.bond_deviations(bank.start.xyz), restraints.angle_deviations(bank.start.xyz)
            rms = [float(each.square().mean().sqrt()) if len(each) else 0.0 for each in (bonds, angles)]
            found.append(GeometrySummary(structure.name, len(bonds), rms[0], len(angles), rms[1], form.name))
    return found


def remarks_of(run: Refinement, fit: KineticFit) -> list[str]:
    """What a user has to know of data, scheme and fit, one sentence each."""
    from torchref_kinetic_plugin.occupancies import occupancies_kinetics
    from torchref_kinetic_plugin.refinement.scale_runaway import scale_remarks

    found = run.loaded.remarks
    if not fit.converged:
        found += scale_remarks(run.models) or ["the fit has not converged: the last step still promised a gain"]
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


def statistics_of(
    models: Sequence[ExperimentModel], provider: SeriesOccupancies, cycle: int
) -> list[DatasetStatistics]:
    """Agreement of all datasets of all experiments at the provider's present occupancies."""
    from torchref_kinetic_plugin.refinement.agreement import agreements

    rows = []
    for model, values in zip(models, provider(), strict=True):
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


def versions() -> dict[str, str]:
    """Versions of what computes."""
    packages = ("torchref", "torch", "numpy", "scipy", "gemmi")
    return {
        "torchref-kinetic-plugin": torchref_kinetic_plugin.__version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
    }
