"""Exact Jacobians of a model's output with respect to its refined parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call


def is_differentiated(tensor: Tensor) -> bool:
    """Whether a derivative along a tensor is wanted, in either mode of differentiation."""
    return tensor.requires_grad or forward_ad.unpack_dual(tensor).tangent is not None  # type: ignore[no-untyped-call]


def times(values: Tensor, factor: Tensor) -> Tensor:
    """Values, any shape, times a scalar tensor.

    Of elements, one factor of which stands still, the product takes torch twenty times as long in forward mode, and
    the first of them more than a second, since it loads torch's compiler.
    """
    return torch.mv(values.reshape(-1, 1), factor.reshape(1)).reshape(values.shape)


def refined_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters of a model that are refined, by name, each once."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def _places(model: nn.Module) -> dict[int, list[str]]:
    """Names of each parameter, one for each module that holds it.

    A module that stands at several places must be given a stand-in once: torch puts back what it finds at the last
    of them, which by then is the stand-in.
    """
    found: dict[int, list[str]] = {}
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(prefix=prefix, recurse=False):
            found.setdefault(id(parameter), []).append(name)
    return found


def jacobian(model: nn.Module) -> tuple[Tensor, Tensor]:
    """Output of a model and its derivatives, one forward pass with tangents per refined number.

    Parameters
    ----------
    model : nn.Module
        Called without arguments, returns one tensor.

    Returns
    -------
    value : Tensor
        The output, any shape.
    derivatives : Tensor
        (*shape of value, n_refined), in the order of `refined_parameters`, their entries flattened.
    """
    columns: list[Tensor] = []
    value: Tensor | None = None
    places = _places(model)
    for parameter in refined_parameters(model).values():
        for entry in range(parameter.numel()):
            direction = torch.zeros_like(parameter).flatten()
            direction[entry] = 1.0
            with torch.no_grad(), forward_ad.dual_level():
                # It stands in for the parameter, so it must look refined to a model that asks.
                stand_in = parameter.detach().requires_grad_()
                dual = forward_ad.make_dual(stand_in, direction.reshape(parameter.shape))  # type: ignore[no-untyped-call]
                output = functional_call(model, dict.fromkeys(places[id(parameter)], dual), (), tie_weights=False)
                primal, tangent = forward_ad.unpack_dual(output)  # type: ignore[no-untyped-call]
                value = primal.detach().clone()
                columns.append(torch.zeros_like(value) if tangent is None else tangent.detach().clone())
    if value is None:
        with torch.no_grad():
            value = model()
    return value, torch.stack(columns, dim=-1) if columns else value.new_zeros(*value.shape, 0)
