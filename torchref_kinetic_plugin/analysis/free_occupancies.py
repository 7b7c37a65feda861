"""Occupancies with no scheme behind them, from the same likelihood, with their standard errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from scipy.linalg import helmert

from torchref_kinetic_plugin.analysis.preserved import preserved
from torchref_kinetic_plugin.plugins import ExperimentSchedule, PluginManager
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.refinement.quadratic import QuadraticForm
from torchref_kinetic_plugin.refinement.uncertainty import standard_errors
from torchref_kinetic_plugin.results import FreeOccupancy
from torchref_kinetic_plugin.threads import one_thread


@final
@dataclass(frozen=True, eq=False)
class FreeFit:
    """Free occupancies of one experiment.

    Attributes
    ----------
    occupancies : ndarray
        (K, N), each in [0, 1], columns summing to 1.
    information : ndarray
        (N (K - 1), N (K - 1)), of the changes of each timepoint's occupancies that keep their sum, on
        `free_directions`; scales eliminated.
    converged : bool
        Whether no gain was left.
    """

    occupancies: Floats
    information: Floats
    converged: bool

    def std_errors(self) -> Floats:
        """(K, N), as if occupancies had no bounds: how well the data know one, also one that ends at 0 or 1."""
        k, n = self.occupancies.shape
        return standard_errors(free_directions(k, n), self.information).reshape(k, n)

    def std_error_of(self, weights: Floats) -> float:
        """Standard error of a sum of occupancies with weights (K, N)."""
        directions = free_directions(*self.occupancies.shape)
        return float(standard_errors(weights.reshape(1, -1) @ directions, self.information)[0])


def free_directions(n_structures: int, n_timepoints: int) -> Floats:
    """Orthonormal basis (K N, N (K - 1)) of the changes of occupancies (K, N) that keep the sum at each timepoint."""
    one: Floats = helmert(n_structures).T
    basis: Floats = np.einsum("kd,nm->knmd", one, np.eye(n_timepoints))
    return basis.reshape(n_structures * n_timepoints, -1)


@one_thread()
def fit_free(
    models: Sequence[ExperimentModel], structures: Sequence[str], *, refine_scale: bool = True
) -> list[FreeFit]:
    """Refine occupancies as ``occupancy = "unrestrained"`` does; scales and error models are as before afterwards.

    Parameters
    ----------
    models : sequence of ExperimentModel
        Of the same structures.
    structures : sequence of str
        (K,) names.
    refine_scale : bool
        Whether scales are refined with them.
    """
    manager = PluginManager(builtin_only=True)
    schedules = [
        ExperimentSchedule(
            model.data.name, (*([-math.inf] * (model.n_timepoints - len(model.data.times))), *model.data.times)
        )
        for model in models
    ]
    settings = manager.provider("unrestrained").read_settings({})
    provider = manager.build("unrestrained", settings, schedules, structures, 1)
    with preserved(models):
        fit = fit_kinetics(models, provider, refine_scale=refine_scale)
        forms = [QuadraticForm.at(model, each) for model, each in zip(models, fit.evaluations, strict=True)]
    with torch.no_grad():
        values = [each.numpy().copy() for each in provider()]
    found = []
    for form, value in zip(forms, values, strict=True):
        basis = free_directions(*value.shape)
        information = form.eliminated(refine_scale).information.numpy()
        found.append(FreeFit(value, basis.T @ information @ basis, fit.converged))
    return found


def free_occupancies(
    models: Sequence[ExperimentModel], structures: Sequence[str], *, refine_scale: bool = True
) -> tuple[list[FreeOccupancy], list[str]]:
    """Free occupancies of all timepoints, structure by structure, and what has to be said of them.

    Arguments as of `fit_free`.
    """
    found = []
    fits = fit_free(models, structures, refine_scale=refine_scale)
    for model, fit in zip(models, fits, strict=True):
        data, errors = model.data, fit.std_errors()
        for row in range(data.n_references, len(data.datasets)):
            column = row - data.n_fixed
            found += [
                FreeOccupancy(
                    data.name,
                    data.datasets[row],
                    structure,
                    float(fit.occupancies[number, column]),
                    float(errors[number, column]),
                )
                for number, structure in enumerate(structures)
            ]
    remarks = [] if all(fit.converged for fit in fits) else ["the fit of free occupancies has not converged"]
    return found, remarks
