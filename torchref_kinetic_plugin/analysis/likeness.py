"""Structures whose differences from the reference the data can hardly tell apart, or hardly see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from torchref_kinetic_plugin.analysis.limits import LARGEST_FRACTION_ERROR
from torchref_kinetic_plugin.occupancies.second_order import QuadraticTarget
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats

#: Correlation of two structures' differences, as the data see them, beyond which they are alike: the error of an
#: occupancy is then three times that with the other known.
_ALIKE = 0.95


def alike_structures(
    models: Sequence[ExperimentModel], targets: Sequence[QuadraticTarget], names: Sequence[str]
) -> list[str]:
    """Remarks on structures, one sentence each.

    Parameters
    ----------
    models : sequence of ExperimentModel
        The experiments.
    targets : sequence of QuadraticTarget
        Information about the occupancies of each.
    names : sequence of str
        (K,) of the structures.
    """
    found = []
    for model, target in zip(models, targets, strict=True):
        where = f"{model.data.name}: " if len(models) > 1 else ""
        reference = int(np.argmax(model.reference_occupancies))
        others = [number for number in range(len(names)) if number != reference]
        blocks = contrasts(target, reference)
        own = np.diagonal(blocks, axis1=1, axis2=2)
        best = own.max(axis=0)
        for place, number in enumerate(others):
            error = np.inf if best[place] <= 0.0 else best[place] ** -0.5
            if error > LARGEST_FRACTION_ERROR:
                found.append(
                    f"{where}{names[number]} differs too little from {names[reference]}: the expected standard error "
                    f"of its occupancy at one delay is {error:.2g}, even if all others were known"
                )
        size = np.sqrt(np.maximum(own.sum(axis=0), 1e-300))
        alike = blocks.sum(axis=0) / np.outer(size, size)
        for i, j in zip(*np.triu_indices(len(others), 1), strict=True):
            if alike[i, j] > _ALIKE:
                found.append(
                    f"{where}occupancies of {names[others[i]]} and {names[others[j]]}: the structures' differences "
                    f"from {names[reference]} are alike (correlation {alike[i, j]:.2f} as the data see them)"
                )
    return found


def contrasts(target: QuadraticTarget, reference: int) -> Floats:
    """(N, K - 1, K - 1), information about each timepoint's occupancies, of which the reference's makes the sum 1."""
    n_structures, n_timepoints = target.centre.shape
    table = target.information.numpy().reshape(n_structures, n_timepoints, n_structures, n_timepoints)
    blocks = np.einsum("ktlt->tkl", table)
    differences = np.delete(np.eye(n_structures), reference, axis=0)
    differences[:, reference] = -1.0
    return np.asarray(np.einsum("ik,tkl,jl->tij", differences, blocks, differences))
