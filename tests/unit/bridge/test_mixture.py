"""Amplitudes of mixtures against the plain formula, finite differences and autograd."""

from __future__ import annotations

import pytest
import torch

from torchref_kinetic_plugin.bridge import mixture, mixture_amplitudes, mixture_jacobian, with_solvent
from torchref_kinetic_plugin.errors import ShapeError


def case(n_structures: int = 3, n_times: int = 5, n_reflections: int = 40) -> tuple[torch.Tensor, ...]:
    random = torch.Generator().manual_seed(3)
    occupancies = torch.rand(n_structures, n_times, dtype=torch.float64, generator=random)
    parts = torch.randn(n_structures, n_reflections, 2, dtype=torch.float64, generator=random)
    scale = 0.5 + torch.rand(n_times, n_reflections, dtype=torch.float64, generator=random)
    return occupancies / occupancies.sum(0), torch.view_as_complex(100.0 * parts), scale


def plain(occupancies: torch.Tensor, components: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return scale * (occupancies.T.to(components.dtype) @ components).abs()


@pytest.mark.parametrize("block_bytes", [1, 1 << 26])
def test_gradients_in_all_arguments_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch, block_bytes: int) -> None:
    monkeypatch.setattr(mixture, "_BLOCK_BYTES", block_bytes)
    arguments = [x.requires_grad_() for x in case()]
    torch.testing.assert_close(mixture_amplitudes(*arguments), plain(*arguments), rtol=1e-13, atol=0.0)
    assert torch.autograd.gradcheck(mixture_amplitudes, arguments, eps=1e-5, atol=1e-4, rtol=1e-6)


def test_one_scale_for_all_timepoints() -> None:
    occupancies, components, scale = case()
    one = scale[0].clone().requires_grad_()
    result = mixture_amplitudes(occupancies, components, one)
    torch.testing.assert_close(result, plain(occupancies, components, scale[:1]))
    (gradient,) = torch.autograd.grad(result.sum(), one)
    torch.testing.assert_close(gradient, (result / one).sum(0).detach())


def test_types_of_each_argument_are_kept() -> None:
    occupancies, components, scale = case()
    occupancies.requires_grad_()
    single = components.to(torch.complex64).requires_grad_()
    result = mixture_amplitudes(occupancies, single, scale)
    assert result.dtype == torch.float32
    result.sum().backward()
    assert occupancies.grad is not None
    assert occupancies.grad.dtype == torch.float64
    assert single.grad is not None
    assert single.grad.dtype == torch.complex64
    expected = torch.autograd.grad(plain(occupancies, components, scale).sum(), occupancies)[0]
    torch.testing.assert_close(occupancies.grad, expected, rtol=1e-5, atol=1e-2)


def test_jacobian_is_that_of_the_amplitudes() -> None:
    occupancies, components, scale = case(n_reflections=7)
    amplitudes, derivatives = mixture_jacobian(occupancies, components, scale)
    torch.testing.assert_close(amplitudes, plain(occupancies, components, scale))
    full = torch.autograd.functional.jacobian(lambda w: plain(w, components, scale), occupancies)
    own = torch.stack([full[t, :, :, t].T for t in range(occupancies.shape[1])], dim=1)
    torch.testing.assert_close(derivatives, own)


def test_zero_amplitude_has_zero_gradient() -> None:
    occupancies, components, scale = case()
    components[:, 0] = 0.0
    occupancies.requires_grad_()
    mixture_amplitudes(occupancies, components, scale).sum().backward()
    assert occupancies.grad is not None
    assert torch.isfinite(occupancies.grad).all()
    assert torch.isfinite(mixture_jacobian(occupancies.detach(), components, scale)[1]).all()


def test_solvent_is_mixed_like_the_atoms() -> None:
    occupancies, components, scale = case()
    masks, mask_scale = components.flip(0), torch.rand(components.shape[1], dtype=torch.float64)
    together = mixture_amplitudes(occupancies, with_solvent(components, masks, mask_scale), scale)
    mixed = occupancies.T.to(components.dtype) @ components
    solvent = occupancies.T.to(components.dtype) @ masks
    torch.testing.assert_close(together, scale * (mixed + mask_scale * solvent).abs())


def test_wrong_shapes() -> None:
    occupancies, components, scale = case()
    with pytest.raises(ShapeError, match="same K structures"):
        mixture_amplitudes(occupancies[:2], components, scale)
    with pytest.raises(ShapeError, match="scale"):
        mixture_amplitudes(occupancies, components, scale[:2])
