"""References given as timepoints: what is excited in them is the floor under every occupancy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from torchref_kinetic_plugin.analysis.free_occupancies import fit_free
from torchref_kinetic_plugin.analysis.variants import as_timepoint
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel
from torchref_kinetic_plugin.results import NullTest

#: Standard errors beyond which something is found in a reference.
_NOTEWORTHY = 3.0


def null_tests(
    models: Sequence[ExperimentModel], structures: Sequence[str], *, refine_scale: bool = True
) -> tuple[list[NullTest], list[str]]:
    """Give each reference but an experiment's first as a timepoint, in turn, and refine all timepoints' occupancies.

    What is excited is the occupancy of the structures that the references are said not to have, treated as that of
    every timepoint is: between 0 and 1. Experiments whose references move, or that have none, have no such test.

    Parameters
    ----------
    models : sequence of ExperimentModel
        After the fit; they are not changed.
    structures : sequence of str
        (K,) names.
    refine_scale : bool
        Whether scales are refined with the occupancies.

    Returns
    -------
    tests : list of NullTest
        In the order of the references.
    remarks : list of str
        Where there is none and why, and where something is excited.
    """
    tests: list[NullTest] = []
    remarks: list[str] = []
    for model in models:
        data = model.data
        if data.references_move or not data.n_references:
            continue
        if data.n_references == 1:
            remarks.append(
                f"{data.name}: no null test, which needs a second reference; how small an occupancy could still be "
                "nothing is not known"
            )
            continue
        excited = model.reference_occupancies <= 0.0
        if not excited.any():
            remarks.append(f"{data.name}: no null test: the references are a mixture of all structures")
            continue
        for name in data.datasets[1 : data.n_references]:
            rearranged = as_timepoint(model, name)
            (fit,) = fit_free([rearranged], structures, refine_scale=refine_scale)
            weights = np.zeros(fit.occupancies.shape)
            weights[excited, 0] = 1.0
            found = NullTest(data.name, name, float(fit.occupancies[excited, 0].sum()), fit.std_error_of(weights))
            tests.append(found)
            if math.isfinite(found.std_error) and found.excited > _NOTEWORTHY * found.std_error:
                remarks.append(
                    f"{data.name}: given as a timepoint, the reference {name} is excited by {found.excited:.3f} "
                    f"± {found.std_error:.3f}; occupancies of that size mean nothing"
                )
    return tests, remarks
