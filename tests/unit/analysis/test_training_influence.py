"""Influence of a reflection on a prediction, against fits without it."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.analysis.even_series import even_series
from tests.unit.refinement.small_series import provider
from torchref_kinetic_plugin.analysis.training_influence import GivenOthers, training_influence
from torchref_kinetic_plugin.analysis.variants import without
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics


def lacking(model, row):
    """The model, one reflection of which nobody measured."""
    grid = model.data.grid
    gone = {name: getattr(grid, name).copy() for name in ("amplitude", "sigma", "intensity", "intensity_sigma")}
    for values in gone.values():
        values[:, row] = np.nan
    data = replace(model.data, grid=replace(grid, **gone))
    other = ExperimentModel(data, model.components, model.base_log_scale.numpy(), model.reference_occupancies)
    other.nuisances, other.strength = model.nuisances.copy(), model.strength.clone()
    return other


def refit(model, occupancies):
    """A fit ends where 0.01 of the likelihood is left, which is as much as a reflection is worth: fit on from there."""
    for _ in range(4):
        fit = fit_kinetics([model], occupancies, n_starts=1, refine_errors=False)
    return fit


@pytest.fixture(scope="module")
def predicted():
    model, occupancies = even_series(4), provider()
    less = without(model, ["t2"])
    fit = refit(less, occupancies)
    given = GivenOthers.at(model, less, occupancies()[0])
    return model, less, occupancies, given, training_influence([less], occupancies, fit.evaluations, 0, given)


def test_gradients_are_those_of_the_likelihood_given_the_others(predicted):
    model, less, occupancies, given, _ = predicted
    values = occupancies()[0].detach()
    for row, column in ((1, 0), (2, 1)):
        ends = []
        for step in (1e-5, -1e-5):
            moved = values.clone()
            moved[row, column] += step
            ends.append(GivenOthers.at(model, less, moved).log_likelihood.sum())
        slope = (ends[0] - ends[1]) / 2e-5
        assert given.by_occupancies.reshape(3, 6)[row, column] == pytest.approx(slope, rel=1e-4, abs=1e-3)


def test_influences_sum_to_none_and_free_reflections_have_none(predicted):
    model, *_, (influence,) = predicted
    assert not influence[model.free].any()
    assert abs(influence.sum()) < 0.02 * np.sqrt((influence**2).sum())


def test_fits_without_a_reflection_move_the_prediction_as_its_influence_says(predicted):
    model, less, occupancies, given, (influence,) = predicted
    rows = np.argsort(-np.abs(influence))[20:60:2]
    found = []
    for row in rows:
        again = provider()
        again.load_state_dict(occupancies.state_dict())
        fewer = lacking(less, row)
        refit(fewer, again)
        moved = less.nuisances
        less.nuisances = fewer.nuisances
        found.append(given.log_likelihood.sum() - GivenOthers.at(model, less, again()[0]).log_likelihood.sum())
        less.nuisances = moved
    # To first order, and with products of scores for the curvature, which equal it in expectation only.
    expected = influence[rows]
    assert np.corrcoef(expected, found)[0, 1] > 0.9
    assert expected @ found / (expected @ expected) == pytest.approx(0.85, abs=0.2)
