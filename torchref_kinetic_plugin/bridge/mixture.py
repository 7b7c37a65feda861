"""Amplitudes of a mixture of structures at many timepoints."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchref_kinetic_plugin.errors import ShapeError

_BLOCK_BYTES = 1 << 26


def with_solvent(atoms: Tensor, masks: Tensor, mask_scale: Tensor) -> Tensor:
    """Structure factors of structures with their bulk solvent.

    Parameters
    ----------
    atoms, masks : Tensor
        (K, H) complex.
    mask_scale : Tensor
        (H,) real, what the mask scatters relative to 1 e/A^3.

    Returns
    -------
    Tensor
        (K, H) complex, in the type of ``atoms``.
    """
    return atoms + mask_scale.to(atoms.real.dtype) * masks.to(atoms.dtype)


def mixture_amplitudes(occupancies: Tensor, components: Tensor, scale: Tensor) -> Tensor:
    """F(h, t) = scale_t(h) | sum_s W(s, t) F_s(h) |.

    The mixing is exact for a crystal in which the structures are distributed at random over the unit cells:
    structure factors add, not amplitudes or intensities.

    Parameters
    ----------
    occupancies : Tensor
        W, (K, T), any real type; float64 as the kinetics give it.
    components : Tensor
        (K, H) complex, structure factors with solvent. Their type is the one computed in.
    scale : Tensor
        (T, H) or (H,) real.

    Returns
    -------
    Tensor
        (T, H), real type of the components. Differentiable once in all three; gradients come in the type of
        each argument. Memory beyond the result stays below some 100 MB, whatever T is.

    Raises
    ------
    ShapeError
        When shapes disagree.
    """
    scale = _checked(occupancies, components, scale)
    result: Tensor = _Mixture.apply(occupancies, components, scale)  # type: ignore[no-untyped-call]
    return result


@torch.no_grad()
def mixture_jacobian(occupancies: Tensor, components: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Amplitudes and their exact derivatives in the occupancies, for second-order fits.

    Parameters
    ----------
    occupancies, components, scale : Tensor
        As of `mixture_amplitudes`.

    Returns
    -------
    amplitudes : Tensor
        (T, H).
    derivatives : Tensor
        (K, T, H); dF(h, t) / dW(s, t). Of other timepoints' occupancies they are 0.
    """
    scale = _checked(occupancies, components, scale)
    mixed, amplitude = _mixed(occupancies, components)
    phase = _direction(mixed, amplitude).mul_(scale)
    derivatives = torch.stack([_real_product(phase, component) for component in components])
    return scale * amplitude, derivatives


class _Mixture(torch.autograd.Function):
    """Recomputes the mixture in the backward pass, block by block, instead of keeping it."""

    @staticmethod
    def forward(ctx: Any, occupancies: Tensor, components: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(occupancies, components, scale)
        rows = [
            _mixed(occupancies[:, block], components)[1] * _rows(scale, block)
            for block in _blocks(occupancies, components)
        ]
        return torch.cat(rows)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        occupancies, components, scale = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        to_occupancies, to_scale = [], []
        to_components = torch.zeros_like(components) if wanted[1] else None
        parts = _real_view(components)
        for block in _blocks(occupancies, components):
            here = occupancies[:, block]
            mixed, amplitude = _mixed(here, components)
            if wanted[2]:
                to_scale.append(gradient[block] * amplitude)
            if not (wanted[0] or wanted[1]):
                continue
            force = _direction(mixed, amplitude).mul_(gradient[block] * _rows(scale, block))
            force_parts = _real_view(force)
            if wanted[0]:
                to_occupancies.append(parts @ force_parts.T)
            if to_components is not None:
                torch.view_as_real(to_components).flatten(1).addmm_(here.to(force_parts.dtype), force_parts)
        return (
            torch.cat(to_occupancies, dim=1).to(occupancies.dtype) if wanted[0] else None,
            to_components,
            torch.cat(to_scale).sum_to_size(scale.shape).to(scale.dtype) if wanted[2] else None,
        )


def _checked(occupancies: Tensor, components: Tensor, scale: Tensor) -> Tensor:
    if occupancies.ndim != 2 or components.ndim != 2 or occupancies.shape[0] != components.shape[0]:
        raise ShapeError(
            f"occupancies {tuple(occupancies.shape)} and structure factors {tuple(components.shape)} are not "
            "(K, T) and (K, H) of the same K structures"
        )
    wanted = (occupancies.shape[1], components.shape[1])
    if scale.ndim == 1:
        scale = scale.unsqueeze(0)
    if scale.ndim != 2 or scale.shape[0] not in (1, wanted[0]) or scale.shape[1] != wanted[1]:
        raise ShapeError(f"scale {tuple(scale.shape)} is neither (H,) nor (T, H) = {wanted}")
    return scale.to(components.real.dtype)


def _blocks(occupancies: Tensor, components: Tensor) -> list[slice]:
    n_times, row = occupancies.shape[1], components.shape[1] * components.element_size()
    step = max(1, _BLOCK_BYTES // max(1, row))
    return [slice(start, min(start + step, n_times)) for start in range(0, max(n_times, 1), step)]


def _rows(scale: Tensor, block: slice) -> Tensor:
    return scale if scale.shape[0] == 1 else scale[block]


def _real_view(values: Tensor) -> Tensor:
    """(n, H) complex as (n, 2 H) real, so that products with real weights stay real."""
    return torch.view_as_real(values.resolve_conj().contiguous()).flatten(1)


def _mixed(occupancies: Tensor, components: Tensor) -> tuple[Tensor, Tensor]:
    weights = occupancies.to(components.real.dtype)
    parts = weights.T @ _real_view(components)
    mixed = torch.view_as_complex(parts.reshape(len(parts), -1, 2))
    return mixed, mixed.abs()


def _direction(mixed: Tensor, amplitude: Tensor) -> Tensor:
    """Phase factors, mixed / |mixed|, and 0 where the amplitude is 0 and has no derivative."""
    safe = torch.where(amplitude > 0.0, amplitude, 1.0)
    return mixed / safe


def _real_product(first: Tensor, second: Tensor) -> Tensor:
    """Re(conj(first) second)."""
    return first.real * second.real + first.imag * second.imag
