"""Models that are wrong: refused with the structure, the file and what is wanted; or used, with a warning."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import gemmi
import pytest

from tests.integration.bad_input.inputs import Inputs

Change = Callable[[Inputs], object]
STRUCTURES = ("[refinement]", '[refinement]\nrefine = ["kinetics", "structures", "scale"]')
ALL_FIELDS = {"x": (30, 38), "occupancy": (54, 60), "B factor": (60, 66)}


def written(text: str) -> Change:
    return lambda inputs: inputs.write("i1.pdb", text)


def lines(change: Callable[[list[str]], list[str]]) -> Change:
    return lambda inputs: inputs.lines("i1.pdb", change)


def field(name: str, value: str) -> Change:
    """A value of the first atom as text."""
    start, end = ALL_FIELDS[name]

    def change(text: list[str]) -> list[str]:
        return [text[0], text[1][:start] + value.rjust(end - start) + text[1][end:], *text[2:]]

    return lines(change)


def structure(change: Callable[[gemmi.Structure], object], *names: str) -> Change:
    return lambda inputs: inputs.model(change, *(names or ("i1",)))


def in_group(name: str, made: gemmi.Structure) -> None:
    made.spacegroup_hm = name


def in_cell(cell: tuple[float, ...], made: gemmi.Structure) -> None:
    made.cell = gemmi.UnitCell(*cell)


def first_atom(made: gemmi.Structure, **values: object) -> None:
    for name, value in values.items():
        setattr(made[0][0][0][0], name, value)


def every_atom(made: gemmi.Structure, **values: object) -> None:
    for site in made[0].all():
        for name, value in values.items():
            setattr(site.atom, name, value)


def chain_named(name: str, made: gemmi.Structure) -> None:
    made[0][0].name = name


def residue_named(name: str, made: gemmi.Structure) -> None:
    made[0][0][3].name = name


def second_model(made: gemmi.Structure) -> None:
    made.add_model(made[0].clone())
    made.renumber_models()


def mmcif_with(old: str, new: str) -> Change:
    def change(inputs: Inputs) -> None:
        text = gemmi.read_structure(str(inputs.directory / "i1.pdb")).make_mmcif_document().as_string()
        assert old in text
        inputs.write("i1.pdb", text.replace(old, new, 1))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (written(""), "I1: 'i1.pdb' is empty"),
        (written("to be built\n"), "I1: 'i1.pdb' is neither a PDB nor an mmCIF file"),
        (lines(lambda text: text[:1]), "I1: 'i1.pdb' holds no atoms"),
        (lines(lambda text: [*text[:30], text[30][:40]]), "line 31: ATOM record cut short, after 40 of at least 66"),
        (lines(lambda text: text[1:]), "I1 (i1.pdb): no unit cell; a CRYST1 record (PDB) or _cell table (mmCIF) is"),
        (field("x", "nan"), "I1: 'i1.pdb': line 2: x of atom 'N   MET A   1' is 'nan', not a finite number"),
        (field("x", "********"), "line 2: x of atom 'N   MET A   1' is '********', not a finite number"),
        (field("occupancy", "nan"), "occupancy of atom 'N   MET A   1' is 'nan', not a finite number"),
        (field("B factor", "inf"), "B factor of atom 'N   MET A   1' is 'inf', not a finite number"),
        (mmcif_with("27.218", "nan"), "_atom_site.Cartn_x that is not a finite number: nan in row 1"),
        (mmcif_with("_atom_site.occupancy", "_atom_site.ocupancy"), "has no column _atom_site.occupancy"),
        (structure(partial(in_group, "P 9 9 9")), "unknown space group 'P 9 9 9'; allowed: Hermann-Mauguin names"),
        (structure(partial(in_group, "P 1")), "space group 'P 1' in 'i1.pdb', but 'P 21 21 21' in 'dark.pdb' (dark)"),
        (structure(partial(in_group, "P 1"), "dark", "i1"),
         "experiment_1: dark: space group 'P 1' in 'dark.pdb', but 'P 21 21 21' in the data; model and data share one"),
        (structure(partial(in_group, "P 2 2 2"), "dark", "i1"),
         "the point group is the same, so one of the two may be mislabelled; model and data share one crystal"),
        (structure(partial(in_cell, (24, 26, 30, 90, 90, 90))), "cell differs from that of dark by 36.36 %"),
        (structure(partial(in_cell, (24, 26, 30, 90, 90, 90)), "dark", "i1"),
         "the cell of the model and that of the data differ by 26.7 % (24 26 30 90 90 90 and 24 26 22 90 90 90)"),
        (structure(partial(in_cell, (24, 26, 22, 90, 100, 90))), "cell 24 26 22 90 100 90 does not fit the space group"),
        (structure(partial(in_cell, (24, 26, 0, 90, 90, 90))), "impossible unit cell 24 26 0 90 90 90"),
        (structure(lambda made: made[0][0][0].add_atom(made[0][0][0][0])),
         "I1 (i1.pdb): 1 atom more than once: A/MET 1/N; distinguish them by chain, residue number or altloc"),
        (structure(partial(chain_named, "Z")),
         "no atoms in common with dark, by chain, residue and atom name; I1 has chains Z; dark has chains A"),
        (structure(partial(first_atom, occ=2.0)), "1 atom with an occupancy outside [0, 1]: A/MET 1/N"),
        (structure(partial(first_atom, b_iso=-5.0)), "1 atom with a negative B factor: A/MET 1/N"),
        (structure(partial(first_atom, element=gemmi.Element("X"))), "1 atom of no known element: A/MET 1/N; fill in"),
        (structure(partial(every_atom, occ=0.0)), "I1 (i1.pdb): all atoms have occupancy zero: nothing scatters"),
        (structure(second_model), "I1: 'i1.pdb' holds 2 models; one is wanted where each structure has its file"),
    ],
)  # fmt: skip
def test_refused(inputs: Inputs, capsys: pytest.CaptureFixture[str], change: Change, message: str) -> None:
    change(inputs)
    inputs.refused(capsys, message)


def test_an_unknown_residue_needs_restraints_where_atoms_are_refined(
    inputs: Inputs, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs.model(partial(residue_named, "LIG"))
    message = "no restraints for LIG (1 residue: A/LIG 4), which is no standard residue; add a file LIG.cif"
    inputs.accepted(capsys, f"Warnings\n- {message}")
    inputs.edit(*STRUCTURES)
    inputs.refused(capsys, message)


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (lines(lambda text: text[:30]),
         ("I1: no END record; the file may have been cut short", "I1: 38 atoms that other structures have are missing")),
        (structure(partial(in_cell, (24.1, 26, 22, 90, 90, 90))), ("cell differs from that of dark by 0.417 %",)),
        (structure(partial(in_cell, (24.6, 26, 22, 90, 90, 90)), "dark", "i1"),
         ("experiment_1: the cell of the models and that of the data differ by up to 2.4 %; the models are moved",)),
        (structure(partial(every_atom, b_iso=0.0)), ("I1: 67 atoms with a B factor of zero, which cannot be refined",)),
        (structure(partial(first_atom, occ=0.0)), ("I1: 1 atom with occupancy zero, which do not scatter: A/MET 1/N",)),
        (lambda inputs: inputs.write("i1.pdb", (inputs.directory / "dark.pdb").read_text()),
         ("I1: every atom is as in dark; at these structures no data can tell their occupancies apart",)),
        (structure(lambda made: every_atom(made, pos=gemmi.Position(5, 5, 5))), ("I1: 67 atoms over 5 A from their",)),
    ],
)  # fmt: skip
def test_warned(inputs: Inputs, capsys: pytest.CaptureFixture[str], change: Change, messages: tuple[str, ...]) -> None:
    change(inputs)
    said = inputs.accepted(capsys, *messages)
    assert "1,738 observations to refine against, 397 free; 2 parameters" in said
