"""Bulk solvent around structures."""

from __future__ import annotations

from torch import Tensor


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
