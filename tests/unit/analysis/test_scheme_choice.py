"""The choice among schemes: paired differences, ranking, ties in words, nested schemes."""

import math

import numpy as np
import pytest

from tests.unit.analysis.even_series import THREE, even_series
from tests.unit.refinement.small_series import provider
from torchref_kinetic_plugin.analysis.nested_schemes import likelihood_ratios, nested
from torchref_kinetic_plugin.analysis.scheme_choice import (
    Candidate,
    Entry,
    choice_remarks,
    fit_candidates,
    held_out_timepoints,
    ranked,
    standard_error_of_sum,
)
from torchref_kinetic_plugin.analysis.variants import without
from torchref_kinetic_plugin.errors import InputError

PARALLEL = {
    "scheme": "A->B,A->C,B->A,C->A",
    "rate_constants": {"A->B": "inf", "A->C": "inf"},
    "efficiencies": {"A->B": 0.2, "A->C": 0.1},
    "refine_efficiencies": ["A->B", "A->C"],
}
FEWER = {"scheme": "A->B,B->C", "rate_constants": {"A->B": "inf"}}
TIMES = (*THREE, 3e-5)


@pytest.fixture(scope="module")
def candidates():
    """The right scheme, a parallel one, and one without a way back, on one series."""
    data = even_series(7, times=TIMES, noise=0.05, d_min=4.0)
    schemes = {"right": {}, "parallel": PARALLEL, "fewer": FEWER}
    return fit_candidates(
        [Entry(name, [without(data, [])], provider(times=TIMES, **changes), 1) for name, changes in schemes.items()]
    )


def test_the_standard_error_of_a_sum():
    sums = np.random.default_rng(1).gamma(2.0, size=(3000, 200))
    found = np.array([standard_error_of_sum(row) for row in sums])
    assert found.mean() == pytest.approx(sums.sum(axis=1).std(), rel=0.05)
    assert standard_error_of_sum(np.array([1.0, 2.0, 4.0])) == pytest.approx(math.sqrt(7.0))


def test_the_right_scheme_is_first_and_the_others_are_told_apart(candidates):
    compared = ranked(candidates)
    assert compared[0].name == "right"
    assert (compared[0].difference, compared[0].tied) == (0.0, True)
    assert compared[0].std_error == pytest.approx(0.0, abs=1e-9)
    assert not any(each.tied for each in compared[1:])
    timepoints = held_out_timepoints(candidates)
    by_name = {each.name: each.over(timepoints) for each in candidates}
    (best, moves), (worst, other_moves) = by_name["right"], by_name[compared[-1].name]
    spread = best + moves - worst - other_moves
    assert compared[-1].std_error == pytest.approx(math.sqrt(len(spread)) * spread.std(ddof=1))
    assert compared[-1].difference == pytest.approx(worst.sum() - best.sum())
    assert compared[0].held_out == pytest.approx(best.sum())
    first, second = choice_remarks(compared)
    assert first == "right says best what is measured at timepoints left out"
    assert second.startswith("worse by more than two standard errors: ")


def test_criteria_count_provider_and_scales(candidates):
    by_name = {each.name: each for each in ranked(candidates)}
    right, fewer = by_name["right"], by_name["fewer"]
    scales = candidates[0].models[0].nuisances.scale.size
    assert (right.n_parameters, fewer.n_parameters) == (3 + scales, 2 + scales)
    k, n = right.n_parameters, right.n_observations
    assert right.aicc == pytest.approx(2 * k - 2 * right.log_likelihood_work + 2 * k * (k + 1) / (n - k - 1))
    assert right.bic == pytest.approx(k * math.log(n) - 2 * right.log_likelihood_work)
    assert n == int((candidates[0].models[0].data.grid.mask & ~candidates[0].models[0].data.grid.free).sum())


def test_all_have_one_error_model(candidates):
    first, *others = (each.models[0].nuisances for each in candidates)
    for other in others:
        np.testing.assert_array_equal(other.error, first.error)
        np.testing.assert_array_equal(other.inflation, first.inflation)


def test_nested_schemes_and_their_ratio(candidates):
    right, parallel, fewer = candidates
    assert nested(fewer, right)
    assert not nested(right, fewer)
    assert not nested(right, parallel)
    assert not nested(parallel, right)
    (ratio,) = likelihood_ratios(candidates)
    assert (ratio.smaller, ratio.larger, ratio.freedom) == ("fewer", "right", 1)
    assert ratio.statistic == pytest.approx(2.0 * (right.work - fewer.work))
    assert ratio.p_value < 1e-3


def fake(name, values):
    """A candidate of which only the prediction counts."""
    return Candidate(name, (), None, 2, 100, -1.0, -1.0, True, {(0, 1): values}, ())


def test_timepoints_that_one_does_not_predict_are_left_out_for_all():
    one, other = fake("one", np.zeros(3)), fake("other", np.zeros(3))
    other.held_out[0, 2] = np.ones(3)
    assert held_out_timepoints([one, other]) == [(0, 1)]
    del other.held_out[0, 1]
    with pytest.raises(InputError, match="no timepoint is predicted by all"):
        held_out_timepoints([one, other])


def test_the_same_scheme_twice_is_tied_and_said_so(candidates):
    twin = candidates[0]
    compared = ranked([twin, Candidate(**{**twin.__dict__, "name": "twin"})])
    assert [each.name for each in compared] == ["right", "twin"]
    assert compared[1].tied
    (remark,) = choice_remarks(compared)
    assert "cannot be told apart" in remark
    assert "right; twin (lower by" in remark
