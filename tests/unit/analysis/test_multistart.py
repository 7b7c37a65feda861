"""Starts by their number, where fits from them end, minima told apart."""

import numpy as np
import pytest

from tests.unit.refinement.small_series import TIMES, TRUE, five_times_off, provider, series
from torchref_kinetic_plugin.analysis.multistart import fit_from_start, minima_of
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics


@pytest.fixture(scope="module")
def fitted():
    model = series(noise=0.06, d_min=4.0)
    fit_kinetics([model], provider(), n_starts=1)
    return model


@pytest.fixture(scope="module")
def fits(fitted):
    return [fit_from_start([fitted], five_times_off(), number, seed=1) for number in range(4)]


def test_starts_end_in_one_minimum_but_that_where_a_state_is_never_seen(fits):
    """The third start has C decay ten times before the first delay: there its rate runs to infinity."""
    assert all(fit.converged for fit in fits)
    blind = fits[2]
    assert blind.start["298K", "rate_constant", "C->A"] > 5e7
    assert blind.values["298K", "rate_constant", "C->A"] > 1e9
    others = [fits[number] for number in (0, 1, 3)]
    objectives = [fit.objective for fit in others]
    assert max(objectives) - min(objectives) < 0.05
    assert blind.objective > max(objectives) + 100.0
    for fit in others:
        for kind, name in (("rate_constant", "B->C"), ("rate_constant", "C->A"), ("efficiency", "A->B")):
            assert fit.values["298K", kind, name] == pytest.approx(TRUE[name], rel=0.1)


def test_the_first_start_is_that_of_the_file_and_the_others_are_drawn_where_delays_can_see(fits):
    rates = [
        [fit.start["298K", "rate_constant", name] for name in ("B->C", "C->A")]
        + [fit.start["298K", "efficiency", "A->B"]]
        for fit in fits
    ]
    np.testing.assert_allclose(rates[0], [4e5, 2.5e5, 0.5], rtol=1e-9)
    drawn = np.array(rates[1:])
    assert len(np.unique(drawn)) == drawn.size
    assert (drawn[:, :2] >= 1.0 / TIMES[-1]).all()
    assert (drawn[:, :2] <= 1.0 / TIMES[0]).all()
    assert ((drawn[:, 2] > 0.0) & (drawn[:, 2] < 1.0)).all()


def test_a_start_is_what_its_number_says(fitted, fits):
    nuisances = fitted.nuisances
    again = fit_from_start([fitted], five_times_off(), 2, seed=1)
    assert again == fits[2]
    assert fitted.nuisances is nuisances
    assert fit_from_start([fitted], five_times_off(), 2, seed=3).start != again.start


def test_minima_are_told_apart_by_a_tenth():
    assert minima_of([-5.0, -4.97, -4.91, -4.89, -4.5, -4.41]) == [1, 1, 1, 2, 3, 3]
