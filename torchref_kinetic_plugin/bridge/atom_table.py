"""Structures as the atom tables that TorchRef reads, in the data's cell."""

from __future__ import annotations

import math
from typing import Any, cast

import gemmi
import numpy as np

from torchref_kinetic_plugin.bridge.crystal import Crystal, Floats
from torchref_kinetic_plugin.errors import CrystalError

Reader = Any


def reader_of(structure: gemmi.Structure, crystal: Crystal) -> Reader:
    """A callable as `ModelFT.load` wants it: (atom table, cell parameters, space group name).

    Parameters
    ----------
    structure : gemmi.Structure
        One model, in its own cell; alternative conformations are kept with their occupancies.
    crystal : Crystal
        Where it goes. Fractional coordinates are kept: with Cartesian ones, 0.2 % in the cell would move
        structure factors by 5 %.

    Raises
    ------
    CrystalError
        For no or several models, no cell, another space group, atoms without a known element, or
        symmetry-related copies that are not written out.
    """
    _check(structure, crystal)
    import pandas as pd

    rows = [_row(site) for site in structure[0].all()]
    table = pd.DataFrame(rows)
    table[["x", "y", "z"]] = _moved(structure, crystal, table[["x", "y", "z"]].to_numpy(dtype=np.float64))
    table["index"] = np.arange(len(table))
    table["serial"] = np.arange(1, len(table) + 1)
    return lambda: (table, crystal.parameters, crystal.space_group)


def occupancies_of(structure: gemmi.Structure) -> Floats:
    """(n_atoms,), in the order of the table."""
    return np.array([site.atom.occ for site in structure[0].all()])


def smallest_b(structure: gemmi.Structure) -> float:
    """Smallest B, or principal component of an anisotropic one, of any atom, A^2."""
    values = []
    for site in structure[0].all():
        atom = site.atom
        principal = min(atom.aniso.calculate_eigenvalues()) if atom.aniso.nonzero() else None
        values.append(atom.b_iso if principal is None else 8.0 * math.pi**2 * principal)
    return min(values)


def has_hydrogens(structure: gemmi.Structure) -> bool:
    """Whether any atom is hydrogen or deuterium."""
    return any(site.atom.is_hydrogen() for site in structure[0].all())


def _check(structure: gemmi.Structure, crystal: Crystal) -> None:
    name = structure.name or "structure"
    if len(structure) != 1:
        raise CrystalError(f"{name} has {len(structure)} models; give one structure for each")
    if not structure.cell.is_crystal():
        raise CrystalError(f"{name} has no unit cell")
    # gemmi returns None for a name it does not know, which its stubs do not say.
    found: gemmi.SpaceGroup | None = cast(
        "gemmi.SpaceGroup | None",
        gemmi.find_spacegroup_by_name(structure.spacegroup_hm, structure.cell.alpha, structure.cell.gamma),
    )
    if found is None or found.xhm() != crystal.space_group.xhm():
        raise CrystalError(
            f"{name} is in space group {structure.spacegroup_hm!r}, the data in {crystal.space_group.xhm()!r}"
        )
    if any(not operation.given for operation in structure.ncs):
        raise CrystalError(f"{name} has copies that are given by operators only; write them out as atoms")
    if structure[0].count_atom_sites() == 0:
        raise CrystalError(f"{name} has no atoms")
    for site in structure[0].all():
        # TorchRef lets an unknown element scatter as nothing.
        if not 1 <= site.atom.element.atomic_number <= 98:
            raise CrystalError(
                f"{name}: atom {site.atom.name} of {site.residue.name} {site.residue.seqid} in chain "
                f"{site.chain.name} has no known element"
            )


def _row(site: gemmi.CRA) -> dict[str, Any]:
    chain, residue, atom = site.chain, site.residue, site.atom
    u = atom.aniso
    anisotropic = u.nonzero()
    values = (u.u11, u.u22, u.u33, u.u12, u.u13, u.u23)
    # Deuterium scatters X-rays as hydrogen does, and TorchRef's table has no D.
    element = "H" if atom.element.atomic_number == 1 else atom.element.name
    row = {
        "ATOM": "HETATM" if residue.het_flag == "H" else "ATOM",
        "name": atom.name,
        "altloc": atom.altloc.strip("\0"),
        "resname": residue.name,
        "chainid": chain.name,
        "resseq": residue.seqid.num or 0,
        "icode": residue.seqid.icode.strip(),
        "x": atom.pos.x,
        "y": atom.pos.y,
        "z": atom.pos.z,
        "occupancy": atom.occ,
        "tempfactor": atom.b_iso,
        "element": element,
        "charge": atom.charge,
        "anisou_flag": anisotropic,
    }
    names = ("u11", "u22", "u33", "u12", "u13", "u23")
    return row | {k: (v if anisotropic else np.nan) for k, v in zip(names, values, strict=True)}


def _moved(structure: gemmi.Structure, crystal: Crystal, positions: Floats) -> Floats:
    transform = structure.cell.frac
    fractional = positions @ np.array(transform.mat.tolist()).T + np.array(transform.vec.tolist())
    return np.asarray(fractional @ crystal.orthogonalization.T)
