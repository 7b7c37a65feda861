"""Refinable scalars: raw value, constraint and value in one place."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from torchref_kinetic_plugin.errors import ParameterError
from torchref_kinetic_plugin.kinetics.constraints import Constraint
from torchref_kinetic_plugin.kinetics.priors import Prior, Restrained


class ScalarParameter(Restrained):
    """One refinable number.

    A parameter of its own, rather than one entry of a vector, is what makes freezing true for a single
    transition and sharing true between experiments, whatever the optimizer.

    Parameters
    ----------
    label : str
        What messages call it, e.g. ``"rate constant of A->B"``.
    value : float
        Starting value.
    constraint : Constraint
        Which values are allowed.
    frozen : bool
        Whether it is left out of refinement.
    prior : Prior, optional
        Prior on the value.

    Attributes
    ----------
    raw : nn.Parameter
        Unconstrained scalar, float64.
    """

    def __init__(
        self,
        label: str,
        value: float,
        constraint: Constraint,
        *,
        frozen: bool = False,
        prior: Prior | None = None,
    ) -> None:
        super().__init__()
        self.label = label
        self.constraint = constraint
        self.prior = prior
        self.raw = nn.Parameter(torch.zeros((), dtype=torch.float64), requires_grad=False)
        self.set(value)
        if not frozen:
            self.unfreeze()

    @property
    def value(self) -> Tensor:
        """The constrained value, a scalar tensor with its gradient."""
        return self.constraint.value(self.raw)

    @property
    def number(self) -> float:
        """The constrained value as a plain number."""
        return self.value.item()

    @property
    def frozen(self) -> bool:
        """Whether refinement leaves it alone."""
        return not self.raw.requires_grad

    def set(self, value: float) -> None:
        """Set the value.

        Raises
        ------
        ParameterError
            When the constraint does not allow it, or it lies at the end of the range of a free parameter.
        """
        number = as_number(value, self.label)
        if problem := self.constraint.problem(number):
            raise ParameterError(f"{self.label} = {number:g}: {problem}")
        raw = self.constraint.raw(number)
        if not self.frozen and math.isinf(raw):
            raise ParameterError(_at_end(self.label, number))
        with torch.no_grad():
            self.raw.fill_(raw)

    def freeze(self) -> None:
        """Leave it out of refinement, at its present value."""
        self.raw.requires_grad_(False)
        self.raw.grad = None

    def unfreeze(self) -> None:
        """Refine it.

        Raises
        ------
        ParameterError
            At the end of its range, where every gradient vanishes.
        """
        if not math.isfinite(self.raw.item()):
            raise ParameterError(_at_end(self.label, self.number))
        self.raw.requires_grad_(True)

    def restraint(self) -> Tensor | None:
        """Penalty of the prior, or None without one."""
        return None if self.prior is None else self.prior.loss(self.value)


def _at_end(label: str, value: float) -> str:
    return (
        f"{label} = {value:g} cannot be refined: at the end of its range every gradient vanishes; "
        "start inside, e.g. at 0.5"
    )


def as_number(value: Any, label: str) -> float:
    """A float of anything that is one real number.

    Raises
    ------
    ParameterError
        For text, booleans, arrays and what else is not a number.
    """
    try:
        if isinstance(value, bool | str):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise ParameterError(f"{label} must be a number, not {value!r}") from None


def values_of(parameters: Sequence[ScalarParameter]) -> Tensor:
    """Values of several parameters as one vector (n,), in as few operations as their constraints allow."""
    raw = torch.stack([parameter.raw for parameter in parameters])
    if len({parameter.constraint for parameter in parameters}) == 1:
        return parameters[0].constraint.value(raw)
    return torch.stack([p.constraint.value(r) for p, r in zip(parameters, raw, strict=True)])


class Float64Module(nn.Module):
    """A module whose tensors stay float64 whatever dtype it is moved to; devices are followed."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        def keep(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return tensor.to(moved.device) if tensor.dtype == torch.float64 else moved

        moved: Self = super()._apply(keep, recurse)  # type: ignore[no-untyped-call]
        return moved
