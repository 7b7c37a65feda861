"""Plots of a refinement."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.files import make_inner_directory
from torchref_kinetic_plugin.output.agreement_figure import agreement_figure
from torchref_kinetic_plugin.output.cycle_figures import history_figure, shifts_figure
from torchref_kinetic_plugin.output.occupancy_figure import occupancy_result_figure
from torchref_kinetic_plugin.plotting import correlation_figure, save
from torchref_kinetic_plugin.results import RefinementResult

if TYPE_CHECKING:
    from torchref_kinetic_plugin.workflow.refining import Refinement
#: Width and height of a figure of occupancies, inches.
_SIZE = (10.0, 6.0)


def write_plots(run: Refinement, result: RefinementResult, directory: Path) -> None:
    """Draw occupancies, scheme and agreement of each experiment, and what concerns all of them, as PNG and SVG.

    Raises
    ------
    FileError
        When one cannot be written.
    """
    from torchref_kinetic_plugin.occupancies import occupancies_kinetics
    from torchref_kinetic_plugin.occupancies.figures import plot_experiments, plot_kinetic_occupancies
    from torchref_kinetic_plugin.occupancies.law_figures import plot_rate_laws

    make_inner_directory(directory)
    for name, module in zip(run.provider.names, run.provider.modules_by_experiment, strict=True):
        for suffix in (".png", ".svg"):
            if isinstance(module, occupancies_kinetics):
                plot_kinetic_occupancies(
                    module,
                    directory / f"{name}_occupancies{suffix}",
                    log_scale=True,
                    kinetic_states=False,
                    figsize=_SIZE,
                    title=None,
                    free=_free_points(result, name, len(module.time)),
                )
                module.plot_scheme(directory / f"{name}_scheme{suffix}")
            else:
                save(occupancy_result_figure(result, name), directory / f"{name}_occupancies{suffix}")
            save(agreement_figure(result, name), directory / f"{name}_agreement{suffix}")
    kinetic = {
        name: module
        for name, module in zip(run.provider.names, run.provider.modules_by_experiment, strict=True)
        if isinstance(module, occupancies_kinetics)
    }
    for suffix in (".png", ".svg"):
        if len(kinetic) > 1:
            plot_experiments(kinetic, directory / f"all_occupancies{suffix}")
        if any(module.joint.laws for module in kinetic.values()):
            covariance = None if run.uncertainty is None else run.uncertainty.covariance
            plot_rate_laws(kinetic, directory / f"rate_laws{suffix}", covariance=covariance)
        if (found := result.correlations) is not None:
            errors = np.array(found.std_errors), np.array(found.sandwich)
            figure = correlation_figure(found.labels, np.array(found.matrix), *errors, title=result.title)
            save(figure, directory / f"correlations{suffix}")
        if result.cycles:
            save(history_figure(result), directory / f"history{suffix}")
        if result.shifts:
            save(shifts_figure(result), directory / f"shifts{suffix}")


def _free_points(
    result: RefinementResult, experiment: str, n_columns: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Free occupancies (n_structures, n_columns) of an experiment and their errors; None where there are none.

    References that the provider gives come first and have none; an error that is not finite is not drawn.
    """
    own = [each for each in result.validation.free_occupancies if each.experiment == experiment]
    if not own:
        return None
    table = np.array([(each.occupancy, each.std_error) for each in own]).reshape(-1, len(result.structures), 2)
    points = np.full((2, len(result.structures), n_columns), np.nan)
    points[:, :, n_columns - len(table) :] = table.transpose(2, 1, 0)
    return points[0], np.where(np.isfinite(points[1]), points[1], np.nan)
