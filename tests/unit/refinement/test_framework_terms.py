"""Where TorchRef's terms say the same as the likelihood, on complete data, they agree.

TorchRef has a Rice term for each dataset and a term of differences between datasets; the first is the likelihood of
one dataset, the second that of several under a common error far larger than the noise.
"""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from torchref_kinetic_plugin.bridge.environment import framework, quiet
from torchref_kinetic_plugin.refinement.common_error import CommonErrorLikelihood


@pytest.fixture(scope="module")
def likelihoods():
    return framework("base.targets.xray_likelihoods")


@pytest.fixture(scope="module")
def difference_target():
    """TorchRef's difference target on arrays instead of files and models."""
    base = framework("refinement.targets.collection.xray").CollectionDifferenceTarget

    class OnArrays(base):
        def __init__(self, observed, sigma, calculated):
            mask = torch.isfinite(observed)
            collection = SimpleNamespace(
                stack_F_obs=lambda _: observed, stack_F_sigma=lambda _: sigma, stack_masks=lambda _, **__: mask
            )
            with quiet():
                super().__init__(collection, None)
            self.calculated = calculated

        def _keys(self):
            return [str(row) for row in range(len(self.calculated))]

        def _stack_model(self, keys, recalc=False):
            del keys, recalc
            return self.calculated

    return OnArrays


def one_dataset(n=400, size=30.0, error=8.0, seed=2):
    """Structure factors (1, n) and amplitudes (1, n) of one dataset, variances (n,) and centric flags (n,)."""
    random = np.random.default_rng(seed)
    centric = random.random(n) < 0.3

    def complexes(scale):
        values = scale * (random.standard_normal(n) + 1j * random.standard_normal(n)) / math.sqrt(2.0)
        return np.where(centric, math.sqrt(2.0) * values.real, values)

    model = complexes(size)
    epsilon = 1.0 + (random.random(n) < 0.1)
    amplitude = np.abs(model + np.sqrt(epsilon) * complexes(error))
    numbers = (model[None], amplitude[None], error**2 * epsilon, centric)
    return [torch.from_numpy(np.asarray(each)) for each in numbers]


def test_one_dataset_without_noise_is_its_maximum_likelihood_term(likelihoods):
    """A density of intensities there, of amplitudes here: they differ by dI / dF = 2 F."""
    model, amplitude, variance, centric = one_dataset()
    sigma = 1e-4 * amplitude**2 + 1e-6
    ours = CommonErrorLikelihood(amplitude**2, sigma, centric)(model, variance)
    total = likelihoods.complex_var_from_beta(variance)
    theirs = likelihoods.rice_per_refl(amplitude[0], model[0], total, centric)
    strong = amplitude[0] > 1.0
    assert strong.sum() > 380
    torch.testing.assert_close((ours + torch.log(2.0 * amplitude[0]))[strong], -theirs[strong], rtol=0.0, atol=1e-4)


def test_one_dataset_with_noise_is_its_full_term(likelihoods):
    """Noise is normal in intensities there and in amplitudes here, which is the same where it is small."""
    model, amplitude, variance, centric = one_dataset(size=100.0, error=15.0)
    sigma = 0.005 * amplitude
    ours = CommonErrorLikelihood(amplitude**2, 2.0 * amplitude * sigma, centric)(model, variance)
    theirs = likelihoods.rice_marginal_per_refl(amplitude[0], model[0], variance, sigma[0], centric)
    strong = amplitude[0] > 30.0
    assert strong.sum() > 300
    difference = (ours + torch.log(2.0 * amplitude[0]) + theirs)[strong]
    assert float(difference.abs().max()) < 0.01
    assert float(difference.square().mean().sqrt()) < 0.005


@pytest.mark.parametrize("n_sets", [2, 3, 6])
def test_several_datasets_under_a_large_common_error_are_the_difference_term(n_sets, difference_target):
    """Noise 0.5, common error 40, amplitudes about 20,000.

    Their term counts the N differences from the mean as independent, which are N - 1: for equal sigmas it is
    N / (N - 1) times the likelihood (its documentation says so of two datasets).
    """
    random = np.random.default_rng(n_sets)
    n, noise = 300, 0.5

    def phases():
        return np.exp(2j * np.pi * random.random(n))

    dark = (20_000.0 + 2_000.0 * random.random(n)) * phases()
    structures = np.stack([dark, dark + 4.0 * random.standard_normal(n) * phases()])
    common = 40.0 / math.sqrt(2.0) * (random.standard_normal(n) + 1j * random.standard_normal(n))

    def mixture(light):
        share = np.concatenate([[0.0], light])
        return np.stack([1.0 - share, share], axis=1) @ structures

    true, wrong = np.linspace(0.2, 0.8, n_sets - 1), np.linspace(0.5, 0.1, n_sets - 1)
    observed = np.abs(mixture(true) + common) + noise * random.standard_normal((n_sets, n))
    amplitudes, sigma = torch.from_numpy(observed), torch.full((n_sets, n), noise, dtype=torch.float64)
    likelihood = CommonErrorLikelihood(amplitudes**2, 2.0 * amplitudes * sigma, torch.zeros(n, dtype=torch.bool))
    variance = torch.full((n,), 1600.0, dtype=torch.float64)

    def ours(light):
        return float(likelihood(torch.from_numpy(mixture(light)), variance).sum())

    def theirs(light):
        calculated = torch.from_numpy(np.abs(mixture(light)))
        with quiet():
            return float(difference_target(amplitudes, sigma, calculated)())

    gain = n_sets / (n_sets - 1) * (ours(true) - ours(wrong))
    assert gain > 100.0
    assert theirs(wrong) - theirs(true) == pytest.approx(gain, rel=0.01)


def test_a_gap_costs_the_difference_term_the_reflection_in_all_datasets(difference_target):
    """Why the likelihood does not take its place: 10 % missing at random leave 53 % of six datasets there."""
    random = np.random.default_rng(0)
    observed = torch.from_numpy(100.0 + random.standard_normal((6, 2000)))
    observed[torch.from_numpy(random.random((6, 2000)) < 0.1)] = math.nan
    sigma = torch.ones_like(observed)
    target = difference_target(observed, sigma, torch.full_like(observed, 100.0))
    assert float(target._loss_inputs().mask.double().mean()) == pytest.approx(0.9**6, abs=0.03)
    likelihood = CommonErrorLikelihood(observed**2, 200.0 * sigma, torch.zeros(2000, dtype=torch.bool))
    assert float(likelihood.present.double().mean()) == pytest.approx(0.9, abs=0.01)
