"""Profiles: against analytic intervals, against refits with the parameter frozen, flat ones, and nothing left behind."""

import copy
import math

import numpy as np
import pytest
import torch

from tests.unit.refinement.small_series import provider, series
from torchref_kinetic_plugin.analysis.coordinates import Coordinate
from torchref_kinetic_plugin.analysis.profile import profiles
from torchref_kinetic_plugin.analysis.ranges import RefinedRanges
from torchref_kinetic_plugin.analysis.tracing import DROP
from torchref_kinetic_plugin.errors import UnknownNameError
from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.refinement.fit_state import FitState
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics, iterate
from torchref_kinetic_plugin.refinement.uncertainty import estimate_uncertainty

EARLY = (1e-8, 3e-8, 1e-7)
UNSEEN = {"A->B": "inf", "B->C": "1/(500 ns)", "C->A": "1/(30000 d)"}


def objective(model, occupancies):
    """The best objective with parameters frozen as they are, error model held."""
    fit = FitState([model], occupancies, refine_provider=True, refine_scale=True, refine_errors=False)
    fit.begin()
    iterate(fit)
    fit.take_curvature()
    assert iterate(fit)[0]
    return fit.objective


def state(model, occupancies):
    """Everything that an analysis could have changed, as bytes."""
    nuisances = model.nuisances
    arrays = [nuisances.scale, nuisances.error, nuisances.inflation, model.strength.numpy()]
    arrays += [each.detach().numpy() for each in occupancies.parameters()]
    return [array.tobytes() for array in arrays], [each.requires_grad for each in occupancies.parameters()]


@pytest.fixture(scope="module")
def fitted():
    """Noisy data, so that profiles are no parabolas."""
    model, occupancies = series(3, noise=0.3, d_min=4.5), provider()
    fit_kinetics([model], occupancies, n_starts=1)
    before = state(model, occupancies)
    found = profiles([model], occupancies)
    return model, occupancies, found, before


def test_nothing_is_changed_to_the_bit(fitted):
    model, occupancies, _, before = fitted
    assert state(model, occupancies) == before


def test_every_refined_parameter_has_a_profile(fitted):
    found = fitted[2]
    assert [(each.kind, each.name) for each in found] == [
        ("rate_constant", "B->C"),
        ("rate_constant", "C->A"),
        ("efficiency", "A->B"),
    ]
    for each in found:
        values = [point.value for point in each.points]
        assert values == sorted(values)
        assert each.lower < each.value < each.upper
        assert min(point.drop for point in each.points) == 0.0
        # About 0.3, 1, 1.92 and 3 on both sides.
        assert sum(2.0 < point.drop < 4.5 for point in each.points) >= 2


def test_ends_are_where_refits_with_the_rate_frozen_have_lost_1_92(fitted):
    model, occupancies, found, _ = fitted
    uncertainty = estimate_uncertainty([model], occupancies)
    remaining = 1.0 - np.diag(uncertainty.by_error_model) / np.diag(uncertainty.covariance)
    shares = dict(zip(("B->C", "C->A", "A->B"), remaining, strict=True))
    for each in found:
        if each.kind != "rate_constant":
            continue
        drops = []
        for value in (each.value, each.lower, each.upper):
            again, held = copy.copy(model), copy.deepcopy(occupancies)
            again.nuisances = model.nuisances.copy()
            kinetics = held.modules_by_experiment[0]
            kinetics.set_rate_constant(each.name, value * 1e-9)
            kinetics.freeze_rates([each.name])
            drops.append(objective(again, held))
        # The error model's own uncertainty is a part of the variance, which refits that hold it do not see.
        share = shares[each.name]
        assert 0.5 < share < 1.0
        assert share * (drops[1] - drops[0]) == pytest.approx(DROP, abs=0.02)
        assert share * (drops[2] - drops[0]) == pytest.approx(DROP, abs=0.02)
        # Not a parabola in ln k: the two sides differ by far more than that.
        sides = math.log(each.value / each.lower), math.log(each.upper / each.value)
        assert abs(sides[0] / sides[1] - 1.0) > 0.02


