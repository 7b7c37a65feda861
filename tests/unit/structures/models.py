"""Small structures, their files, and what the tests of the structures room change in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import gemmi
import numpy as np

from torchref_kinetic_plugin.structures import AtomicStructure

#: Repository data that is not shipped; tests that need it skip when it is absent.
DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "hewl_tjump"
CELL = (30.0, 40.0, 50.0, 90.0, 90.0, 90.0)
BACKBONE = (("N", "N"), ("CA", "C"), ("C", "C"), ("O", "O"), ("CB", "C"))


def atom(
    name: str,
    element: str,
    xyz: Sequence[float],
    *,
    altloc: str = "\0",
    occupancy: float = 1.0,
    b_iso: float = 20.0,
) -> gemmi.Atom:
    made = gemmi.Atom()
    made.name, made.element, made.pos = name, gemmi.Element(element), gemmi.Position(*xyz)
    made.altloc, made.occ, made.b_iso = altloc, occupancy, b_iso
    return made


def residue(name: str, number: int, atoms: Sequence[gemmi.Atom], *, het: bool = False) -> gemmi.Residue:
    made = gemmi.Residue()
    made.name, made.seqid, made.het_flag = name, gemmi.SeqId(str(number)), "H" if het else "A"
    for each in atoms:
        made.add_atom(each)
    return made


def peptide(
    *,
    n_residues: int = 4,
    group: str = "P 21 21 21",
    cell: Sequence[float] = CELL,
    seed: int = 0,
    waters: int = 2,
) -> gemmi.Structure:
    """Alanines at random places, rounded to the three decimals of a PDB file, and waters in a chain of their own."""
    random = np.random.default_rng(seed)
    made = gemmi.Structure()
    made.name, made.cell, made.spacegroup_hm = "small", gemmi.UnitCell(*cell), group
    model, chain, solvent = gemmi.Model(1), gemmi.Chain("A"), gemmi.Chain("W")
    for number in range(1, n_residues + 1):
        atoms = [atom(n, e, random.uniform(1.0, 25.0, 3).round(3)) for n, e in BACKBONE]
        chain.add_residue(residue("ALA", number, atoms))
    for number in range(1, waters + 1):
        place = random.uniform(1.0, 25.0, 3).round(3)
        solvent.add_residue(residue("HOH", number, [atom("O", "O", place)], het=True))
    model.add_chain(chain)
    if waters:
        model.add_chain(solvent)
    made.add_model(model)
    made.setup_entities()
    return made


def disordered(conformers: dict[str, float], number: int = 2, **options: object) -> gemmi.Structure:
    """A peptide in which CB of one residue has conformers with these occupancies, 1 A apart."""
    made = peptide(**options)  # type: ignore[arg-type]
    place = made[0]["A"][str(number)][0]
    start = place["CB"][0].pos.tolist()
    place.remove_atom("CB", "\0")
    for step, (altloc, occupancy) in enumerate(conformers.items()):
        place.add_atom(atom("CB", "C", [start[0] + step, *start[1:]], altloc=altloc, occupancy=occupancy))
    return made


def named(structure: gemmi.Structure, name: str = "s") -> AtomicStructure:
    return AtomicStructure.from_gemmi(structure, name)


def moved(structure: gemmi.Structure, change: Callable[[gemmi.CRA], Sequence[float]]) -> gemmi.Structure:
    """A copy whose atoms are displaced by what ``change`` says of each."""
    copy = structure.clone()
    for site in copy[0].all():
        step = change(site)
        site.atom.pos = gemmi.Position(*(np.array(site.atom.pos.tolist()) + step))
    return copy


def pdb(path: Path, structure: gemmi.Structure) -> Path:
    path.write_text(structure.make_pdb_string())
    return path


def cif(path: Path, structure: gemmi.Structure) -> Path:
    path.write_text(structure.make_mmcif_document().as_string())
    return path
