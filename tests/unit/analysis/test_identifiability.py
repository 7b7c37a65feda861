"""Expected errors before a fit: against formulas, against the scatter of refits; what is left open, in words."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.unit.refinement.small_series import NAMES, SCHEME, TIMES, provider, series
from torchref_kinetic_plugin.analysis.expected import expected_information, settled_at_free_occupancies
from torchref_kinetic_plugin.analysis.identifiability import analyse_identifiability
from torchref_kinetic_plugin.analysis.quantities import IndependentQuantities, refined_quantities
from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.plugins import ExperimentSchedule, PluginManager
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics

LN = np.log


def model_at(occupancies, *, d_min=5.0, noise=0.1):
    """A series whose truth is what the provider has now."""
    return series(noise=noise, d_min=d_min, occupancies=occupancies()[0].detach().numpy())


def analysed(occupancies, model=None, **options):
    found = analyse_identifiability([model or model_at(occupancies)], occupancies, NAMES, **options)
    return {each.name: each for each in found.expected}, found


def built(changes, structures, experiments=("298K",)):
    """A provider with other structures, or at several temperatures."""
    manager = PluginManager(builtin_only=True)
    settings = manager.provider("kinetics").read_settings(SCHEME | changes)
    schedules = [ExperimentSchedule(name, TIMES, "ns", float(name[:-1])) for name in experiments]
    return manager.build("kinetics", settings, schedules, structures, 1)


def two_exponentials(ln_fast, ln_slow, logit):
    """Occupancies (3, N) of A->B (a flash), B->C, C->A*, written out."""
    fast, slow, eta = math.exp(ln_fast), math.exp(ln_slow), 1.0 / (1.0 + math.exp(-logit))
    t = np.array(TIMES)
    b = eta * np.exp(-fast * t)
    c = eta * fast / (slow - fast) * (np.exp(-fast * t) - np.exp(-slow * t))
    return np.stack([1.0 - b - c, b, c])


def test_information_about_two_exponentials_is_that_of_the_formula():
    """Occupancies with independent errors of 0.01: J^T J / 0.01^2 of the written-out solution."""
    occupancies = provider()
    here = np.array([LN(2e6), LN(5e4), LN(0.3 / 0.7)])
    steps = 1e-5 * np.eye(3)
    slopes = np.array([two_exponentials(*(here + step)) - two_exponentials(*(here - step)) for step in steps])
    slopes = slopes.reshape(3, -1) / 2e-5
    expected = slopes @ slopes.T / 0.01**2
    found = refined_quantities([model_at(occupancies)], occupancies)
    assert [each.label for each in found] == ["k(B->C)", "k(C->A)", "efficiency(A->B)"]
    independent = IndependentQuantities(found)
    ((_, jacobian),) = SecondOrderFit(list(occupancies.modules_by_experiment), []).jacobians()
    information = independent.information((jacobian.T @ jacobian).numpy() / 0.01**2)
    np.testing.assert_allclose(information, expected, rtol=1e-6)


def test_expected_information_is_that_of_independent_intensities_without_an_error_of_the_model():
    """Then I ~ N(k^2 |G|^2, sigma^2), and the information about occupancies is a sum of squared slopes."""
    occupancies = provider()
    model = model_at(occupancies, d_min=3.5)
    model.nuisances.error[:] = [math.log(1e-3), 0.0, 0.0]
    values, slopes = SecondOrderFit(list(occupancies.modules_by_experiment), []).jacobians()[0]
    first, work = model.data.n_fixed, model.work
    mixture = model.mixture(model.with_references(values))[first:, work].numpy()
    parts, scale = model.components[:, work].numpy(), np.exp(2.0 * model.log_scale()[first:, work].numpy())
    rows = 2.0 * scale * (mixture.conj() * parts[:, np.newaxis]).real / model.data.grid.intensity_sigma[first:, work]
    expected = np.zeros((3, 3))
    by_parameter = slopes.numpy().reshape(3, len(TIMES), 3)
    for timepoint in range(len(TIMES)):
        g = rows[:, timepoint].T @ by_parameter[:, timepoint]
        expected += g.T @ g
    found = expected_information([model], occupancies, refine_scale=False, seed=3, n_draws=40)
    assert found.monte_carlo < 0.04
    errors, true = (np.sqrt(np.diag(np.linalg.inv(each))) for each in (found.data, expected))
    np.testing.assert_allclose(errors, true, rtol=3.0 * found.monte_carlo)


def test_errors_come_in_public_units_and_models_stay_as_they_are():
    occupancies = provider()
    model = model_at(occupancies)
    before = model.nuisances.copy()
    found, identifiability = analysed(occupancies, model)
    assert not identifiability.weak
    rate, eta = found["B->C"], found["A->B"]
    assert (rate.kind, rate.unit, rate.value) == ("rate_constant", "1/s", pytest.approx(2e6))
    assert rate.std_error == pytest.approx(rate.std_error_ln * 2e6)
    assert 0.01 < rate.std_error_ln < 0.2
    assert eta.std_error == pytest.approx(0.3 * eta.std_error_ln)
    assert sum(identifiability.spectrum) == pytest.approx(3.0)
    assert list(identifiability.spectrum) == sorted(identifiability.spectrum, reverse=True)
    np.testing.assert_array_equal(model.nuisances.error, before.error)
    np.testing.assert_array_equal(model.nuisances.scale, before.scale)
    assert [each.value for each in refined_quantities([model], occupancies)] == [e.value for e in found.values()]
    again = analyse_identifiability([model], occupancies, NAMES)
    assert again == identifiability


def test_noise_is_that_of_the_data_whatever_the_rates_start_from():
    """At rates five times off their misfit would pass for noise."""
    model = series(noise=0.1, d_min=4.0)
    settled = settled_at_free_occupancies([model], refine_scale=True, seed=1)[0]
    fitted = series(noise=0.1, d_min=4.0)
    fit_kinetics([fitted], provider(), n_starts=1)
    there, true = (each.log_inflation()[:, each.work].mean(1) for each in (settled, fitted))
    torch.testing.assert_close(there, true, atol=0.1, rtol=0.0)


LATE = {"A->B": "inf", "B->C": "1/(500 ns)", "C->A": "1/(20 ms)"}


def test_a_rate_far_beyond_the_last_delay():
    found, identifiability = analysed(provider(rate_constants=LATE))
    assert identifiability.weak == ("k(C->A): no delay beyond its time constant (20.0 ms; the last delay is 100 us)",)
    assert found["C->A"].std_error_ln == math.inf == found["C->A"].std_error
    assert found["B->C"].std_error_ln < 0.2


def test_a_rate_faster_than_the_first_delay():
    rates = {"A->B": "inf", "B->C": "1/(0.5 ns)", "C->A": "1/(20 us)"}
    found, identifiability = analysed(provider(rate_constants=rates))
    assert identifiability.weak == (
        "k(B->C): its time constant is shorter than the first delay (500 ps; the first delay is 10.0 ns)",
    )
    assert found["B->C"].std_error_ln == math.inf


def test_a_state_that_is_never_populated():
    rates = {"A->B": "inf", "B->C": "1/(5 ms)", "C->A": "1/(200 ns)"}
    _, identifiability = analysed(provider(rate_constants=rates))
    assert "k(C->A): C is never populated by more than 2 % at these delays" in identifiability.weak


def test_what_only_a_prior_determines():
    prior = {"rate_prior_weight": {"C->A": 1.0}, "rate_prior_mean": "1/(20 d)", "rate_prior_std": 0.7}
    found, identifiability = analysed(
        provider(rate_constants=LATE | {"C->A": "1/(20 d)"}, regularization=prior),
    )
    assert identifiability.weak == (
        "only the prior determines k(C->A): no delay beyond its time constant (1.73e+06 s; the last delay is 100 us)",
    )
    assert found["C->A"].std_error_ln == pytest.approx(0.7, rel=1e-3)


#: B looks like the dark state, so that the yields of two steps show as one number.
HIDDEN = {
    "scheme": "A->B,B->C,C->D,D->A",
    "state_mapping": {"A": "dark", "B": "dark", "C": "I1", "D": "I2"},
    "rate_constants": {"A->B": "inf", "B->C": "1/(500 ns)", "C->D": "1/(2 us)", "D->A": "1/(20 us)"},
}


def test_two_yields_of_which_only_the_product_shows():
    occupancies = provider(**HIDDEN, efficiencies={"A->B": 0.3, "B->C": 0.6}, refine_efficiencies=["A->B", "B->C"])
    found, identifiability = analysed(occupancies)
    assert identifiability.weak == ("efficiency(A->B) and efficiency(B->C): only their product is determined",)
    assert [each.std_error for each in found.values()].count(math.inf) == 2
    assert identifiability.spectrum[-1] == pytest.approx(0.0, abs=1e-9)


def test_activation_and_a_later_yield():
    occupancies = provider(
        **HIDDEN,
        efficiencies={"B->C": 0.6},
        refine_efficiencies=["B->C"],
        activation=0.4,
        refine_activation=True,
    )
    _, identifiability = analysed(occupancies)
    assert identifiability.weak == ("efficiency(B->C) and activation: only their product is determined",)


def test_three_parameters_of_which_two_combinations_show():
    occupancies = provider(
        scheme="A->B,A->C,B->A,C->A",
        rate_constants={"A->B": "inf", "A->C": "inf", "B->A": "1/(500 ns)", "C->A": "1/(20 us)"},
        efficiencies={"A->B": 0.3, "A->C": 0.2},
        activation=0.5,
        refine_activation=True,
        refine_efficiencies=["A->B", "A->C"],
    )
    _, identifiability = analysed(occupancies)
    assert identifiability.weak == (
        "efficiency(A->B), efficiency(A->C) and activation: only 2 combinations of them are determined",
    )


def test_rates_that_may_swap():
    """Two states of one structure: what is seen of them is symmetric in the two rate constants."""
    occupancies = built({"state_mapping": {"A": "dark", "B": "I1", "C": "I1"}}, NAMES[:2])
    model = series(noise=0.1, d_min=5.0)
    two = ExperimentModel(
        model.data, model.components[:2], model.base_log_scale.numpy(), model.reference_occupancies[:2]
    )
    found = analyse_identifiability([two], occupancies, NAMES[:2])
    (swap,) = (text for text in found.weak if "swap" in text)
    assert swap.startswith("k(B->C) and k(C->A) may swap: exchanged, and all else refined, the data fit as well")
    assert swap.endswith("(expected loss of log-likelihood 0.0)")


PARALLEL = {
    "scheme": "A->B,A->C,B->A,C->A",
    "rate_constants": {"A->B": "inf", "A->C": "inf", "B->A": "1/(500 ns)", "C->A": "1/(20 us)"},
    "efficiencies": {"A->B": 0.3, "A->C": 0.2},
    "refine_efficiencies": ["A->B", "A->C"],
}


def test_structures_may_swap_where_they_are_refined_and_only_there():
    occupancies = provider(**PARALLEL)
    assert not analysed(occupancies)[1].weak
    (text,) = analysed(occupancies, structures_refined=True)[1].weak
    assert text.startswith("I1 and I2 may swap: with their rate constants exchanged they have the same occupancies")


def test_structures_of_a_sequence_do_not_swap():
    assert not analysed(provider(), structures_refined=True)[1].weak


def test_structures_that_are_alike():
    model = series(noise=0.1, d_min=5.0)
    dark, first, second = model.components
    model.components[2] = dark + 0.9 * (first - dark) + 0.05 * (second - dark)
    occupancies = provider("unrestrained")
    found, identifiability = analysed(occupancies, model)
    assert len(found) == 12
    assert found["I1 at t0"].kind == "occupancy"
    (text,) = identifiability.weak
    assert text.startswith("occupancies of I1 and I2: the structures' differences from dark are alike (correlation 1.0")
    model.components[2] = dark + 1e-3 * (second - dark)
    assert any(
        text.startswith("I2 differs too little from dark: the expected standard error of its occupancy at one delay is")
        for text in analysed(occupancies, model)[1].weak
    )


def test_without_parameters_there_is_nothing_to_analyse():
    occupancies = provider("fixed", occupancies={"298K": {"I1": 0.1, "I2": 0.2}})
    assert analyse_identifiability([series(d_min=5.0)], occupancies, NAMES) is None


def test_rate_laws_are_told_by_gibbs_energy_and_enthalpy():
    names = ("280K", "320K")
    occupancies = built({"rate_law": "eyring"}, NAMES, names)
    models = []
    for name, values in zip(names, occupancies(), strict=True):
        model = series(noise=0.1, d_min=5.0, name=name, occupancies=values.detach().numpy())
        models.append(model)
    quantities = refined_quantities(models, occupancies)
    independent = IndependentQuantities(quantities)
    assert [each.label for each in independent.quantities] == [
        "280K: efficiency(A->B)",
        "320K: efficiency(A->B)",
        "activation enthalpy(B->C)",
        "Gibbs energy of activation(B->C)",
        "activation enthalpy(C->A)",
        "Gibbs energy of activation(C->A)",
    ]
    # What follows from them has the error that follows: E_a = enthalpy + R T.
    found = {(e.kind, e.name): e for e in analyse_identifiability(models, occupancies, NAMES).expected}
    energy, enthalpy = found["activation_energy", "B->C"], found["activation_enthalpy", "B->C"]
    assert energy.std_error == pytest.approx(enthalpy.std_error)
    assert energy.std_error_ln is None


def test_more_noise_means_larger_errors():
    occupancies = provider()
    model = model_at(occupancies)
    grid = model.data.grid
    worse = ExperimentModel(
        replace(model.data, grid=replace(grid, intensity_sigma=3.0 * grid.intensity_sigma)),
        model.components,
        model.base_log_scale.numpy(),
        model.reference_occupancies,
    )
    worse.nuisances = model.nuisances.copy()
    one, other = (
        expected_information([each], occupancies, refine_scale=False, seed=1, n_draws=8).data for each in (model, worse)
    )
    assert (np.linalg.eigvalsh(one - other) > 0.0).all()
