"""Second derivatives of sums over restraints, each of which concerns a few atoms."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def local_curvature(term: Callable[[Tensor, Tensor], Tensor], values: Tensor, rows: Tensor) -> Tensor:
    """Second derivatives of each restraint by the values of its own atoms.

    Every restraint is given atoms of its own, so that one product with the Hessian of the sum has a column of each
    restraint's: k w products in place of as many as there are values.

    Parameters
    ----------
    term : callable
        Gives the sum over the restraints from values (m, w) and the rows (n, k) among them.
    values : Tensor
        (m, w), of all atoms.
    rows : Tensor
        (n, k), atoms of each restraint.

    Returns
    -------
    Tensor
        (n, k w, k w).
    """
    n, k = rows.shape
    width = k * values.shape[1]
    point = values[rows.flatten()].detach().requires_grad_()
    own = torch.arange(n * k, device=rows.device).reshape(n, k)
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(term(point, own), point, create_graph=True)
        columns = []
        for number in range(width):
            probe = torch.zeros(n, width, dtype=point.dtype, device=point.device)
            probe[:, number] = 1.0
            (column,) = torch.autograd.grad(gradient, point, probe.reshape(point.shape), retain_graph=True)
            columns.append(column.reshape(n, width))
    return torch.stack(columns, dim=2)
