"""The likelihood with the common error, against brute force and against what a series was made with."""

import math

import numpy as np
import pytest
import torch

from torchref_kinetic_plugin.errors import ParameterError, ShapeError
from torchref_kinetic_plugin.refinement.common_error import CommonErrorLikelihood

RANDOM = np.random.default_rng(4)


def draw(n_times, n_reflections, noise, error=0.25, signal=0.1, random=RANDOM):
    """Structure factors, intensities and sigmas of a series with a common error."""

    def normal(*shape):
        return (random.standard_normal(shape) + 1j * random.standard_normal(shape)) / math.sqrt(2)

    reference = normal(n_reflections)
    centric = random.random(n_reflections) < 0.25
    reference = np.where(centric, np.sqrt(2) * reference.real, reference)
    change = signal * normal(n_times, n_reflections)
    change = np.where(centric, np.sqrt(2) * change.real, change)
    change[0] = 0.0
    common = error * normal(n_reflections)
    common = np.where(centric, np.sqrt(2) * common.real, common)
    mixture = reference + change
    sigma = noise * np.sqrt(np.abs(mixture) ** 2 + 0.1) * np.ones((n_times, n_reflections))
    intensity = np.abs(mixture + common) ** 2 + sigma * random.standard_normal(mixture.shape)
    variance = np.full(n_reflections, error**2)
    return [torch.from_numpy(v) for v in (mixture, intensity, sigma, variance, centric)]


def brute_force(mixture, intensity, sigma, variance, centric, n=1201):
    """The integral over E on a fine Cartesian grid, one reflection."""
    span = 7.0 * math.sqrt(variance)
    axis = np.linspace(-span, span, n)
    present = np.isfinite(intensity)
    if centric:
        phase = mixture[0] / abs(mixture[0])
        errors, weights = (
            axis * phase,
            (axis[1] - axis[0]) * np.exp(-(axis**2) / (2 * variance)) / math.sqrt(2 * math.pi * variance),
        )
    else:
        errors = axis[:, None] + 1j * axis[None]
        weights = (axis[1] - axis[0]) ** 2 * np.exp(-(np.abs(errors) ** 2) / variance) / (math.pi * variance)
    log = np.zeros(errors.shape)
    for g, i, s in zip(mixture[present], intensity[present], sigma[present], strict=True):
        log += -0.5 * ((i - np.abs(g + errors) ** 2) / s) ** 2 - math.log(s * math.sqrt(2 * math.pi))
    top = log.max()
    return top + math.log((np.exp(log - top) * weights).sum())


@pytest.mark.parametrize(("noise", "typical", "worst"), [(0.05, 1e-7, 1e-3), (0.2, 1e-5, 5e-3), (0.5, 1e-5, 5e-3)])
def test_agrees_with_brute_force(noise, typical, worst):
    data = draw(4, 60, noise, random=np.random.default_rng(1))
    data[1][2, ::7] = math.nan
    computed = CommonErrorLikelihood(*data[1:])(data[0]).numpy()
    arrays = [v.numpy() for v in data]
    exact = [
        brute_force(arrays[0][:, h], arrays[1][:, h], arrays[2][:, h], arrays[3][h], arrays[4][h]) for h in range(60)
    ]
    difference = np.abs(computed - exact)
    assert np.median(difference) < typical
    assert difference.max() < worst


def test_a_missing_observation_counts_nowhere():
    mixture, intensity, sigma, variance, centric = draw(4, 20, 0.1)
    with_gap = intensity.clone()
    with_gap[3] = math.nan
    gap = CommonErrorLikelihood(with_gap, sigma, variance, centric)(mixture)
    without = CommonErrorLikelihood(intensity[:3], sigma[:3], variance, centric)(mixture[:3])
    torch.testing.assert_close(gap, without)


def test_blocks_change_nothing(monkeypatch):
    mixture, *rest = draw(3, 50, 0.1)
    likelihood = CommonErrorLikelihood(*rest)
    mixture.requires_grad_()
    whole = likelihood(mixture)
    (gradient,) = torch.autograd.grad(whole.sum(), mixture)
    monkeypatch.setattr("torchref_kinetic_plugin.refinement.common_error._BLOCK_NUMBERS", 33 * 3 * 7 * 7)
    parts = likelihood(mixture)
    torch.testing.assert_close(parts, whole, rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(torch.autograd.grad(parts.sum(), mixture)[0], gradient, rtol=1e-12, atol=1e-14)


def test_gradcheck():
    mixture, *rest = draw(3, 5, 0.1, random=np.random.default_rng(3))
    likelihood = CommonErrorLikelihood(*rest)
    parts = torch.view_as_real(mixture).clone().requires_grad_()
    # The nodes follow the parameters, which the gradient rightly ignores but differences see: 1e-3 is the quadrature's.
    assert torch.autograd.gradcheck(
        lambda p: likelihood(torch.view_as_complex(p)), parts, eps=1e-5, atol=1e-4, rtol=1e-3
    )


def test_the_size_of_a_signal_is_found_without_bias_and_with_an_honest_error():
    """The same factor on all differences: the error's phase would shrink it by about a tenth if ignored."""
    random = np.random.default_rng(11)
    pulls, naive = [], []
    for _ in range(10):
        mixture, intensity, sigma, variance, centric = draw(4, 1200, 0.06, random=random)
        likelihood = CommonErrorLikelihood(intensity, sigma, variance, centric)

        def loss(size, mixture=mixture, likelihood=likelihood):
            return -likelihood(mixture[0] + size * (mixture - mixture[0])).sum()

        size = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        for _ in range(4):
            (slope,) = torch.autograd.grad(loss(size), size)
            up, down = (
                torch.autograd.grad(loss(v := (size + h).detach().requires_grad_()), v)[0] for h in (1e-3, -1e-3)
            )
            curvature = (up - down) / 2e-3
            size = (size - slope / curvature).detach().requires_grad_()
        pulls.append((size.item() - 1.0) * math.sqrt(curvature.item()))
        seen = (torch.sqrt(intensity.clamp(min=0)) - torch.sqrt(intensity[0].clamp(min=0)))[1:]
        model = ((mixture - mixture[0]) * mixture[0].conj() / mixture[0].abs()).real[1:]
        naive.append(((seen * model).sum() / (model**2).sum()).item())
    assert abs(np.mean(pulls)) < 3.0 / math.sqrt(len(pulls))
    assert 0.5 < np.std(pulls) < 1.7
    assert np.mean(naive) < 0.97


def test_refused():
    mixture, intensity, sigma, variance, centric = draw(3, 5, 0.1)
    with pytest.raises(ShapeError, match="are not .T, H."):
        CommonErrorLikelihood(intensity, sigma[:2], variance, centric)
    with pytest.raises(ShapeError, match="the 5 reflections"):
        CommonErrorLikelihood(intensity, sigma, variance[:2], centric)
    with pytest.raises(ParameterError, match="a sigma is not above 0"):
        CommonErrorLikelihood(intensity, -sigma, variance, centric)
    with pytest.raises(ParameterError, match="a variance of the common error"):
        CommonErrorLikelihood(intensity, sigma, 0 * variance, centric)
    with pytest.raises(ParameterError, match="no observation in any dataset"):
        CommonErrorLikelihood(intensity * math.nan, sigma, variance, centric)
    with pytest.raises(ShapeError, match="mixture .2, 5. is not .3, 5."):
        CommonErrorLikelihood(intensity, sigma, variance, centric)(mixture[:2])
