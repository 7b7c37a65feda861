"""The small series with sigmas that do not follow the intensities, drawn from its likelihood: asymptotics hold early."""

from dataclasses import replace

import numpy as np
import torch

from tests.unit.refinement.small_series import TIMES, provider, series
from torchref_kinetic_plugin.analysis.variants import drawn
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel

#: Three delays, one in each phase of the cycle.
THREE = (TIMES[0], TIMES[2], TIMES[4])
#: Of the common error, electrons squared.
VARIANCE = 400.0


def even_series(seed=1, *, times=TIMES, n_references=1, d_min=3.6, missing=0.0, noise=0.1, occupancies=None):
    """An `ExperimentModel` at its true scales and error model; occupancies are those of the scheme or as given."""
    base = series(noise=noise, times=times, n_references=n_references, d_min=d_min, missing=missing)
    grid = base.data.grid
    sigma = np.where(grid.mask, noise * np.nanmean(grid.intensity, axis=1, keepdims=True), np.nan)
    data = replace(base.data, grid=replace(grid, intensity_sigma=sigma))
    model = ExperimentModel(data, base.components, base.base_log_scale.numpy(), base.reference_occupancies)
    model.nuisances.error[0] = np.log(VARIANCE)
    truth = provider(times=times)()[0].detach() if occupancies is None else torch.as_tensor(occupancies)
    return drawn(model, truth, np.random.default_rng(seed))
