"""Map coefficients of a refinement."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.output.map_coefficients import MapData
from torchref_kinetic_plugin.output.maps import write_maps
from torchref_kinetic_plugin.refinement.agreement import weighted_mean

if TYPE_CHECKING:
    from torchref_kinetic_plugin.workflow.refining import Refinement


def write_maps_of(run: Refinement, directory: Path) -> None:
    """Write the map coefficients of every timepoint.

    Raises
    ------
    FileError
        When one cannot be written.
    """
    directory.mkdir(exist_ok=True)
    for experiment, model, values in zip(run.loaded.experiments, run.models, run.provider(), strict=True):
        occupancies = model.with_references(values.detach())
        mixtures = model.mixture(occupancies).cpu().numpy()
        components = model.components.cpu().numpy()
        variance = model.error_variance().cpu().numpy()
        _, factors = model.calculated_amplitudes(values.detach())
        grid, first = model.data.grid, model.data.n_references
        inflation = np.exp(model.log_inflation().cpu().numpy())
        observed, sigmas = grid.amplitude / factors, grid.sigma * inflation / factors
        reference = weighted_mean(observed[: max(first, 1)], sigmas[: max(first, 1)])
        reference_sigma = _mean_sigma(sigmas[: max(first, 1)])
        dark = model.reference_occupancies
        for row, point in enumerate(experiment.settings.timepoints, start=first):
            excited = occupancies[:, row].numpy()
            # What the state before the trigger has given up, structure by structure.
            gained = np.maximum(excited - dark, 0.0)
            fraction = float(gained.sum())
            data = MapData(
                hkl=grid.hkl,
                cell=grid.cell,
                spacegroup=grid.spacegroup,
                f_obs=observed[row],
                sigma=sigmas[row],
                f_obs_reference=reference,
                sigma_reference=reference_sigma,
                f_calc=mixtures[row],
                f_calc_reference=mixtures[0] if first else dark @ components,
                f_calc_excited=(gained / fraction) @ components if fraction > 0.0 else None,
                excited_fraction=fraction,
                error_variance=variance,
                centric=grid.centric,
                free=grid.free,
            )
            write_maps(directory / f"{experiment.settings.name}_{point.name}", data)


def _mean_sigma(sigmas: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard error (H,) of the weighted mean of (n, H) measurements; NaN where there is none."""
    weights = np.where(np.isfinite(sigmas), sigmas, np.inf) ** -2.0
    total = weights.sum(axis=0)
    result: NDArray[np.float64] = np.full(total.shape, np.nan)
    result[total > 0.0] = total[total > 0.0] ** -0.5
    return result
