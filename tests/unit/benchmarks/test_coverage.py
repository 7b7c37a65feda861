"""A few draws of the coverage benchmark, and how it counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.coverage import CASES, inside, one_draw, provider, report_determined, report_undetermined, true_model


def small(number: int):
    return replace(CASES[number], d_min=4.5)


def test_a_draw_has_both_intervals_about_the_truth():
    case = small(0)
    estimates, profiles = one_draw(case, true_model(case), 2)
    assert [(each.kind, each.name) for each in profiles] == list(case.asked)
    for each in profiles:
        estimate, true = estimates[each.kind, each.name], case.truth[each.kind, each.name]
        # Four standard errors, and two intervals that are much the same.
        assert abs(np.log(each.value / true)) < 4.0 * estimate.std_error_ln
        assert each.lower is not None
        assert each.upper is not None
        assert np.log(each.upper / each.lower) == pytest.approx(np.log(estimate.upper / estimate.lower), rel=0.3)


def test_the_return_from_a_silent_state_is_called_undetermined_on_both_sides():
    case = small(1)
    _, (found,) = one_draw(case, true_model(case), 1)
    assert (found.lower, found.upper) == (None, None)


def test_a_draw_is_of_the_model():
    """Without an error the intensities of the series are those of its occupancies."""
    case = small(0)
    model = true_model(case)
    amplitude, factor = model.calculated_amplitudes(provider(case)()[0].detach())
    np.testing.assert_allclose((amplitude * factor) ** 2, model.data.grid.intensity, rtol=1e-10)


def test_counting(capsys):
    assert inside([None, None], 3.0)
    assert inside([1.0, None], 3.0)
    assert not inside([None, 2.0], 3.0)
    case = replace(CASES[0], asked=(("rate_constant", "B->C"),))
    rows = [
        {"rate_constant B->C": {"true": 2e6, "covariance": [2e6, 0.1, 1e6, 3e6], "profile": ends}}
        for ends in ([1e6, None], [3e6, 4e6], [1e6, 3e6], [None, 2.5e6])
    ]
    report_determined(rows, case)
    assert "| pooled | | | 100.00 % | 75.00 % |" in capsys.readouterr().out
    report_undetermined(rows, case)
    assert (
        "not determined in 2 of 4 draws (on both sides in 0); the interval holds the truth in 3"
        in capsys.readouterr().out
    )
