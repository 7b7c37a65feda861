"""The second-order form: its sums are derivatives, its information is the curvature, its scales are eliminated."""

import numpy as np
import pytest
import torch

from tests.unit.refinement.small_series import provider, series
from torchref_kinetic_plugin.refinement.quadratic import QuadraticForm, pseudo_inverse, score_rows

STEP = 1e-4


@pytest.fixture(scope="module")
def model():
    made = series(noise=0.2, d_min=4.5)
    made.nuisances.error[:] = np.log(400.0), 0.0, 0.0
    made.nuisances.scale[:, 0] = -0.01
    return made


def truth():
    return provider()()[0].detach()


def work_at(model, occupancies, scale=None):
    nuisances = model.nuisances.copy()
    if scale is not None:
        nuisances.scale = nuisances.scale + scale
    return model.evaluate(occupancies, nuisances).work


def random_form(n_occupancies=(2, 4), n_scales=6, n_rows=80, seed=0, absorbed=False):
    """A form of random scores; where asked, those of the first occupancy are a combination of the scales'."""
    random = np.random.default_rng(seed)
    by_scales = random.standard_normal((n_rows, n_scales))
    by_occupancies = random.standard_normal((n_rows, int(np.prod(n_occupancies))))
    if absorbed:
        by_occupancies[:, 0] = by_scales @ random.standard_normal(n_scales)
    return QuadraticForm(
        np.zeros(n_occupancies),
        by_occupancies.sum(0),
        by_scales.sum(0),
        by_occupancies.T @ by_occupancies,
        by_occupancies.T @ by_scales,
        by_scales.T @ by_scales,
    )


def test_sums_of_scores_are_gradients(model):
    w = truth()
    by_occupancies, by_scales = (rows.sum(0).numpy() for rows in score_rows(model, model.evaluate(w)))
    differences = []
    for place in np.ndindex(*w.shape):
        ahead, behind = w.clone(), w.clone()
        ahead[place] += STEP
        behind[place] -= STEP
        differences.append((work_at(model, ahead) - work_at(model, behind)) / (2.0 * STEP))
    size = np.abs(differences).max()
    np.testing.assert_allclose(by_occupancies, differences, rtol=2e-3, atol=2e-3 * size)
    random = np.random.default_rng(3)
    for _ in range(6):
        direction = random.standard_normal(model.nuisances.scale.shape)
        ahead, behind = (work_at(model, w, sign * STEP * direction) for sign in (1.0, -1.0))
        slope = (ahead - behind) / (2.0 * STEP)
        assert by_scales @ direction.ravel() == pytest.approx(slope, rel=2e-3, abs=2e-3 * np.linalg.norm(by_scales))


def test_free_reflections_have_no_rows(model):
    by_occupancies, by_scales = score_rows(model, model.evaluate(truth()))
    assert len(by_occupancies) == len(by_scales) == model.work.sum() < len(model.work)
    assert by_occupancies.shape[1] == truth().numel()
    assert by_scales.shape[1] == model.nuisances.scale.size


def test_the_information_is_the_curvature_at_the_truth():
    """In expectation it is; here for the directions along which occupancies of one timepoint are exchanged."""
    model = series(noise=0.2)
    model.nuisances.error[:] = np.log(400.0), 0.0, 0.0
    model.nuisances.scale[:, 0] = -0.01
    w = truth()
    form = QuadraticForm.at(model, model.evaluate(w))
    here = work_at(model, w)
    ratios = []
    for timepoint in range(w.shape[1]):
        for other in (1, 2):
            direction = torch.zeros_like(w)
            direction[0, timepoint], direction[other, timepoint] = -1.0, 1.0
            flat = direction.flatten().numpy()
            information = flat @ form.occupancies @ flat
            step = 0.5 / np.sqrt(information)
            pair = work_at(model, w + step * direction) + work_at(model, w - step * direction)
            ratios.append((2.0 * here - pair) / step**2 / information)
    # One direction is seen by a few hundred reflections; over all of them the scatter averages out.
    np.testing.assert_allclose(ratios, 1.0, atol=0.45)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.15)


def test_eliminated_is_the_form_at_the_best_scales():
    form = random_form()
    target = form.eliminated()
    random = np.random.default_rng(1)
    for _ in range(3):
        d = 0.1 * random.standard_normal(form.centre.shape)
        c = form.scale_step(form.centre + d)
        flat = d.ravel()
        whole = form.by_occupancies @ flat + form.by_scales @ c
        whole -= 0.5 * (flat @ form.occupancies @ flat + 2.0 * flat @ form.coupling @ c + c @ form.scales @ c)
        alone = target.gradient.numpy() @ flat - 0.5 * flat @ target.information.numpy() @ flat
        constant = 0.5 * form.by_scales @ np.linalg.solve(form.scales, form.by_scales)
        assert whole == pytest.approx(alone + constant, rel=1e-10)


def test_what_the_scales_absorb_is_not_seen():
    """One rank less, and no force along it; the step of the scales takes it back."""
    form = random_form(absorbed=True)
    target = form.eliminated()
    information = target.information.numpy()
    assert np.linalg.matrix_rank(information, tol=1e-8 * np.linalg.norm(information)) == len(information) - 1
    assert np.abs(information[0]).max() < 1e-10 * np.linalg.norm(information)
    assert abs(float(target.gradient[0])) < 1e-10 * float(target.gradient.norm())
    assert float(random_form().eliminated().information[0, 0]) > 1.0


def test_a_factor_on_all_structures_is_a_scale_where_there_is_no_common_error(model):
    """With it, the factor shows: the error does not grow along."""
    w = truth()
    factor, exchange = torch.zeros_like(w), torch.zeros_like(w)
    factor[:, 2] = w[:, 2]
    exchange[0, 2], exchange[1, 2] = -1.0, 1.0
    seen = {}
    before = model.nuisances.copy()
    for variance in (400.0, 1e-4):
        model.nuisances.error[0] = np.log(variance)
        information = QuadraticForm.at(model, model.evaluate(w)).eliminated().information
        one, other = (float(d.flatten() @ information @ d.flatten()) for d in (factor, exchange))
        seen[variance] = one / other
    model.nuisances = before
    assert seen[1e-4] < 1e-4 < seen[400.0]


def test_a_fraction_of_the_curvature(model):
    form = QuadraticForm.at(model, model.evaluate(truth()))
    half, whole = form.with_curvature(0.5).eliminated(), form.eliminated()
    torch.testing.assert_close(half.information, 0.5 * whole.information)
    torch.testing.assert_close(half.gradient, whole.gradient)
    assert form.with_curvature(1.0) is form


def test_the_pseudo_inverse_inverts_what_is_determined():
    random = np.random.default_rng(2)
    rows = random.standard_normal((30, 5)) * [1e-3, 1.0, 1e3, 1.0, 1.0]
    full = rows.T @ rows
    np.testing.assert_allclose(pseudo_inverse(full) @ full, np.eye(5), atol=1e-9)
    rows[:, 4] = rows[:, 3]
    singular = rows.T @ rows
    inverse = pseudo_inverse(singular)
    np.testing.assert_allclose(singular @ inverse @ singular, singular, rtol=1e-9, atol=1e-9)
    assert np.linalg.matrix_rank(inverse * np.sqrt(np.outer(np.diag(full), np.diag(full)))) == 4
