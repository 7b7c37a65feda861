"""Whether a timepoint speaks against the scheme: Rao's score test, timepoint by timepoint.

Under the scheme the derivative of the log-likelihood in a timepoint's own occupancies is 0 but for noise. With the
scores g and their information M in all occupancies, scales eliminated, J the derivatives of the occupancies in the
provider's parameters, and B the changes of the timepoint's occupancies that keep their sum,

    s = B'g - B'M J (J'M J + R)^-1 (J'g - r),    V = B'M B - B'M J (J'M J + R)^-1 J'M B,

r and R gradient and curvature of the priors; s' V^-1 s is chi-square with as many degrees of freedom as V has rank
(C. R. Rao, Proc. Cambridge Phil. Soc. 44, 1948, 50-57). Nothing is fitted anew. M is the sum of the products of the
work reflections' scores; the error model, which comes from the free ones, is taken as known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.linalg import eigh
from scipy.stats import chi2

from torchref_kinetic_plugin.analysis.free_occupancies import free_directions
from torchref_kinetic_plugin.occupancies.covariance import rounding_of
from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats
from torchref_kinetic_plugin.refinement.quadratic import QuadraticForm, pseudo_inverse
from torchref_kinetic_plugin.results import SchemeTest
from torchref_kinetic_plugin.threads import one_thread

#: Probability of rejecting any timepoint of a scheme that is right.
_LEVEL = 0.05
#: Share of a direction's information left by the provider's parameters below which they have taken all of it.
_NOTHING_LEFT = 1e-6


@one_thread()
def scheme_tests(models: Sequence[ExperimentModel], provider: SeriesOccupancies) -> list[SchemeTest]:
    """Test the occupancies of each timepoint; references are not tested.

    Parameters
    ----------
    models : sequence of ExperimentModel
        After the fit.
    provider : SeriesOccupancies
        After the fit.
    """
    with torch.no_grad():
        values = provider()
    targets = [
        QuadraticForm.at(model, model.evaluate(each), largest_residual=None).eliminated()
        for model, each in zip(models, values, strict=True)
    ]
    search = SecondOrderFit(
        list(provider.modules_by_experiment), targets, regularization_weight=provider.regularization_weight
    )
    # At the centre of the forms the cost's gradient is r - J'g.
    _, against, hessian = search.terms(search.get())
    inverse = pseudo_inverse(hessian)
    found = []
    for model, target, (value, slopes) in zip(models, targets, search.jacobians(), strict=True):
        basis, coupling = free_directions(*value.shape), target.information.numpy() @ slopes.numpy()
        step = basis.T @ coupling @ inverse
        score = basis.T @ target.gradient.numpy() + step @ against
        information = basis.T @ target.information.numpy() @ basis
        left = information - step @ coupling.T @ basis
        size = len(value) - 1
        for row in range(model.data.n_references, len(model.data.datasets)):
            first = (row - model.data.n_fixed) * size
            own = slice(first, first + size)
            statistic, freedom = _statistic(score[own], left[own, own], information[own, own])
            p_value = float(chi2.sf(statistic, freedom)) if freedom else 1.0
            found.append(SchemeTest(model.data.name, model.data.datasets[row], statistic, freedom, p_value))
    return found


def _statistic(score: Floats, variance: Floats, information: Floats) -> tuple[float, int]:
    """The statistic and its degrees of freedom: directions that keep some of their information."""
    spectrum = np.linalg.eigvalsh(information)
    if spectrum[0] <= rounding_of(spectrum):
        return 0.0, 0
    shares, vectors = eigh(variance, information)
    kept = shares > _NOTHING_LEFT
    along = vectors[:, kept].T @ score
    return float((along**2 / shares[kept]).sum()), int(kept.sum())


def holm(p_values: Sequence[float], level: float = _LEVEL) -> list[bool]:
    """Which hypotheses are rejected so that with this probability at most any true one is.

    Holm's step-down (S. Holm, Scand. J. Statist. 6, 1979, 65-70).
    """
    rejected = [False] * len(p_values)
    for rank, number in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[number] > level / (len(p_values) - rank):
            break
        rejected[number] = True
    return rejected


def scheme_remarks(tests: Sequence[SchemeTest]) -> list[str]:
    """Timepoints at which a scheme is rejected, in a sentence; none where it is nowhere."""
    rejected = holm([each.p_value for each in tests])
    named = [
        f"{each.experiment} {each.timepoint} (p = {each.p_value:.1g})"
        for each, wrong in zip(tests, rejected, strict=True)
        if wrong
    ]
    if not named:
        return []
    return [
        f"the data of {', '.join(named)} speak against the scheme, or against the structures: occupancies are not as "
        f"it says, by score tests of {len(tests)} timepoints with Holm's correction"
    ]
