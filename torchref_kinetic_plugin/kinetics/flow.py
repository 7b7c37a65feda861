"""Net flows: time derivatives of populations, with small relative error however stiff the scheme is."""

from __future__ import annotations

import torch
from torch import Tensor

from torchref_kinetic_plugin.kinetics.propagation import (
    StepChain,
    binary_digits,
    chain_for,
    propagate,
    within_step,
)


@torch.no_grad()
def relax(rates: Tensor, moves: Tensor, times: Tensor, *, chain: StepChain | None = None) -> Tensor:
    """Propagate differences of populations, rows summing to zero, with small relative error.

    Such a row shrinks without bound as states equilibrate. Bijective binary digits (1 and 2 in place of 0
    and 1) pass it through every level of the chain, so that rounding noise contracts as the truth does,
    and the largest entry of each row is made to carry the rounding of the sum.

    Parameters
    ----------
    rates : Tensor
        Off-diagonal rates (n, n), as for `propagate`.
    moves : Tensor
        Rows (n_rows, n), each summing to zero.
    times : Tensor
        (n_rows,), finite and >= 0.
    chain : StepChain, optional
        As for `propagate`.

    Returns
    -------
    Tensor
        (n_rows, n), not differentiable.
    """
    if not times.numel():
        return torch.zeros_like(moves)
    if chain is None:
        chain = chain_for(rates, times)
    steps = times / chain.step
    whole = torch.floor(steps)
    rows, _ = within_step(chain, moves, (steps - whole).unsqueeze(-1))
    # A number with L such digits is 2^L - 1 plus the binary number whose bits are the digits less one.
    n_digits = torch.frexp(whole + 1.0).exponent - 1
    levels = torch.arange(chain.levels(float(times.max())), dtype=times.dtype, device=times.device).unsqueeze(-1)
    twice = binary_digits(whole + 1.0 - torch.exp2(n_digits.to(times)), levels)
    reached = (levels < n_digits).unsqueeze(-1)
    for level in range(levels.shape[0]):
        power = chain.powers[level].T
        once = torch.mm(rows, power)
        stepped = _conserved(torch.where(twice[level], torch.mm(once, power), once))
        rows = torch.where(reached[level], stepped, rows)
    return rows


def _conserved(rows: Tensor) -> Tensor:
    """Rows made to sum to zero by their largest entry, which alone carries the rounding of the sum."""
    largest = rows.abs().argmax(-1, keepdim=True)
    return rows.scatter_add(-1, largest, -rows.sum(-1, keepdim=True))


@torch.no_grad()
def time_derivative(rates: Tensor, start: Tensor, times: Tensor, *, chain: StepChain | None = None) -> Tensor:
    """Time derivative ``K exp(K t) p``, with small relative error however stiff ``K`` is.

    ``K P`` is a difference of huge equal fluxes where states are in fast equilibrium. The one-way fluxes
    along each transition j -> i are therefore taken at half the time, where they are sums of positive
    numbers, and ``exp(K t / 2) (e_i - e_j)``, which vanishes as the two states equilibrate, carries each
    of them through the other half.

    Parameters
    ----------
    rates : Tensor
        Off-diagonal rates (n, n), as for `propagate`.
    start : Tensor
        Populations (n,) at time zero.
    times : Tensor
        (n_times,), finite and >= 0.
    chain : StepChain, optional
        As for `propagate`.

    Returns
    -------
    Tensor
        (n_times, n), in populations per unit of time, not differentiable.
    """
    return _net_flow(rates, start, times, chain)[0]


@torch.no_grad()
def time_derivative_with_noise(
    rates: Tensor, start: Tensor, times: Tensor, *, chain: StepChain | None = None
) -> tuple[Tensor, Tensor]:
    """`time_derivative`, and beside it the size of its rounding (n_times, 1), in the same unit."""
    flow, gross = _net_flow(rates, start, times, chain)
    return flow, torch.finfo(flow.dtype).eps * gross


def _net_flow(rates: Tensor, start: Tensor, times: Tensor, chain: StepChain | None) -> tuple[Tensor, Tensor]:
    """Net flow (n_times, n), and the sum (n_times, 1) of what was added and taken away for it."""
    # A reversible pair is one path: its two fluxes push the same difference, in opposite directions.
    targets, sources = torch.nonzero(torch.tril(rates + rates.T), as_tuple=True)
    n, n_paths, n_times = rates.shape[0], targets.shape[0], times.shape[0]
    if n_paths == 0 or n_times == 0:
        return times.new_zeros(n_times, n), times.new_zeros(n_times, 1)
    if chain is None:
        chain = chain_for(rates, times)
    half = times / 2.0
    populations = propagate(rates, start, half, chain=chain)
    forth = rates[targets, sources] * populations[:, sources]
    back = rates[sources, targets] * populations[:, targets]
    identity = torch.eye(n, dtype=rates.dtype, device=rates.device)
    moves = identity[targets] - identity[sources]
    relaxed = relax(rates, moves.repeat(n_times, 1), half.repeat_interleave(n_paths), chain=chain)
    relaxed = relaxed.reshape(n_times, n_paths, n)
    flow = torch.einsum("te,ten->tn", forth - back, relaxed)
    gross = ((forth + back) * relaxed.abs().amax(-1)).sum(-1, keepdim=True)
    return flow, gross
