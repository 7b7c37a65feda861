"""Correlations after a fit; errors that the scatter of the reflections bears out, or does not."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.refinement.small_series import NAMES, provider, series
from torchref_kinetic_plugin.analysis.correlations import correlation_remarks, correlations
from torchref_kinetic_plugin.analysis.scatter import scatter_of_scores
from torchref_kinetic_plugin.analysis.variants import drawn
from torchref_kinetic_plugin.refinement.estimates import ProviderParameters
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel
from torchref_kinetic_plugin.refinement.joint_uncertainty import _Scatter
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.refinement.uncertainty import estimate_uncertainty
from torchref_kinetic_plugin.results import Correlations


@pytest.fixture(scope="module")
def fitted():
    model, occupancies = series(noise=0.1), provider()
    fit_kinetics([model], occupancies, n_starts=1)
    return model, occupancies, estimate_uncertainty([model], occupancies)


def with_sigmas(model, factor):
    """The model with other sigmas, all else as it is."""
    grid = replace(model.data.grid, intensity_sigma=factor * model.data.grid.intensity_sigma)
    other = ExperimentModel(
        replace(model.data, grid=grid),
        model.components,
        model.base_log_scale.numpy(),
        model.reference_occupancies,
    )
    other.nuisances, other.strength = model.nuisances.copy(), model.strength.clone()
    return other


def test_matrix_and_errors_are_those_of_the_covariance(fitted):
    model, occupancies, uncertainty = fitted
    found = correlations([model], occupancies, uncertainty)
    assert found.labels == ("k(B->C)", "k(C->A)", "efficiency(A->B)")
    size = np.sqrt(np.diag(uncertainty.covariance))
    # The raw parameters are ln k and logit of the yield.
    np.testing.assert_allclose(found.matrix, uncertainty.covariance / np.outer(size, size), atol=1e-9)
    np.testing.assert_allclose(found.std_errors, size, rtol=1e-9)
    parameters = ProviderParameters(occupancies)
    estimates = {e.name: e for e in parameters.estimates(uncertainty, parameters.values()) if e.refined}
    assert found.std_errors[0] == pytest.approx(estimates["B->C"].std_error_ln)
    eta = estimates["A->B"]
    assert found.std_errors[2] == pytest.approx(eta.std_error / (eta.value * (1.0 - eta.value)))
    again = correlations([model], occupancies, uncertainty)
    assert again == found


def test_products_of_scores_are_what_the_model_expects_where_data_are_its_own(fitted):
    """Of twelve draws: J over H, as the mean of its generalized eigenvalues, is 1 within the scatter of the draws."""
    model, occupancies, _ = fitted
    values = occupancies()[0].detach()
    found = [
        scatter_of_scores([drawn(model, values, np.random.default_rng([3, seed]))], occupancies, seed=seed, n_draws=4)
        for seed in range(12)
    ]
    expected = np.mean([each.information for each in found], axis=0)
    ratios = [np.trace(np.linalg.solve(expected, each.products)) / 3.0 for each in found]
    error = np.std(ratios, ddof=1) / np.sqrt(12)
    assert error < 0.07
    # What is expected is known to half of that, from four times as many draws.
    assert abs(np.mean(ratios) - 1.0) < 3.0 * 1.12 * error


def test_the_sandwich_shows_sigmas_that_are_wrong_where_the_signal_is(fitted):
    """Errors five times as large as stated where the structures differ most: sigmas mended on average hide that."""
    model, occupancies, uncertainty = fitted
    difference = (model.components[1] - model.components[0]).abs().numpy()
    factor = np.where(difference > np.quantile(difference, 0.75), 5.0, 1.0)
    data = drawn(with_sigmas(model, factor), occupancies()[0].detach(), np.random.default_rng(5))
    wrong = with_sigmas(data, 1.0 / factor)
    again = provider()
    fit_kinetics([wrong], again, n_starts=1)
    found = correlations([wrong], again, estimate_uncertainty([wrong], again))
    ratios = np.array(found.sandwich) / np.array(found.std_errors)
    assert ratios.max() > 1.5
    remarks = correlation_remarks(found)
    assert remarks
    assert all("times larger by the scatter of the reflections than by the curvature" in text for text in remarks)
    honest = correlations([model], occupancies, uncertainty)
    assert not correlation_remarks(honest)
    np.testing.assert_allclose(np.array(honest.sandwich) / np.array(honest.std_errors), 1.0, atol=0.4)


def test_what_is_not_determined_has_no_correlation():
    times = (1e-8, 3e-8, 1e-7)
    rates = {"A->B": "inf", "B->C": "1/(500 ns)", "C->A": "1/(30000 d)"}
    occupancies = provider(times=times, rate_constants=rates)
    model = series(times=times, noise=0.2, d_min=4.0, occupancies=occupancies()[0].detach().numpy())
    found = correlations([model], occupancies, estimate_uncertainty([model], occupancies))
    blind = found.labels.index("k(C->A)")
    assert found.std_errors[blind] == found.sandwich[blind] == np.inf
    matrix = np.array(found.matrix)
    assert matrix[blind, blind] == 1.0
    assert np.isnan(np.delete(matrix[blind], blind)).all()
    assert np.isfinite(np.delete(np.delete(matrix, blind, 0), blind, 1)).all()


def test_a_prior_counts_in_both():
    times = (1e-8, 3e-8, 1e-7)
    rates = {"A->B": "inf", "B->C": "1/(500 ns)", "C->A": "1/(30000 d)"}
    prior = {"rate_prior_weight": {"C->A": 1.0}, "rate_prior_mean": "1/(30000 d)", "rate_prior_std": 0.7}
    occupancies = provider(times=times, rate_constants=rates, regularization=prior)
    model = series(times=times, noise=0.2, d_min=4.0, occupancies=occupancies()[0].detach().numpy())
    found = correlations([model], occupancies, estimate_uncertainty([model], occupancies))
    place = found.labels.index("k(C->A)")
    assert found.std_errors[place] == pytest.approx(0.7, rel=1e-3)
    assert found.sandwich[place] == pytest.approx(0.7, rel=1e-3)


def test_free_occupancies_have_correlations_too():
    model, occupancies = series(noise=0.1, d_min=4.0), provider("unrestrained")
    fit_kinetics([model], occupancies, n_starts=1)
    uncertainty = estimate_uncertainty([model], occupancies)
    found = correlations([model], occupancies, uncertainty)
    assert len(found.labels) == 12
    assert found.labels[:2] == ("occupancy(I1 at t0)", "occupancy(I2 at t0)")
    # Row of structures, column of timepoints.
    np.testing.assert_allclose(found.std_errors[::2], uncertainty.occupancies[0][1], rtol=1e-6)


def test_without_parameters_there_are_none():
    occupancies = provider("fixed", occupancies={"298K": {"I1": 0.1, "I2": 0.2}})
    model = series(noise=0.2, d_min=5.0)
    assert correlations([model], occupancies, estimate_uncertainty([model], occupancies)) is None
    assert len(NAMES) == len(model.components)


def test_remarks_name_pairs_and_say_how_much():
    found = Correlations(
        ("k(A->B)", "efficiency(A->B)", "k(B->C)"),
        ((1.0, -0.98, 0.2), (-0.98, 1.0, np.nan), (0.2, np.nan, 1.0)),
        (0.1, 0.2, 0.1),
        (0.1, 0.29, 0.16),
    )
    assert correlation_remarks(found) == [
        "k(A->B) and efficiency(A->B) are hardly told apart: their correlation is -0.980",
        "the standard error of k(B->C) is 1.6 times larger by the scatter of the reflections than by the curvature: "
        "sigmas or the model's errors are not what the likelihood takes them for",
    ]


def test_scatter_with_atoms_is_that_of_each_reflection_with_atoms_and_scales_eliminated():
    """Sums of products against the products of combined rows, for two experiments that share the atoms."""
    random = np.random.default_rng(4)
    through_atoms = random.normal(size=(3, 6))
    total = _Scatter(np.zeros((6, 6)), np.zeros((6, 3)), np.zeros((3, 3)))
    expected = np.zeros((3, 3))
    for columns in (np.array([0, 2, 3, 5]), np.arange(6)):
        rows = random.normal(size=(50, len(columns) + 3 + 4))
        through = random.normal(size=(len(columns) + 3, 4))
        total.add(columns, rows.T @ rows, through)
        left = rows[:, : len(columns) + 3] - rows[:, len(columns) + 3 :] @ through.T
        own = left[:, len(columns) :] - left[:, : len(columns)] @ through_atoms[:, columns].T
        expected += own.T @ own
    np.testing.assert_allclose(total.eliminated(through_atoms), expected, rtol=1e-9, atol=1e-9)
