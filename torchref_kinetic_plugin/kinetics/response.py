"""The instrument response: exact convolution of the kinetics with a Gaussian.

A probe of finite width sees ``Q(t) = integral of phi_sigma(t - s) P(s) ds``, where P is the state before
the trigger for s < 0 and ``exp(K s) p`` after it. The integral is taken over the kinetics themselves,
never over the measured times: Gauss-Legendre panels that are graded towards the trigger, down to the
fastest rate, and shared by all times. A time more than `WINDOW` widths after the trigger no longer sees
it, so there ``Q(t) = exp(K (t - t')) Q(t')`` with t' at the window's end, exactly.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from torchref_kinetic_plugin.kinetics.flow import relax, time_derivative, time_derivative_with_noise
from torchref_kinetic_plugin.kinetics.propagation import build_chain, propagate
from torchref_kinetic_plugin.kinetics.sensitivity import is_differentiated
from torchref_kinetic_plugin.kinetics.stationary import strong_components

#: Widths from the trigger beyond which its smearing is invisible (the Gaussian is 2e-27 there).
WINDOW = 11.0
#: Nodes and largest width (in sigma) of one panel; the Gaussian alone then costs an error below 1e-17.
_PANEL_NODES = 16
_PANEL_WIDTH = 3.0


@lru_cache(maxsize=64)
def _graded_mesh(n_graded: int, ratio: float) -> tuple[Tensor, Tensor]:
    """Nodes and weights (float64, 1-D) on [0, 2 WINDOW] with ``n_graded`` panels shrinking to 0."""
    widest = _PANEL_WIDTH / (1.0 - 1.0 / ratio)
    first = min(widest, 2.0 * WINDOW)
    graded = first * ratio ** -np.arange(n_graded, 0.0, -1.0)
    rest = math.ceil((2.0 * WINDOW - first) / _PANEL_WIDTH)
    edges = np.concatenate([[0.0], graded, np.linspace(first, 2.0 * WINDOW, rest + 1)])
    nodes, weights = np.polynomial.legendre.leggauss(_PANEL_NODES)
    half = np.diff(edges)[:, None] / 2.0
    return (
        torch.from_numpy((edges[:-1, None] + half * (1.0 + nodes)).ravel()),
        torch.from_numpy((half * weights).ravel()),
    )


@lru_cache(maxsize=256)
def _panel_ratio(pattern: bytes, n: int) -> float:
    """Ratio of neighbouring panels that 16 nodes resolve for every mode of a scheme.

    The eigenvalues of a rate matrix whose largest cycle has m states lie within pi/2 - pi/m of the
    negative real axis (Dmitriev & Dynkin 1946), so a mode turns at most so fast while it decays.

    Parameters
    ----------
    pattern : bytes
        Which of the n x n rates are not zero.
    n : int
        Number of states.
    """
    leads = torch.from_numpy(np.frombuffer(pattern, dtype=bool).reshape(n, n).copy())
    cycle = max(len(component) for component in strong_components(leads))
    return 1.0 + 1.2 * math.cos(max(0.0, math.pi / 2.0 - math.pi / max(cycle, 2)))


def _mesh(rates: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """Nodes and weights in units of sigma, graded down to the fastest rate."""
    fastest = float(rates.sum(0).max()) * width
    ratio = _panel_ratio((rates > 0.0).cpu().numpy().tobytes(), rates.shape[0])
    widest = _PANEL_WIDTH / (1.0 - 1.0 / ratio)
    # The panel at the trigger must resolve the fastest rate, and the Gaussian.
    smallest = min(_PANEL_WIDTH, 0.5 / fastest if fastest > 0.0 else math.inf)
    n_graded = max(1, math.ceil(math.log(widest / smallest) / math.log(ratio)))
    nodes, weights = _graded_mesh(n_graded, ratio)
    return nodes.to(rates), weights.to(rates)


def _gaussian(x: Tensor) -> Tensor:
    return torch.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def convolved_populations(rates: Tensor, after: Tensor, before: Tensor, delay: Tensor, sigma: Tensor) -> Tensor:
    """Populations seen through a Gaussian response.

    Parameters
    ----------
    rates : Tensor
        Off-diagonal rates (n, n), float64, ``rates[i, j]`` from j to i.
    after, before : Tensor
        Populations (n,) just after and before the trigger.
    delay : Tensor
        Times since the trigger (n_times,), float64, finite, any sign and order.
    sigma : Tensor
        Standard deviation of the response, scalar, > 0, in the unit of the times.

    Returns
    -------
    Tensor
        (n_times, n). Differentiable once with respect to every tensor.
    """
    # Value and slopes along t and sigma are separate: slopes come from relative-accurate derivatives.
    times, width = delay.detach(), float(sigma.detach())
    x = times / width
    inside = torch.nonzero(x.abs() <= WINDOW).flatten()
    later = torch.nonzero(x > WINDOW).flatten()
    elapsed = times[later] - WINDOW * width
    nodes, weights = _mesh(rates.detach(), width)
    longest = float(elapsed.max()) if later.numel() else 0.0
    chain = build_chain(rates.detach(), max(longest, 2.0 * WINDOW * width))
    # The last row is the end of the window, from which later times go on.
    rows = torch.cat([x[inside], x.new_tensor([WINDOW])])
    kernel = weights * _gaussian(nodes - rows.unsqueeze(-1))
    at_nodes = propagate(rates, after, nodes * width, chain=chain)
    near = before + torch.mm(kernel, at_nodes - before)
    result = before.expand(times.shape[0], -1).index_copy(0, inside, near[:-1])
    if later.numel():
        result = result.index_copy(0, later, propagate(rates, near[-1], elapsed, chain=chain))
    variables = [(delay - times).unsqueeze(-1), sigma - sigma.detach()]
    wanted = [number for number, variable in enumerate(variables) if is_differentiated(variable)]
    if wanted:
        with torch.no_grad():
            flow = time_derivative(rates, after, nodes * width, chain=chain)
            # With the jump J = after - before and the flow y = K exp(K s) p at s = v sigma:
            # dQ/dt = phi(x) J / sigma + integral phi y,  dQ/dsigma = -x phi(x) J / sigma - integral (x - v) phi y.
            jump = _gaussian(x).unsqueeze(-1) * (after - before) / width
            jumps = torch.stack([jump, -x.unsqueeze(-1) * jump])[wanted]
            kernels = torch.stack([kernel, kernel * (nodes - rows.unsqueeze(-1))])[wanted]
            slopes = torch.matmul(kernels, flow)
            along = jumps.index_add(1, inside, slopes[:, :-1])
            if later.numel():
                # Both obey the rate equation past the window; that its end moves with sigma cancels.
                ends = slopes[:, -1:].expand(-1, len(later), -1)
                late = relax(rates, ends.flatten(0, 1), elapsed.repeat(len(wanted)), chain=chain)
                late = late.reshape(ends.shape)
                if 0 in wanted:
                    # What was settled at the window's end is best carried on from there; what was not is
                    # best taken from the populations anew. Rounding tells which.
                    anew, noise = time_derivative_with_noise(rates, near[-1], elapsed, chain=chain)
                    carried = torch.finfo(anew.dtype).eps * slopes[0, -1].abs().max()
                    late[0] = torch.where(noise < carried, anew, late[0])
                along = along.index_add(1, later, late)
        for number, slope in zip(wanted, along, strict=True):
            result = result + slope * variables[number]
    return result
