"""What is expected before a fit is what many fits then show."""

import math

import numpy as np
import pytest

from tests.unit.refinement.small_series import provider, series
from torchref_kinetic_plugin.analysis.expected import expected_information
from torchref_kinetic_plugin.analysis.quantities import IndependentQuantities, refined_quantities
from torchref_kinetic_plugin.analysis.variants import drawn
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.refinement.uncertainty import standard_errors


@pytest.fixture(scope="module")
def known_errors():
    """A model with its error model given, occupancies at the truth."""
    occupancies = provider()
    model = series(noise=0.1, d_min=4.5)
    model.nuisances.error[:] = [math.log(20.0**2), 0.0, 0.0]
    model.refresh_strength(occupancies()[0].detach())
    return model, occupancies


def test_expected_errors_are_the_scatter_of_refits(known_errors, monkeypatch):
    """Sixty draws: a standard deviation of so many is known to 9 %, the expected errors to 5 %."""
    model, occupancies = known_errors
    quantities = refined_quantities([model], occupancies)
    independent = IndependentQuantities(quantities)
    expected = expected_information([model], occupancies, refine_scale=False, seed=1, n_draws=32)
    assert expected.monte_carlo < 0.07
    errors = standard_errors(independent.slopes, expected.data)
    truth = [each.coordinate.place(each.value) for each in quantities]
    monkeypatch.setattr("torchref_kinetic_plugin.refinement.fit_state.settle_error_model", lambda *_: 0.0)
    monkeypatch.setattr(ExperimentModel, "refresh_strength", lambda *_: None)
    found = []
    for seed in range(60):
        data, again = drawn(model, occupancies()[0].detach(), np.random.default_rng([7, seed])), provider()
        fit_kinetics([data], again, n_starts=1, refine_scale=False)
        found.append([each.coordinate.place(each.value) for each in refined_quantities([data], again)])
    scatter = np.std(found, axis=0, ddof=1)
    np.testing.assert_allclose(scatter / errors, 1.0, atol=3.0 * math.hypot(0.09, expected.monte_carlo))
    assert (np.abs(np.mean(found, axis=0) - truth) < 4.0 * scatter / math.sqrt(60)).all()
