"""The score test: uniform under the scheme, telling where an occupancy is another, and Holm's correction."""

import pytest
import torch
from scipy import stats

from tests.unit.analysis.even_series import THREE, even_series
from tests.unit.refinement.small_series import provider
from torchref_kinetic_plugin.analysis.scheme_tests import holm, scheme_remarks, scheme_tests
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.results import SchemeTest


@pytest.fixture(scope="module")
def exact():
    """The provider at the truth."""
    return provider(times=THREE)


def fitted_tests(data, free=False):
    again = provider("unrestrained", times=THREE) if free else provider(times=THREE)
    fit_kinetics([data], again, n_starts=1)
    return scheme_tests([data], again)


def test_p_values_are_uniform_at_the_parameters_drawn_from(exact):
    """Parameters and scales are eliminated to first order, so that the test is as good there as after a fit."""
    found = [scheme_tests([even_series(500 + number, times=THREE)], exact) for number in range(30)]
    assert all([each.timepoint for each in tests] == ["t0", "t1", "t2"] for tests in found)
    assert {each.freedom for tests in found for each in tests} == {2}
    p_values = [each.p_value for tests in found for each in tests]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    for each in found[0]:
        assert each.p_value == pytest.approx(stats.chi2.sf(each.statistic, 2), rel=1e-12)


def test_p_values_are_uniform_after_a_fit():
    found = [fitted_tests(even_series(900 + number, times=THREE)) for number in range(10)]
    assert stats.kstest([each.p_value for tests in found for each in tests], "uniform").pvalue > 0.01


def test_an_occupancy_that_is_another_is_found_and_named(exact):
    changed = exact()[0].detach().clone()
    changed[:, 1] += torch.tensor([-0.12, 0.12, 0.0])
    tests = fitted_tests(even_series(21, times=THREE, occupancies=changed, noise=0.03))
    assert min(each.p_value for each in tests) < 1e-6
    (remark,) = scheme_remarks(tests)
    assert "298K t1 (p = " in remark
    assert "Holm's correction" in remark


def test_free_occupancies_have_nothing_left_to_be_tested():
    for each in fitted_tests(even_series(3, times=THREE, d_min=4.5), free=True)[:2]:
        assert (each.freedom, each.statistic, each.p_value) == (0, 0.0, 1.0)


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005], 0.05) == [True, False, False, True]
    assert holm([0.04, 0.011], 0.05) == [True, True]
    assert holm([0.026, 0.026], 0.05) == [False, False]
    assert holm([]) == []
    assert scheme_remarks([SchemeTest("298K", "t0", 3.0, 2, 0.22)]) == []
