"""Atoms that the differences between timepoints and reference point at, before any intermediate is known."""

from __future__ import annotations

import numpy as np
import torch

from torchref_kinetic_plugin.bridge.shared_atoms import AtomValues, SharedAtomBank
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats

#: Electrons of an atom by which its gradient is divided are not below this.
_LEAST_ELECTRONS = 1.0


def difference_signal(model: ExperimentModel, bank: SharedAtomBank) -> Floats:
    """How strongly each timepoint pulls at each atom of the reference, in standard deviations.

    The likelihood's derivative in the atoms' coordinates, each timepoint taken to be the reference: what the gradient
    of a difference map is, with all its weights. Most atoms of a crystal do not move, so the spread over all of them is
    the noise.

    Parameters
    ----------
    model : ExperimentModel
        Of which the first structure is the reference.
    bank : SharedAtomBank
        The reference alone, all of its atoms moving.

    Returns
    -------
    ndarray
        (n_timepoints, n_atoms), length of the pull; 1.5 is usual.
    """
    xyz = bank.start.xyz.clone().requires_grad_()
    factors = bank.structure_factors(AtomValues(xyz, bank.start.b, bank.start.u))[0]
    alone = torch.as_tensor(model.reference_occupancies).unsqueeze(1).expand(-1, model.n_timepoints)
    force = model.evaluate(alone).scores.mixture[model.data.n_references :].clone()
    force[:, torch.as_tensor(~model.work, device=force.device)] = 0.0
    electrons = bank.electrons.clamp(min=_LEAST_ELECTRONS).cpu().numpy()
    rows = []
    for number, each in enumerate(force):
        pull = (each.real * factors.real + each.imag * factors.imag).sum()
        (gradient,) = torch.autograd.grad(pull, xyz, retain_graph=number + 1 < len(force))
        each_atom = gradient.cpu().numpy() / electrons[:, None]
        noise = 1.4826 * np.median(np.abs(each_atom), axis=0)
        rows.append(np.linalg.norm(each_atom / np.maximum(noise, 1e-300), axis=1))
    return np.array(rows).reshape(len(force), bank.n_rows)
