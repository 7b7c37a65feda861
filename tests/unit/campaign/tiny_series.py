"""A series of an octapeptide that moves at two residues: three delays, a second to refine."""

from __future__ import annotations

from pathlib import Path

import gemmi

from torchref_kinetic_plugin import simulate

TRUTH = Path(__file__).parents[3] / "example_data" / "photocycle" / "truth"
RESIDUES = range(1, 9)
MOVED = (4, 5)

SIMULATION = """
[simulation]
d_min = 2.5
free_fraction = 0.2
delays = ["100 ns", "1 us", "10 us"]
[structures]
states = [{name = "dark", file = "dark.pdb"}, {name = "I1", file = "i1.pdb"}]
[kinetics]
scheme = "A->B,B->A"
light_activated = true
state_mapping = {A = "dark", B = "I1"}
rate_constants = {"A->B" = "inf", "B->A" = "1/(2 us)"}
efficiencies = {"A->B" = 0.5}
"""

REFINEMENT = """
title = "An octapeptide"
[refinement]
starts = 1
[structures]
states = [{name = "dark", file = "dark.pdb"}, {name = "I1", file = "i1.pdb"}]
[[experiment]]
references = ["dark.mtz"]
timepoints = [
    {time = "100 ns", file = "t01.mtz"}, {time = "1 us", file = "t02.mtz"}, {time = "10 us", file = "t03.mtz"}
]
[kinetics]
scheme = "A->B,B->A"
light_activated = true
state_mapping = {A = "dark", B = "I1"}
rate_constants = {"A->B" = "inf", "B->A" = "1/(1 us)"}
efficiencies = {"A->B" = 0.5}
refine_efficiencies = ["A->B"]
[fixed.occupancies]
experiment_1 = {I1 = [0.48, 0.30, 0.01]}
[validation]
leave_out = false
free_occupancies = false
null_test = false
[output]
maps = false
plots = false
report = false
deposition = false
"""


def make_series(directory: Path) -> Path:
    """Simulate the series into a directory, and give its refinement file."""
    for name in ("dark", "i1"):
        peptide(name).write_pdb(str(directory / f"{name}.pdb"))
    (directory / "simulation.toml").write_text(SIMULATION)
    simulate(directory / "simulation.toml", directory)
    (directory / "refinement.toml").write_text(REFINEMENT)
    return directory / "refinement.toml"


def peptide(name: str) -> gemmi.Structure:
    """The first residues of ubiquitin in a small cell; two of them moved in ``"i1"``."""
    structure = gemmi.read_structure(str(TRUTH / "dark.pdb"))
    structure.cell = gemmi.UnitCell(24, 26, 22, 90, 90, 90)
    structure.spacegroup_hm = "P 21 21 21"
    model = structure[0]
    for chain in [each.name for each in model][1:]:
        model.remove_chain(chain)
    chain = model[0]
    for place in reversed(range(len(chain))):
        if chain[place].seqid.num not in RESIDUES:
            del chain[place]
    for residue in chain:
        if name == "i1" and residue.seqid.num in MOVED:
            for atom in residue:
                atom.pos = gemmi.Position(atom.pos.x + 0.6, atom.pos.y + 0.3, atom.pos.z)
    return structure
