"""The stationary state that a scheme reaches: populations at t = infinity."""

from __future__ import annotations

import torch
from torch import Tensor


def strong_components(reaches: Tensor) -> list[list[int]]:
    """Group states that can reach each other.

    Parameters
    ----------
    reaches : Tensor
        (n, n) bool, ``reaches[i, j]`` where one transition leads from j to i.

    Returns
    -------
    list of list of int
        The strongly connected components, each sorted, in order of their first state.
    """
    n = reaches.shape[0]
    closure = reaches.detach().cpu() | torch.eye(n, dtype=torch.bool)
    for through in range(n):
        closure = closure | (closure[:, through : through + 1] & closure[through : through + 1, :])
    mutual = closure & closure.T
    return [
        torch.nonzero(mutual[:, state]).flatten().tolist()
        for state in range(n)
        if int(torch.nonzero(mutual[:, state])[0]) == state
    ]


def stationary_populations(rates: Tensor, start: Tensor) -> Tensor:
    """Populations at t = infinity, reached from a start.

    Transient states are removed one by one, handing their population and their traffic to the states
    they lead to; what is left are closed classes, each with one stationary distribution, found by the
    same elimination (Grassmann, Taksar & Heyman 1985, Oper. Res. 33, 1107-1116). No step subtracts, so
    the result keeps its relative accuracy for rates of any ratio.

    Parameters
    ----------
    rates : Tensor
        Off-diagonal rates (n, n), float64, ``rates[i, j]`` from j to i.
    start : Tensor
        Populations (n,) from which the state evolves.

    Returns
    -------
    Tensor
        (n,). Differentiable with respect to both arguments.
    """
    leads = rates.detach() > 0.0
    components = strong_components(leads)
    closed = [c for c in components if not bool(_exits(leads, c).any())]
    kept = [state for component in closed for state in component]
    mass = start
    traffic = rates
    states = torch.arange(rates.shape[0], device=rates.device)
    alive = torch.ones_like(states, dtype=torch.bool)
    for state in range(rates.shape[0]):
        if state in kept:
            continue
        alive = alive & (states != state)
        out = traffic[:, state] * alive
        share = out / out.sum()
        mass = (mass + share * mass[state]) * alive
        traffic = traffic + torch.outer(share, traffic[state, :]) * alive
        traffic = traffic * ~torch.eye(rates.shape[0], dtype=torch.bool, device=rates.device)
    result = torch.zeros_like(start)
    for component in closed:
        index = torch.tensor(component, device=rates.device)
        within = _class_distribution(traffic[index][:, index])
        result = result.index_add(0, index, within * mass[index].sum())
    return result


def _exits(leads: Tensor, component: list[int]) -> Tensor:
    outside = torch.ones(leads.shape[0], dtype=torch.bool, device=leads.device)
    outside[component] = False
    return leads[:, component][outside]


def _class_distribution(rates: Tensor) -> Tensor:
    """Stationary distribution (n,) of one closed class with off-diagonal rates (n, n)."""
    n = rates.shape[0]
    returns: list[Tensor] = []
    for last in range(n - 1, 0, -1):
        share = rates[:last, last] / rates[:last, last].sum()
        # Population of `last` per population of each earlier state, while only those are watched.
        returns.append(rates[last, :last] / rates[:last, last].sum())
        rates = rates[:last, :last] + torch.outer(share, rates[last, :last])
    weights = rates.new_ones(1)
    for ratio in reversed(returns):
        weights = torch.cat([weights, (ratio * weights).sum().reshape(1)])
    return weights / weights.sum()
