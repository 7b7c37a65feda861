"""Map coefficients of a refinement."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from torchref_kinetic_plugin.files import make_inner_directory
from torchref_kinetic_plugin.output.map_coefficients import MapData
from torchref_kinetic_plugin.output.maps import write_maps
from torchref_kinetic_plugin.refinement.agreement import weighted_mean
from torchref_kinetic_plugin.refinement.residuals import mean_sigma

if TYPE_CHECKING:
    from torchref_kinetic_plugin.workflow.refining import Refinement


def write_maps_of(run: Refinement, directory: Path) -> None:
    """Write the map coefficients of every timepoint.

    Raises
    ------
    FileError
        When one cannot be written.
    """
    make_inner_directory(directory)
    for number, experiment in enumerate(run.loaded.experiments):
        names = [point.name for point in experiment.settings.timepoints]
        for name, data in zip(names, map_data_of(run, number), strict=True):
            write_maps(directory / f"{experiment.settings.name}_{name}", data)


def map_data_of(run: Refinement, number: int) -> list[MapData]:
    """What the maps of each timepoint of one experiment, by its number, are made of."""
    model, values = run.models[number], run.provider()[number].detach()
    occupancies = model.with_references(values).cpu()
    mixtures = model.mixture(occupancies).cpu().numpy()
    components = model.components.cpu().numpy()
    variance = model.error_variance().cpu().numpy()
    _, factors = model.calculated_amplitudes(values)
    grid, first = model.data.grid, model.data.n_references
    inflation = np.exp(model.log_inflation().cpu().numpy())
    observed, sigmas = grid.amplitude / factors, grid.sigma * inflation / factors
    reference = weighted_mean(observed[: max(first, 1)], sigmas[: max(first, 1)])
    reference_sigma = mean_sigma(sigmas[: max(first, 1)])
    dark = model.reference_occupancies
    found = []
    for row in range(first, len(model.data.datasets)):
        # What the state before the trigger has given up, structure by structure.
        gained = np.maximum(occupancies[:, row].numpy() - dark, 0.0)
        fraction = float(gained.sum())
        found.append(
            MapData(
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
        )
    return found
