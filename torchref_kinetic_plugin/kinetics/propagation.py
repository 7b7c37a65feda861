"""Propagation of populations under a rate matrix, without a single subtraction that matters.

``dP/dt = K P`` with the off-diagonal rates ``R`` (``R[i, j]`` from state j to state i, all >= 0) and
``K = R - diag(R.sum(0))``. A float64 ``K`` with rates from 1e-3 to 1e15 has lost the slow ones in its
diagonal, so ``K`` is never formed. Instead:

1. A step ``h`` (a power of two) makes every exit probability small, and uniformization gives
   ``exp(K h) = exp(-q) exp(B)`` with ``B = h R + diag(q - h exits) >= 0``: a series of positive terms [1]_.
2. ``exp(K 2^j h)`` follows by squaring. Dividing each column by its sum restores conservation at every
   squaring, so rounding does not double with it; all entries keep their relative accuracy, because sums
   and products of positive numbers do [2]_.
3. A time is ``h (f + sum_j b_j 2^j)``: the populations at all times are taken through the same chain of
   matrices, those whose bit is set being multiplied.

The gradient is the exact adjoint of these steps.

References
----------
.. [1] Jensen, A. (1953). Skand. Aktuarietidskr. 36, 87-91 (uniformization).
.. [2] Xue, J. & Ye, Q. (2013). SIAM J. Matrix Anal. Appl. 34, 1-23 (entrywise accurate exponentials).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

#: Largest exit probability of one base step; ten terms of the series then leave 3e-18.
_BASE_EXIT = 0.125
_SERIES_TERMS = 10


@dataclass(frozen=True)
class StepChain:
    """Propagators ``exp(K 2^j h)`` of one rate matrix.

    Attributes
    ----------
    step : float
        Base step ``h``, a power of two, in the unit of the times.
    exit : float
        ``q``, the largest exit probability in the base step.
    base : Tensor
        ``B`` of the uniformized base step, shape (n, n), no negative entry.
    series : Tensor
        Partial Horner sums of ``exp(B)``, shape (terms, n, n); the adjoint needs them.
    powers : Tensor
        ``exp(K 2^j h)``, shape (n_levels, n, n), columns summing to 1.
    sums : Tensor
        Column sums by which each power was divided, shape (n_levels, 1, n).
    """

    step: float
    exit: float
    base: Tensor
    series: Tensor
    powers: Tensor
    sums: Tensor

    def levels(self, longest: float) -> int:
        """Number of powers that a time needs; the chain must have been built for as long a time."""
        return math.frexp(longest / self.step)[1] if longest >= self.step else 0


def build_chain(rates: Tensor, longest: float) -> StepChain:
    """Build the propagators of all binary steps up to a time.

    Parameters
    ----------
    rates : Tensor
        Off-diagonal rates (n, n), float64, ``rates[i, j]`` from j to i, zero diagonal.
    longest : float
        Longest time that will be propagated, finite, in the inverse unit of the rates.

    Returns
    -------
    StepChain
        The chain; without levels when ``longest`` is shorter than the base step.
    """
    n = rates.shape[0]
    exits = rates.sum(0)
    fastest = float(exits.max()) if n else 0.0
    if fastest > 0.0:
        step = 2.0 ** math.floor(math.log2(_BASE_EXIT / fastest))
    else:
        step = 2.0 ** math.ceil(math.log2(longest) + 1.0) if longest > 0.0 else 1.0
    exit_ = fastest * step
    base = rates * step
    base.diagonal().copy_(exit_ - exits * step)
    identity = torch.eye(n, dtype=rates.dtype, device=rates.device)
    n_levels = math.frexp(longest / step)[1] if longest >= step else 0
    series = rates.new_empty(_SERIES_TERMS, n, n)
    powers = rates.new_empty(n_levels, n, n)
    sums = rates.new_empty(n_levels, 1, n)
    if n_levels:
        partial = identity
        for term in range(_SERIES_TERMS, 0, -1):
            series[term - 1] = partial
            partial = torch.addmm(identity, base, partial, alpha=1.0 / term)
        for level in range(n_levels):
            square = partial if level == 0 else torch.mm(powers[level - 1], powers[level - 1])
            torch.sum(square, 0, keepdim=True, out=sums[level])
            torch.div(square, sums[level], out=powers[level])
    return StepChain(step, exit_, base, series, powers, sums)


def _binary_steps(chain: StepChain, times: Tensor) -> tuple[Tensor, Tensor]:
    """Split times into a fraction of the base step and the set bits of the rest.

    Returns
    -------
    fraction : Tensor
        (n_rows, 1), in units of the base step.
    bits : Tensor
        (n_levels, n_rows, 1), bool, with as many levels as the longest time needs.
    """
    steps = times / chain.step
    whole = torch.floor(steps)
    fraction = (steps - whole).unsqueeze(-1)
    n_levels = chain.levels(float(times.max())) if times.numel() else 0
    levels = torch.arange(n_levels, dtype=times.dtype, device=times.device).unsqueeze(-1)
    return fraction, binary_digits(whole, levels)


def binary_digits(numbers: Tensor, levels: Tensor) -> Tensor:
    """Binary digits (n_levels, n_numbers, 1), bool, of whole numbers held as float64."""
    # Division by powers of two and the remainder are exact, however large the number.
    return torch.remainder(torch.floor(numbers / torch.exp2(levels)), 2.0).bool().unsqueeze(-1)


def within_step(chain: StepChain, start: Tensor, fraction: Tensor) -> tuple[Tensor, Tensor]:
    """Propagate rows by a fraction of the base step; returns them and the Horner sums (terms, rows, n)."""
    sums = start.new_empty(_SERIES_TERMS, *start.shape)
    partial = start
    base_t = chain.base.T
    for term in range(_SERIES_TERMS, 0, -1):
        sums[term - 1] = partial
        partial = torch.addcmul(start, fraction, torch.mm(partial, base_t), value=1.0 / term)
    return partial * torch.exp(-chain.exit * fraction), sums


class _Propagate(torch.autograd.Function):
    """Rows ``exp(K t) p`` with the exact adjoint for the rates and the starting rows."""

    @staticmethod
    def forward(ctx: Any, rates: Tensor, start: Tensor, times: Tensor, chain: StepChain) -> Tensor:  # noqa: ARG004
        fraction, bits = _binary_steps(chain, times)
        rows, partials = within_step(chain, start, fraction)
        n_levels = bits.shape[0]
        visited = start.new_empty(n_levels, *rows.shape)
        for level in range(n_levels):
            visited[level] = rows
            rows = torch.where(bits[level], torch.mm(rows, chain.powers[level].T), rows)
        ctx.step, ctx.exit = chain.step, chain.exit
        powers, sums = chain.powers[:n_levels], chain.sums[:n_levels]
        saved = (chain.base, chain.series, powers, sums, fraction, bits, partials, visited)
        ctx.save_for_backward(*saved)
        ctx.save_for_forward(*saved)
        return rows

    @staticmethod
    def jvp(ctx: Any, rates: Tensor | None, start: Tensor | None, *_: None) -> Tensor:
        """Tangent of the rows along tangents of the rates and of the starting rows."""
        base, series, powers, sums, fraction, bits, partials, visited = ctx.saved_tensors
        base_dot = torch.zeros_like(base) if rates is None else ctx.step * (rates - torch.diag(rates.sum(0)))
        dot = start_dot = torch.zeros_like(partials[0]) if start is None else start
        for term in range(_SERIES_TERMS, 0, -1):
            change = torch.mm(dot, base.T) + torch.mm(partials[term - 1], base_dot.T)
            dot = torch.addcmul(start_dot, fraction, change, value=1.0 / term)
        dot = dot * torch.exp(-ctx.exit * fraction)
        square_dot = torch.zeros_like(base)
        for term in range(_SERIES_TERMS, 0, -1):
            square_dot = (torch.mm(base_dot, series[term - 1]) + torch.mm(base, square_dot)) / term
        for level, power in enumerate(powers):
            power_dot = (square_dot - power * square_dot.sum(0, keepdim=True)) / sums[level]
            moved = torch.mm(dot, power.T) + torch.mm(visited[level], power_dot.T)
            dot = torch.where(bits[level], moved, dot)
            square_dot = torch.mm(power_dot, power) + torch.mm(power, power_dot)
        return dot

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        base, series, powers, sums, fraction, bits, partials, visited = ctx.saved_tensors
        n_levels = powers.shape[0]
        into = torch.zeros_like(visited)
        for level in range(n_levels - 1, -1, -1):
            torch.mul(grad, bits[level], out=into[level])
            grad = torch.where(bits[level], torch.mm(grad, powers[level]), grad)
        grad = grad * torch.exp(-ctx.exit * fraction)
        start_grad = grad.clone()
        scaled = torch.empty_like(partials)
        for term in range(1, _SERIES_TERMS + 1):
            torch.mul(grad, fraction, out=scaled[term - 1]).mul_(1.0 / term)
            grad = torch.mm(scaled[term - 1], base)
            start_grad += grad
        if not ctx.needs_input_grad[0]:
            return None, start_grad, None, None
        n = base.shape[0]
        base_grad = torch.mm(scaled.reshape(-1, n).T, partials.reshape(-1, n))
        if n_levels:
            power_grads = torch.bmm(into.transpose(1, 2), visited)
            base_grad += _chain_adjoint(power_grads, base, series, powers, sums)
        # The diagonal of B carries minus the exits, so a rate loses what its source's diagonal gains.
        rate_grad = ctx.step * (base_grad - base_grad.diagonal().unsqueeze(0))
        return rate_grad, start_grad, None, None


def _chain_adjoint(power_grads: Tensor, base: Tensor, series: Tensor, powers: Tensor, sums: Tensor) -> Tensor:
    """Carry the gradients of all powers back to ``B``; shapes as in `StepChain`, result (n, n)."""
    grad = torch.zeros_like(base)
    for level in range(powers.shape[0] - 1, -1, -1):
        grad = grad + power_grads[level]
        power = powers[level]
        square_grad = (grad - (grad * power).sum(0, keepdim=True)) / sums[level]
        if level == 0:
            break
        below = powers[level - 1].T
        grad = torch.addmm(torch.mm(below, square_grad), square_grad, below)
    total = torch.zeros_like(base)
    for term in range(1, _SERIES_TERMS + 1):
        total.addmm_(square_grad, series[term - 1].T, alpha=1.0 / term)
        square_grad = torch.mm(base.T, square_grad) / term
    return total


def propagate(rates: Tensor, start: Tensor, times: Tensor, *, chain: StepChain | None = None) -> Tensor:
    """Populations ``exp(K t) p`` for rows of starting populations and times.

    Parameters
    ----------
    rates : Tensor
        Off-diagonal rates (n, n), float64, ``rates[i, j]`` from j to i; the diagonal must be zero.
    start : Tensor
        Starting populations: (n,), common to all times, or (n_times, n).
    times : Tensor
        (n_times,), float64, finite and >= 0. Not differentiated: see `flow.time_derivative`.
    chain : StepChain, optional
        The chain of the same rates, where it was built already, for times at least as long.

    Returns
    -------
    Tensor
        (n_times, n). Differentiable once with respect to ``rates`` and ``start``.
    """
    times = times.detach()
    if chain is None:
        chain = chain_for(rates, times)
    rows = start.expand(times.shape[0], -1) if start.dim() == 1 else start
    result: Tensor = _Propagate.apply(rates, rows, times, chain)  # type: ignore[no-untyped-call]
    return result


def chain_for(rates: Tensor, times: Tensor) -> StepChain:
    """Build the chain that these times need."""
    return build_chain(rates.detach(), float(times.max()) if times.numel() else 0.0)
