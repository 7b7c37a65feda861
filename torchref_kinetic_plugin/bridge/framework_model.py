"""One structure as TorchRef has it, and its atoms as tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import gemmi
import torch
from torch import Tensor

from torchref_kinetic_plugin.bridge.atom_table import has_hydrogens, occupancies_of, reader_of
from torchref_kinetic_plugin.bridge.crystal import Crystal
from torchref_kinetic_plugin.bridge.environment import framework

#: What may be free: Cartesian coordinates, isotropic B, anisotropic U.
KINDS = ("xyz", "adp", "u")


@final
@dataclass(frozen=True, eq=False)
class StructureAtoms:
    """Atoms of one structure in the data's cell.

    Attributes
    ----------
    xyz, b, u : Tensor
        (n, 3) Cartesian, A; (n,) B, 0 where anisotropic, and (n, 6) U, 0 where isotropic, A^2.
    anisotropic : Tensor
        (n,) bool.
    form : pair of Tensor
        (n, n_terms) amplitudes and widths of the form factors.
    """

    xyz: Tensor
    b: Tensor
    u: Tensor
    anisotropic: Tensor
    form: tuple[Tensor, Tensor]


def model_of(structure: gemmi.Structure, crystal: Crystal, options: dict[str, Any], free: frozenset[str]) -> Any:
    """TorchRef's ``ModelFT`` of a structure in a crystal, with what is free."""
    # Frames of riding hydrogens need the restraints (2 s); nothing rides where nothing moves.
    riding = "xyz" in free and has_hydrogens(structure)
    model = framework("model").ModelFT(hydrogen_mode="riding" if riding else "atoms", **options)
    model.load(reader_of(structure, crystal))
    occupancies = torch.as_tensor(occupancies_of(structure), dtype=options["dtype_float"])
    wrappers = framework("model.parameter_wrappers")
    model.occupancy = wrappers.OccupancyTensor(occupancies, use_sigmoid=False, device=options["device"])
    model.occupancy_mask.fill_(False)
    for kind in (*KINDS, "occupancy"):
        if kind not in free:
            model.freeze(kind)
    return model


def tables_of(model: Any) -> tuple[Any, Any]:
    """Coordinates, displacement, occupancies and form factors of isotropic and of anisotropic atoms."""
    isotropic, anisotropic = model.get_iso(), model.get_aniso()
    if model.wavelength is not None:
        isotropic, anisotropic, _ = model._add_anomalous_scattering(isotropic, anisotropic, include_fdp=False)
    return isotropic, anisotropic


@torch.no_grad()
def atoms_of(model: Any) -> StructureAtoms:
    """The atoms as they are, in the order of gemmi's ``model.all()``."""
    isotropic, anisotropic = tables_of(model)
    flags = torch.as_tensor(model.aniso_flag, dtype=torch.bool, device=isotropic[0].device)
    n, parts = len(flags), (~flags, flags)
    xyz, b, u = isotropic[0].new_zeros(n, 3), isotropic[0].new_zeros(n), isotropic[0].new_zeros(n, 6)
    form = tuple(isotropic[0].new_zeros(n, isotropic[which].shape[1]) for which in (3, 4))
    for chosen, table in zip(parts, (isotropic, anisotropic), strict=True):
        xyz[chosen] = table[0]
        form[0][chosen], form[1][chosen] = table[3], table[4]
    b[parts[0]], u[parts[1]] = isotropic[1], anisotropic[1]
    return StructureAtoms(xyz, b, u, flags, (form[0], form[1]))
