"""The forward model and its derivatives; what is missing or free counts where it should."""

import numpy as np
import pytest
import torch

from tests.unit.refinement.small_series import NAMES, TIMES, provider, series
from torchref_kinetic_plugin.errors import ShapeError
from torchref_kinetic_plugin.refinement.common_error import Scores
from torchref_kinetic_plugin.refinement.experiment import ExperimentData
from torchref_kinetic_plugin.refinement.quadratic import QuadraticForm, score_rows


@pytest.fixture(scope="module")
def model():
    return series(missing=0.05)


def truth(model):
    return provider(times=model.data.times)()[0].detach()


def test_references_come_first_and_are_dark(model):
    everywhere = model.with_references(truth(model))
    assert everywhere.shape == (3, 1 + len(TIMES))
    torch.testing.assert_close(everywhere[:, 0], torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))
    torch.testing.assert_close(model.mixture(everywhere)[0], model.components[0])


def test_scores_are_derivatives(model):
    """By occupancies, scales and both error models, against differences of the work likelihood."""
    w = truth(model)
    here = model.evaluate(w)
    by_occupancies, by_scales = (rows.sum(0).numpy() for rows in score_rows(model, here))
    step = 1e-4
    for place in ((0, 1), (1, 2), (2, 4)):
        ahead, behind = w.clone(), w.clone()
        ahead[place] += step
        behind[place] -= step
        slope = (model.evaluate(ahead).work - model.evaluate(behind).work) / (2 * step)
        assert by_occupancies.reshape(3, -1)[place] == pytest.approx(slope, rel=2e-3, abs=5.0)
    for place in ((0, 0), (3, 2)):
        pair = []
        for sign in (1, -1):
            nuisances = model.nuisances.copy()
            nuisances.scale[place] += sign * step
            pair.append(model.evaluate(w, nuisances).work)
        slope = (pair[0] - pair[1]) / (2 * step)
        assert by_scales.reshape(len(model.data.datasets), -1)[place] == pytest.approx(slope, rel=2e-3, abs=5.0)
    free = Scores.joined(scores for _, scores in model.free_parts(w))
    by_error = (free.log_error_variance.unsqueeze(1) * model.error_design[model.free_rows]).sum(0).numpy()
    design = model.inflation_design(model.free_rows) * model.likelihood.present[:, model.free_rows].unsqueeze(2)
    by_inflation = (design * free.log_inflation.unsqueeze(2)).sum(1).numpy()
    places = [("error", i, by_error[i]) for i in range(3)]
    places += [("inflation", place, by_inflation[place]) for place in ((0, 0), (3, 1), (6, 2))]
    for kind, place, score in places:
        pair = []
        for sign in (1, -1):
            nuisances = model.nuisances.copy()
            getattr(nuisances, kind)[place] += sign * step
            pair.append(model.evaluate(w, nuisances).free)
        slope = (pair[0] - pair[1]) / (2 * step)
        assert score == pytest.approx(slope, rel=2e-3, abs=0.05), (kind, place)


def test_free_scores_are_those_of_the_whole(model):
    whole = model.evaluate(truth(model)).scores
    part = Scores.joined(scores for _, scores in model.free_parts(truth(model)))
    torch.testing.assert_close(part.log_likelihood, whole.log_likelihood[model.free_rows])
    torch.testing.assert_close(part.log_inflation, whole.log_inflation[:, model.free_rows])


def test_free_reflections_do_not_count_as_work():
    one, other = series(seed=4), series(seed=4)
    other.likelihood.intensities[:, other.free_rows] *= 1.5
    assert one.evaluate(truth(one)).work == pytest.approx(other.evaluate(truth(one)).work, rel=1e-12)
    assert one.evaluate(truth(one)).free != pytest.approx(other.evaluate(truth(one)).free, rel=1e-3)


def test_gaps_lose_no_other_observation():
    times = tuple(np.geomspace(1e-8, 1e-3, 64))
    gaps = series(times=times, missing=0.1, d_min=6.0)
    kept = float(gaps.likelihood.present.double().mean())
    assert 0.89 <= kept <= 0.91
    # An observation taken away changes its own reflection alone.
    before = gaps.evaluate(truth(gaps)).scores.log_likelihood
    place = int(torch.nonzero(gaps.likelihood.present[5])[7])
    gaps.likelihood.present[5, place] = False
    gaps.likelihood.weights[5, place] = 0.0
    changed = torch.nonzero(gaps.evaluate(truth(gaps)).scores.log_likelihood != before).flatten().tolist()
    assert changed == [place]


def test_the_order_of_timepoints_does_not_matter():
    order = [3, 0, 5, 1, 4, 2]
    model = series(seed=6)
    shuffled = series(seed=6)
    rows = torch.tensor([0, *(1 + i for i in order)])
    for name in ("intensities", "weights", "present"):
        setattr(shuffled.likelihood, name, getattr(model.likelihood, name)[rows])
    shuffled.base_log_scale = model.base_log_scale[rows]
    shuffled.strength = model.strength[rows]
    w = truth(model)
    assert shuffled.evaluate(w[:, order]).work == pytest.approx(model.evaluate(w).work, rel=1e-12)


def test_the_quadratic_form_predicts_the_likelihood(model):
    """With the scales that it suggests, a small change of occupancies gains what it says."""
    w = truth(model)
    form = QuadraticForm.at(model, model.evaluate(w))
    target = form.eliminated()
    change = 0.003 * torch.randn(w.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    nuisances = model.nuisances.copy()
    nuisances.scale += form.scale_step((w + change).numpy()).reshape(nuisances.scale.shape)
    still = model.nuisances.copy()
    still.scale += form.scale_step(w.numpy()).reshape(still.scale.shape)
    d = change.flatten()
    said = float(target.gradient @ d - 0.5 * d @ target.information @ d)
    gained = model.evaluate(w + change, nuisances).work - model.evaluate(w, still).work
    assert gained == pytest.approx(said, rel=0.2, abs=0.3)


def test_shapes_are_checked(model):
    with pytest.raises(ShapeError, match="2 names and 1 times for 7 datasets"):
        ExperimentData("x", ("a", "b"), (1.0,), model.data.grid)
    with pytest.raises(ShapeError, match="do not fit data"):
        type(model)(model.data, model.components[:, :5], model.base_log_scale.numpy(), np.eye(3)[0])
    assert len(NAMES) == len(model.components)
