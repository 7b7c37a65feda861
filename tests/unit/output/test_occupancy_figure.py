"""Occupancies of a provider without curves, and beside them what was found without it."""

from dataclasses import replace

import numpy as np
import pytest

from torchref_kinetic_plugin.output.occupancy_figure import occupancy_result_figure
from torchref_kinetic_plugin.results import FreeOccupancy, OccupancyEstimate, RefinementResult, Validation

TIMES = {"first": 1e-8, "second": 1e-6, "third": 1e-4}
VALUES = {"dark": (0.7, 0.8, 0.9), "I1": (0.3, 0.2, 0.1)}
FREE = {"dark": (0.75, 0.78, 0.95), "I1": (0.25, 0.22, 0.05)}


def result(validation):
    occupancies = [
        OccupancyEstimate("298K", name, time, structure, value, value - 0.02, value + 0.02)
        for structure, values in VALUES.items()
        for (name, time), value in zip(TIMES.items(), values, strict=True)
    ]
    return RefinementResult(
        title="test",
        provider="stretched",
        refined=("kinetics",),
        structures=("dark", "I1"),
        converged=True,
        n_observations_work=1,
        n_observations_free=1,
        n_parameters=1,
        parameters=(),
        occupancies=tuple(occupancies),
        statistics=(),
        steps=(),
        remarks=(),
        seed=1,
        versions={},
        inputs={},
        seconds=0.0,
        validation=validation,
    )


def heights(figure):
    (axes,) = figure.axes
    return [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines if len(line.get_ydata()) == 3]


def test_free_occupancies_stand_over_those_of_the_provider():
    free = [
        FreeOccupancy("298K", name, structure, value, 0.01)
        for structure, values in FREE.items()
        for name, value in zip(TIMES, values, strict=True)
    ]
    # In any order, and an error that is not known is not drawn.
    free = [replace(free[0], std_error=np.inf), *free[:0:-1]]
    drawn = heights(occupancy_result_figure(result(Validation(free_occupancies=tuple(free))), "298K"))
    for values in (*VALUES.values(), *FREE.values()):
        assert any(np.allclose(np.sort(values), np.sort(found)) for found in drawn), values


def test_without_them_the_provider_is_alone():
    drawn = heights(occupancy_result_figure(result(Validation()), "298K"))
    assert any(np.allclose(found, VALUES["I1"]) for found in drawn)
    assert not any(found.max() == pytest.approx(0.95) for found in drawn)
