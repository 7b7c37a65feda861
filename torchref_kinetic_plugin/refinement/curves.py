"""Occupancies of kinetic models between the delays, with their errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from torchref_kinetic_plugin.occupancies import occupancies_kinetics
from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.plotting import TimeAxis
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.estimates import error_along
from torchref_kinetic_plugin.refinement.experiment import Floats
from torchref_kinetic_plugin.refinement.uncertainty import Uncertainty
from torchref_kinetic_plugin.results import OccupancyCurve
from torchref_kinetic_plugin.scheme import seconds_per

#: Standard errors in half a 95 % interval.
_95 = 1.959963984540054
#: Points of a curve at most.
_MOST_POINTS = 97


def occupancy_curves(
    provider: SeriesOccupancies, uncertainty: Uncertainty, structures: Sequence[str]
) -> list[OccupancyCurve]:
    """Curves of all experiments whose occupancies follow a scheme, where a logarithmic plot has room for them.

    Intervals are to first order, from the covariance of the raw parameters; infinite where that is.
    """
    fit = SecondOrderFit(list(provider.modules_by_experiment), [])
    found = []
    for experiment, module in zip(provider.names, provider.modules_by_experiment, strict=True):
        if not isinstance(module, occupancies_kinetics):
            continue
        second = 1.0 / seconds_per(module.time_unit or "s")
        zero = module.kinetics.time_zero.number
        delays = module.time.cpu().numpy() - zero
        axis = TimeAxis.of(delays[np.isfinite(delays) | (delays > 0.0)], logarithmic=True)
        for part in axis.dense():
            times = part[:: -(-len(part) // _MOST_POINTS)] + zero
            values = module.occupancies_at(torch.from_numpy(times))
            errors = _errors(fit, uncertainty, values) if uncertainty.names else None
            for row, structure in enumerate(structures):
                value = values[row].detach().cpu().numpy()
                half = np.zeros(0) if errors is None else _95 * errors[row]
                found.append(
                    OccupancyCurve(
                        experiment,
                        structure,
                        tuple((times / second).tolist()),
                        tuple(value.tolist()),
                        tuple((value - half).tolist()) if half.size else (),
                        tuple((value + half).tolist()) if half.size else (),
                    )
                )
    return found


def _errors(fit: SecondOrderFit, uncertainty: Uncertainty, values: Tensor) -> Floats:
    """Standard errors (n_structures, n_times) of occupancies that were computed from the parameters."""
    errors = [error_along(fit.gradient(each), uncertainty.covariance) for each in values.flatten()]
    return np.array(errors).reshape(values.shape)
