"""Absolute scale and bulk solvent of a dataset, by TorchRef's own scaler."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchref_kinetic_plugin.bridge.crystal import Crystal, Floats, Indices
from torchref_kinetic_plugin.bridge.environment import framework, quiet, settings
from torchref_kinetic_plugin.bridge.robust_weights import measured
from torchref_kinetic_plugin.errors import ScalingError, ShapeError
from torchref_kinetic_plugin.reflections.asymmetric_unit import reflection_keys

_DTYPE = torch.float64

#: Decimals of the numbers that describe scale and solvent.
_DECIMALS = 4


@final
@dataclass(frozen=True)
class AbsoluteScale:
    """F(h) = scale(h) | F_atoms(h) + mask_scale(h) F_mask(h) |.

    TorchRef's scale is exp of a polynomial in 1 / 2d, and its anisotropy is applied to the atoms alone; both are
    the same thing written with ``mask_scale`` divided by that anisotropy.

    Attributes
    ----------
    scale, mask_scale : ndarray
        (H,) float64; for every reflection asked for, those without an observation included. Beyond the
        resolution of the data the polynomial is continued with its last value.
    k_sol : float
        Density of the bulk solvent, e/A^3.
    b_sol : float
        B that falls off most like TorchRef's solvent term, A^2.
    r_work, r_free : float
        Of the dataset; R-free is NaN without a free set.
    """

    scale: Floats
    mask_scale: Floats
    k_sol: float
    b_sol: float
    r_work: float
    r_free: float


def fit_absolute_scale(
    amplitudes: Floats,
    sigmas: Floats,
    hkl: Indices,
    crystal: Crystal,
    *,
    atoms: Tensor,
    masks: Tensor,
    free: NDArray[np.bool_] | None = None,
) -> AbsoluteScale:
    """Scale a model to a dataset.

    Parameters
    ----------
    amplitudes, sigmas : ndarray
        (H,), NaN where missing.
    hkl : ndarray
        (H, 3).
    crystal : Crystal
        Cell and space group.
    atoms, masks : Tensor
        (H,) complex, of the model of this dataset: one structure, or the sum over structures with the
        occupancies of the state that was measured.
    free : ndarray of bool, optional
        (H,), the free set; neither fitted nor counted in R-work.

    Returns
    -------
    AbsoluteScale
        On all H reflections.

    Raises
    ------
    ScalingError
        When too few reflections are left, or TorchRef's fit fails.
    """
    n = len(hkl)
    if not n == len(amplitudes) == len(sigmas) == len(atoms) == len(masks):
        raise ShapeError(f"arrays for {n} reflections differ in length")
    free = np.zeros(n, dtype=np.bool_) if free is None else np.asarray(free, dtype=np.bool_)
    seen = np.flatnonzero(measured(amplitudes, sigmas) & (np.nan_to_num(amplitudes) > 0.0))
    if (~free[seen]).sum() < 100:
        raise ScalingError(f"only {int((~free[seen]).sum())} reflections to find scale and bulk solvent with")
    with settings(dtype=_DTYPE), quiet():
        scaler = _fitted(amplitudes, sigmas, np.asarray(hkl), crystal, atoms, masks, free, seen)
        scale, mask_scale, b_sol = _evaluated(scaler, np.asarray(hkl), crystal)
    k_sol = float(scaler.solvent.k_solvent().detach())
    if not (np.isfinite(scale).all() and np.isfinite(mask_scale).all() and math.isfinite(k_sol)):
        raise ScalingError("TorchRef's fit of scale and bulk solvent gave numbers that are not finite")
    total = atoms.detach().cpu().numpy() + mask_scale * masks.detach().cpu().numpy()
    calculated = scale * np.abs(total)
    work = seen[~free[seen]]
    r_work = r_factor(amplitudes[work], calculated[work])
    r_free = r_factor(amplitudes[seen[free[seen]]], calculated[seen[free[seen]]])
    return AbsoluteScale(scale, mask_scale, k_sol, b_sol, r_work, r_free)


def r_factor(observed: Floats, calculated: Floats) -> float:
    """R, sum |F_obs - F_calc| / sum F_obs; NaN without reflections."""
    total = float(np.abs(observed).sum())
    return float(np.abs(observed - calculated).sum()) / total if total else math.nan


def _fitted(
    amplitudes: Floats,
    sigmas: Floats,
    hkl: Indices,
    crystal: Crystal,
    atoms: Tensor,
    masks: Tensor,
    free: NDArray[np.bool_],
    seen: NDArray[np.intp],
) -> Any:
    torchref, solvent = framework(), framework("scaling.solvent").SolventModel
    canonical = crystal.to_asu(hkl[seen])
    data = torchref.ReflectionData.from_tensors(
        torch.as_tensor(canonical),
        torch.as_tensor(amplitudes[seen], dtype=_DTYPE),
        torch.as_tensor(sigmas[seen], dtype=_DTYPE),
        crystal.parameters,
        crystal.space_group,
        rfree_flags=torch.as_tensor(~free[seen]),
        verbose=0,
        device="cpu",
        friedel_merged=True,
    )
    # TorchRef sorts. Atoms and mask of an equivalent reflection share their phase shift, so
    # amplitudes of the sum may be moved as they are.
    ours, theirs = reflection_keys(canonical), reflection_keys(data.hkl.numpy())
    order = np.argsort(ours)
    rows = seen[order[np.searchsorted(ours, theirs, sorter=order)]]
    f_atoms = atoms.detach().cpu()[rows].to(torch.complex128)
    f_masks = masks.detach().cpu()[rows].to(torch.complex128)
    scaler = torchref.ScalerBase(data, verbose=0)
    scaler.calc_initial_scale(f_atoms)
    term = solvent(None, k_solvent=0.35, verbose=0, device="cpu")
    # The mask is that of a mixture, which TorchRef's own solvent model, one structure's, cannot make.
    term.get_rec_solvent = lambda _: f_masks
    scaler.set_solvent_model(term)
    scaler.setup_anisotropy_correction()
    scaler.refine_lbfgs(f_atoms, nsteps=5, verbose=False)
    with torch.no_grad():
        # Sums over arrays that lie elsewhere in memory are rounded otherwise; what is left of that is not worth having
        # two runs of the same file differ.
        for parameter in {id(p): p for p in (*scaler.parameters(), *scaler.solvent.parameters())}.values():
            parameter.copy_(torch.round(parameter, decimals=_DECIMALS))
    return scaler


@torch.no_grad()
def _evaluated(scaler: Any, hkl: Indices, crystal: Crystal) -> tuple[Floats, Floats, float]:
    # In the asymmetric unit that was fitted: TorchRef's anisotropy has six numbers whatever the symmetry.
    s = torch.as_tensor(crystal.scattering_vectors(crystal.to_asu(hkl)))
    half = 0.5 * s.norm(dim=1)
    fitted = torch.sqrt(scaler._s_half_sq)
    design = framework("scaling.basis").chebyshev_design(half, scaler.n_iso_coeff, lo=fitted.min(), hi=fitted.max())
    u = framework("base.targets.adp").U_to_matrix(scaler.U)
    anisotropy = torch.exp((-2.0 * math.pi**2 * ((s @ u) * s).sum(dim=1)).clamp(-10.0, 10.0))
    scale = torch.exp(scaler.iso_log_scale(design)) * anisotropy
    solvent = scaler.solvent
    mask_scale = solvent.k_solvent() * solvent.damping(half**2) / anisotropy
    b_sol = float(solvent.b_solvent_equivalent(half**2))
    return scale.numpy(), mask_scale.numpy(), b_sol
