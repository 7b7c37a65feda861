"""Occupancies of the structures, timepoint by timepoint."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby

import ihm.model

from torchref_kinetic_plugin.output.deposition.contents import DepositedExperiment, Deposition
from torchref_kinetic_plugin.output.deposition.details import details, number
from torchref_kinetic_plugin.output.deposition.models import Models, kind_of_states
from torchref_kinetic_plugin.results import OccupancyEstimate

#: Standard errors in half a 95 % interval.
_95 = 1.959963984540054


def timepoint_states(
    deposition: Deposition, experiment: DepositedExperiment, models: Models
) -> Iterator[tuple[ihm.model.StateGroup, list[float | None]]]:
    """Give, for each timepoint, the structures as states with their occupancies, and the standard errors of these.

    A standard error is None where nothing was refined.
    """
    own = [each for each in deposition.result.occupancies if each.experiment == experiment.name]
    for place, (_, rows) in enumerate(groupby(own, key=lambda each: each.timepoint)):
        states, errors = [], []
        for each in rows:
            states.append(
                ihm.model.State(
                    [models.new_group(experiment.crystal, each.structure)],
                    type=kind_of_states(experiment),
                    name=each.structure,
                    experiment_type="Fraction of bulk",
                    population_fraction=number(each.occupancy),
                    details=details(
                        experiment=experiment.name,
                        timepoint=each.timepoint,
                        delay_s=each.time_s,
                        occupancy=each.occupancy,
                        lower=each.lower,
                        upper=each.upper,
                        populations=_populations(experiment, place, each.structure),
                    ),
                )
            )
            errors.append(_std_error(each))
        yield ihm.model.StateGroup(states), errors


def _std_error(estimate: OccupancyEstimate) -> float | None:
    if estimate.upper is None:
        return None
    error = (estimate.upper - estimate.occupancy) / _95
    return error if math.isfinite(error) else None


def _populations(experiment: DepositedExperiment, timepoint: int, structure: str) -> str | None:
    """Populations of the kinetic states that make up an occupancy; None where it is that of one state."""
    if experiment.scheme is None:
        return None
    scheme = experiment.scheme
    shares = [
        f"{state} {number(population)}"
        for state, population in zip(scheme.scheme.states, scheme.populations[timepoint], strict=True)
        if scheme.structure_of[state] == structure
    ]
    return ", ".join(shares) if len(shares) > 1 else None
