"""Sums over very many datasets, a few reflections at a time: the same values and slopes as of all at once."""

import pytest
import torch

from torchref_kinetic_plugin.refinement import streamed_sums
from torchref_kinetic_plugin.refinement.common_error import CommonErrorLikelihood, statistics


def draw(n_datasets, n_reflections, seed=1):
    generator = torch.Generator().manual_seed(seed)

    def normal(size):
        return size * torch.randn(n_datasets, n_reflections, generator=generator, dtype=torch.float64)

    dark = torch.complex(normal(50.0)[0], normal(50.0)[0])
    mixture = dark + torch.complex(normal(3.0), normal(3.0))
    # A structure factor of zero has no direction.
    mixture[0, 2] = 0.0
    intensity = (mixture + 3.0).abs() ** 2 + normal(20.0)
    sigma = 20.0 + 0.03 * intensity.abs()
    intensity[3, ::5] = torch.nan
    centric = torch.arange(n_reflections) % 7 == 0
    inputs = [mixture, normal(0.1), normal(0.1)]
    variance = torch.full((n_reflections,), 40.0, dtype=torch.float64)
    return CommonErrorLikelihood(intensity, sigma, centric), variance, [each.requires_grad_() for each in inputs]


@pytest.mark.parametrize("portion", [1, 40, 1 << 16])
def test_values_and_slopes_are_those_of_all_at_once(monkeypatch, portion):
    likelihood, variance, inputs = draw(6, 61)
    monkeypatch.setattr(streamed_sums, "_PORTION", portion)

    def found():
        value = likelihood(inputs[0], variance, inputs[1], inputs[2])
        weight = torch.arange(61, dtype=torch.float64)
        return value.detach(), torch.autograd.grad((value * weight).sum(), inputs)

    value, slopes = found()
    monkeypatch.setattr("torchref_kinetic_plugin.refinement.common_error.MANY", 0)
    seen = []
    monkeypatch.setattr(
        "torchref_kinetic_plugin.refinement.common_error.streamed_sums",
        lambda *args: seen.append(1) or streamed_sums.streamed_sums(*args),
    )
    streamed, their_slopes = found()
    assert seen == [1]
    torch.testing.assert_close(streamed, value, rtol=1e-13, atol=1e-11)
    for ours, theirs in zip(their_slopes, slopes, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0.0, atol=1e-12 * float(theirs.abs().max()))


def test_gradcheck():
    generator = torch.Generator().manual_seed(3)
    parts, scale, inflation = (
        0.5 * torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((3, 4, 2), (3, 4), (3, 4))
    )
    intensity, weight = (torch.rand(3, 4, generator=generator, dtype=torch.float64) for _ in range(2))

    def sums(parts, scale, inflation):
        mixture = torch.view_as_complex(parts)
        return streamed_sums.streamed_sums(statistics, mixture, intensity, weight, scale, inflation)

    assert torch.autograd.gradcheck(sums, [each.requires_grad_() for each in (parts, scale, inflation)])
