"""Whether a ligand is in excess of the molecules that bind it, as pseudo-first order wants."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torchref_kinetic_plugin.workflow.loaded import LoadedExperiment

#: Excess from which a concentration changes by less than a tenth while all molecules bind.
_EXCESS = 10.0
#: Residues of a chain that is a molecule of its own, not a peptide or a ligand.
_RESIDUES = 20
#: Molecules per cubic angstrom of 1 mol/L.
_PER_MOLAR = 6.02214076e-4


def ligand_remark(experiment: LoadedExperiment) -> str | None:
    """One sentence where the ligand is not in excess of what the crystal holds; None where it is, or there is none."""
    concentration = experiment.settings.concentration_molar
    if concentration is None:
        return None
    atoms = experiment.structures.structures[0].atoms
    polymer = {each for each, water in zip(atoms.residues, atoms.water.tolist(), strict=True) if not water}
    residues = Counter(each.chain for each in polymer)
    chains = max(1, sum(count >= _RESIDUES for count in residues.values()))
    n_molecules = chains * len(experiment.grid.spacegroup.operations())
    held = n_molecules / (experiment.grid.cell.volume * _PER_MOLAR)
    if concentration >= _EXCESS * held:
        return None
    return (
        f"{experiment.settings.name}: the ligand, {1e3 * concentration:.3g} mM, is not in excess of the molecules in "
        f"the crystal, {1e3 * held:.3g} mM ({chains} in the asymmetric unit): its concentration falls while they bind, "
        "and pseudo-first order holds only at the beginning"
    )
