"""Curvature by differences for all reflections at once, against differences of the summed gradient."""

import numpy as np
import pytest

from tests.unit.refinement.small_series import provider, series
from torchref_kinetic_plugin.refinement.curvature import full_curvature, scale_curvature
from torchref_kinetic_plugin.refinement.experiment import Nuisances
from torchref_kinetic_plugin.refinement.fit_state import FitState
from torchref_kinetic_plugin.refinement.quadratic import score_rows


@pytest.fixture(scope="module", params=[0.0, 0.2])
def case(request):
    model = series(noise=0.2, d_min=5.0, missing=request.param)
    return model, provider()()[0].detach()


def gradient(model, occupancies, nuisances=None):
    rows = score_rows(model, model.evaluate(occupancies, nuisances))
    return np.concatenate([each.sum(0).numpy() for each in rows])


def test_columns_are_those_of_differences_of_the_gradient(case):
    model, occupancies = case
    found = full_curvature(model, occupancies)
    whole = np.block([[found.occupancies, found.coupling], [found.coupling.T, found.scales]])
    n = occupancies.shape[1]
    for k, t in ((0, 0), (1, 3), (2, 5)):
        ahead, behind = occupancies.clone(), occupancies.clone()
        ahead[k, t] += 1e-4
        behind[k, t] -= 1e-4
        column = (gradient(model, behind) - gradient(model, ahead)) / 2e-4
        np.testing.assert_allclose(whole[:, k * n + t], column, atol=1e-3 * np.abs(column).max())
    size = model.nuisances.scale.shape[1]
    for t, i in ((0, 0), (4, 0), (6, 2)):
        columns = []
        for step in (-1e-4, 1e-4):
            scale = model.nuisances.scale.copy()
            scale[t, i] += step
            moved = Nuisances(scale, model.nuisances.error, model.nuisances.inflation)
            columns.append(gradient(model, occupancies, moved))
        column = (columns[0] - columns[1]) / 2e-4
        place = occupancies.numel() + t * size + i
        np.testing.assert_allclose(whole[:, place], column, atol=1e-3 * np.abs(column).max())


def test_that_of_the_scales_alone_is_the_same(case):
    model, occupancies = case
    np.testing.assert_allclose(scale_curvature(model, occupancies), full_curvature(model, occupancies).scales)


def test_with_the_curvature_a_fit_needs_few_steps():
    """With error model held, at the best point of the scales and parameters within a few Newton steps."""
    model, occupancies = series(5, noise=0.2, d_min=4.0), provider()
    fit = FitState([model], occupancies, refine_provider=True, refine_scale=True, refine_errors=False)
    fit.begin()
    for _ in range(3):
        fit.step(fit.proposal(1, 1))
    fit.take_curvature()
    assert not fit.trusts_curvature
    gains = []
    for _ in range(4):
        proposal = fit.proposal(1, 1)
        gains.append(proposal.gain)
        assert fit.step(proposal) <= 1 or proposal.gain < 1e-4
    assert gains[-1] < 1e-3
