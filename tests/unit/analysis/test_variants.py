"""A model with other data: what is gone, what is drawn again, what the likelihood itself would measure."""

import numpy as np
import pytest
import torch
from scipy import stats

from tests.unit.refinement.small_series import provider, series
from torchref_kinetic_plugin.analysis.variants import drawn, resampled, without
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics


@pytest.fixture(scope="module")
def fitted():
    model, occupancies = series(noise=0.1), provider()
    fit_kinetics([model], occupancies, n_starts=1)
    return model, occupancies()[0].detach()


def scores(model, occupancies):
    return model.evaluate(occupancies).scores.log_likelihood.cpu().numpy()


def test_without_a_dataset_the_likelihood_is_that_of_the_others(fitted):
    model, occupancies = fitted
    name = model.data.datasets[-1]
    less = without(model, [name])
    assert not less.likelihood.present[-1].any()
    np.testing.assert_array_equal(less.likelihood.present[:-1], model.likelihood.present[:-1])
    # What the dataset's occupancies are does not matter any more.
    other = occupancies.clone()
    other[:, -1] = torch.tensor([0.1, 0.2, 0.7])
    np.testing.assert_allclose(scores(less, other), scores(less, occupancies), rtol=1e-12)
    assert not np.allclose(scores(model, other), scores(model, occupancies))


def test_resampled_reflections_count_as_often_as_they_were_drawn(fitted):
    model, occupancies = fitted
    again = resampled(model, np.random.default_rng(3))
    keys = {tuple(hkl): row for row, hkl in enumerate(model.data.grid.hkl.tolist())}
    chosen = np.array([keys[tuple(hkl)] for hkl in again.data.grid.hkl.tolist()])
    np.testing.assert_allclose(scores(again, occupancies), scores(model, occupancies)[chosen], rtol=1e-9)
    assert again.free.sum() == model.free.sum()
    assert again.work.sum() == model.work.sum()
    # 1 - 1/e of them are drawn at least once.
    assert 0.60 < len(np.unique(chosen)) / len(chosen) < 0.66
    # Within shells: the distribution of resolutions stays.
    assert stats.ks_2samp(again.data.grid.resolution, model.data.grid.resolution).statistic < 0.02


def test_drawn_data_have_scores_of_mean_zero_and_are_as_likely_as_data_are(fitted):
    model, occupancies = fitted
    evaluations = [
        drawn(model, occupancies, np.random.default_rng(100 + seed)).evaluate(occupancies).scores for seed in range(4)
    ]
    seen = model.likelihood.present.numpy()
    for name in ("log_scale", "log_inflation"):
        values = np.concatenate([getattr(each, name).numpy()[seen] for each in evaluations])
        assert abs(values.mean()) < 4.0 * values.std() / np.sqrt(len(values)), name
    force = np.concatenate([each.mixture.numpy().ravel() for each in evaluations])
    for part in (force.real, force.imag):
        assert abs(part.mean()) < 4.0 * part.std() / np.sqrt(len(part))
    in_error = np.concatenate([each.log_error_variance.numpy() for each in evaluations])
    assert abs(in_error.mean()) < 4.0 * in_error.std() / np.sqrt(len(in_error))
    # The series was made by the simulation, which shares no code with this: its likelihood lies among those of draws.
    totals = [float(each.log_likelihood.sum()) for each in evaluations]
    spread = float(evaluations[0].log_likelihood.std()) * np.sqrt(len(model.data.grid.hkl))
    assert abs(np.mean(totals) - scores(model, occupancies).sum()) < 4.0 * spread


def test_drawn_data_lead_back_to_the_rates_they_were_drawn_at(fitted):
    model, occupancies = fitted
    again = provider()
    fit_kinetics([drawn(model, occupancies, np.random.default_rng(11))], again, n_starts=1)
    np.testing.assert_allclose(again()[0].detach().numpy(), occupancies.numpy(), atol=0.03)
