"""How far the residues of one structure lie from those of another."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import final

import numpy as np

from torchref_kinetic_plugin.structures.atoms import AtomTable, Flags, ResidueKey
from torchref_kinetic_plugin.structures.matching import displacement, same_sites
from torchref_kinetic_plugin.structures.structure import AtomicStructure


@final
@dataclass(frozen=True)
class ResidueDifference:
    """One residue in two structures.

    Attributes
    ----------
    residue : ResidueKey
        Which one.
    n_common : int
        Atom pairs compared.
    n_only_structure, n_only_reference : int
        Atoms, conformers counted apart, that were not compared.
    rms, maximum : float
        Displacement over the pairs, A; NaN where there are none.
    furthest : str
        The atom that moved furthest; empty where there are none.
    """

    residue: ResidueKey
    n_common: int
    n_only_structure: int
    n_only_reference: int
    rms: float
    maximum: float
    furthest: str


def residue_differences(
    structure: AtomicStructure,
    reference: AtomicStructure,
    *,
    hydrogens: bool = False,
    waters: bool = False,
) -> tuple[ResidueDifference, ...]:
    """Displacements by residue, in the reference's cell, fractional coordinates compared.

    Conformers of one name are compared; where the names do not meet, the most occupied ones.

    Parameters
    ----------
    structure, reference : AtomicStructure
        What to compare.
    hydrogens : bool
        Whether hydrogens count; they ride, so they add nothing to what their parents say.
    waters : bool
        Whether waters count; between models refined apart their numbers often name different ones.

    Returns
    -------
    tuple of ResidueDifference
        Every residue of either that counts: those of the reference in its order, then those it does not have.
    """
    here, there = same_sites(structure.atoms, reference.atoms)
    in_reference, in_structure = (
        _counts(atoms, _counting(atoms, hydrogens=hydrogens, waters=waters))
        for atoms in (reference.atoms, structure.atoms)
    )
    counting = _counting(structure.atoms, hydrogens=hydrogens, waters=waters)[here]
    here, there = here[counting], there[counting]
    lengths = np.linalg.norm(displacement(structure, reference, (here, there)), axis=1)
    pairs: defaultdict[ResidueKey, list[int]] = defaultdict(list)
    for number, place in enumerate(there.tolist()):
        pairs[reference.atoms.residues[place]].append(number)
    rows = []
    for residue in dict.fromkeys([*in_reference, *in_structure]):
        compared = pairs[residue]
        values = lengths[compared]
        furthest = compared[int(np.argmax(values))] if compared else -1
        rows.append(
            ResidueDifference(
                residue,
                len(compared),
                in_structure[residue] - len(compared),
                in_reference[residue] - len(compared),
                float(np.sqrt(np.mean(values**2))) if compared else math.nan,
                float(values.max()) if compared else math.nan,
                str(reference.atoms.atom_name[there[furthest]]) if compared else "",
            )
        )
    return tuple(rows)


def _counting(atoms: AtomTable, *, hydrogens: bool, waters: bool) -> Flags:
    return (hydrogens | ~atoms.hydrogen) & (waters | ~atoms.water)


def _counts(atoms: AtomTable, counting: Flags) -> Counter[ResidueKey]:
    return Counter(atoms.residues[number] for number in np.flatnonzero(counting).tolist())