def test_data_that_see_nothing_leave_the_interval_of_the_prior():
    """A normal prior on ln k, and nothing else: a quadratic case whose interval is known."""
    prior = {"rate_prior_weight": {"C->A": 1.0}, "rate_prior_mean": "1/(30000 d)", "rate_prior_std": 0.7}
    occupancies = provider(times=EARLY, rate_constants=UNSEEN, regularization=prior)
    model = series(times=EARLY, noise=0.2, d_min=5.0, occupancies=occupancies()[0].detach().numpy())
    (found,) = profiles([model], occupancies, keys=[("298K", "rate_constant", "C->A")])
    best = 1.0 / (30000 * 86400)
    assert found.value == pytest.approx(best, rel=1e-3)
    assert found.lower == pytest.approx(best * math.exp(-1.959964 * 0.7), rel=2e-3)
    assert found.upper == pytest.approx(best * math.exp(1.959964 * 0.7), rel=2e-3)
    assert found.remarks == ()


def test_what_nothing_determines_is_called_so():
    occupancies = provider(times=EARLY, rate_constants=UNSEEN)
    model = series(times=EARLY, noise=0.2, d_min=5.0, occupancies=occupancies()[0].detach().numpy())
    (found,) = profiles([model], occupancies, keys=[("298K", "rate_constant", "C->A")])
    assert found.lower is None
    assert any("not determined, no lower limit" in remark for remark in found.remarks)
    # As fast as the last delay it would show: an upper limit there is, if the search comes so far.
    assert found.upper is None or found.upper > 1e3


def test_a_shared_rate_has_one_profile_under_two_names():
    names = ("cold", "warm")
    occupancies = provider(names=names, shared=["B->C"])
    models = [series(number, noise=0.3, d_min=5.0, name=name) for number, name in enumerate(names, 1)]
    keys = [(name, "rate_constant", "B->C") for name in names]
    told = []
    cold, warm = profiles(models, occupancies, keys=keys, on_profile=told.append)
    assert (cold.experiment, warm.experiment) == names
    assert cold.points == warm.points
    assert (cold.lower, cold.upper) == (warm.lower, warm.upper)
    assert told == [cold, warm]


def test_an_unknown_parameter_is_refused(fitted):
    model, occupancies, _, _ = fitted
    with pytest.raises(UnknownNameError, match=r"did you mean '298K rate_constant B->C'"):
        profiles([model], occupancies, keys=[("298K", "rate_constant", "B->D")])


def test_ends_of_ranges_are_told(fitted):
    occupancies = copy.deepcopy(fitted[1])
    vector = SecondOrderFit(list(occupancies.modules_by_experiment), [])
    best, nothing = vector.get(), np.zeros(3, dtype=bool)
    ranges = RefinedRanges(occupancies)
    assert ranges.reached(best + 1.0, best, nothing) == {}
    far = ranges.reached(best + np.array([-20.0, 20.0, 20.0]), best, nothing)
    assert list(far.values()) == [
        "rate constant of B->C goes to 0",
        "rate constant of C->A goes to infinity",
        "efficiency of A->B reaches 1, the end of its range,",
    ]
    # Of what is held nothing is said.
    assert list(ranges.reached(best + 20.0, best, np.array([True, True, False]))) == [2]


@pytest.mark.parametrize(
    ("kind", "name", "value", "form"),
    [
        ("rate_constant", "B->C", 3.0, "ln"),
        ("efficiency", "A->B", 0.2, "logit"),
        ("activation_enthalpy", "B->C", -30.0, "linear"),
        ("response", "width", 1e-9, "ln"),
        ("response", "time_zero", 1e-9, "linear"),
    ],
)
def test_coordinates_go_there_and_back(kind, name, value, form):
    coordinate = Coordinate.of(("all", kind, name), value, np.array([3.0, 4.0]))
    assert coordinate.form == form
    place = coordinate.place(value)
    assert coordinate.value(place) == pytest.approx(value, rel=1e-12)
    assert coordinate(torch.tensor(value, dtype=torch.float64)).item() == pytest.approx(place, rel=1e-12)
    step = 1e-6 * abs(value)
    slope = (coordinate.place(value + step) - coordinate.place(value - step)) / (2.0 * step)
    assert coordinate.slope(value) == pytest.approx(slope, rel=1e-6)
