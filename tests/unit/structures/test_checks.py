from __future__ import annotations

from collections.abc import Callable

import gemmi
import pytest

from tests.unit.structures import models
from torchref_kinetic_plugin.errors import FileError, InputError
from torchref_kinetic_plugin.structures import LoadingOptions, Severity, load_files
from torchref_kinetic_plugin.structures.checks import crystal_findings
from torchref_kinetic_plugin.structures.restraints import is_standard, read_monomers


def _load(tmp_path, structures, options=None):
    files = {name: models.cif(tmp_path / f"{name}.cif", each) for name, each in structures.items()}
    return load_files(files, options)


def _failure(tmp_path, structures, options=None) -> list[str]:
    with pytest.raises(InputError) as failure:
        _load(tmp_path, structures, options)
    return str(failure.value).splitlines()


def _changed(change: Callable[[gemmi.Structure], object], **options) -> gemmi.Structure:
    structure = models.peptide(**options)
    change(structure)
    return structure


def _set(name: str, value: object) -> Callable[[gemmi.Structure], object]:
    return lambda structure: setattr(structure[0]["A"]["1"][0]["CB"][0], name, value)


# the crystal


def test_every_error_of_every_structure_is_reported_with_its_file(tmp_path) -> None:
    no_cell = models.peptide()
    no_cell.cell = gemmi.UnitCell()
    wrong = models.peptide()
    wrong.spacegroup_hm = "Q 21"
    models.pdb(tmp_path / "a.pdb", no_cell)
    path = models.pdb(tmp_path / "b.pdb", wrong)
    (tmp_path / "a.pdb").write_text(
        "".join(line for line in (tmp_path / "a.pdb").read_text().splitlines(True) if "CRYST1" not in line)
    )
    with pytest.raises(InputError) as failure:
        load_files({"dark": tmp_path / "a.pdb", "I1": path})
    lines = str(failure.value).splitlines()
    assert lines[0] == (
        f"dark ({tmp_path / 'a.pdb'}): no unit cell; a CRYST1 record (PDB) or _cell table (mmCIF) is needed"
    )
    assert lines[1].startswith(f"dark ({tmp_path / 'a.pdb'}): no space group; the file needs one")
    assert lines[2] == (
        f"I1 ({path}): unknown space group 'Q 21'; allowed: Hermann-Mauguin names such as 'P 21 21 21' or 'P 1 21 1'"
    )


def test_a_cell_with_a_length_of_zero(tmp_path) -> None:
    path = models.pdb(tmp_path / "a.pdb", models.peptide())
    path.write_text(path.read_text().replace("   40.000", " ********", 1))
    with pytest.raises(InputError, match="impossible unit cell 30 0 50 90 90 90"):
        load_files({"dark": path})


def test_copies_given_by_operators_only(tmp_path) -> None:
    path = models.pdb(tmp_path / "a.pdb", models.peptide())
    matrix = "".join(
        f"MTRIX{row}   1{values}        5.00000\n"
        for row, values in enumerate(
            (" -1.000000  0.000000  0.000000", "  0.000000 -1.000000  0.000000", "  0.000000  0.000000  1.000000"), 1
        )
    )
    head, rest = path.read_text().split("ATOM", 1)
    path.write_text(head + matrix + "ATOM" + rest)
    with pytest.raises(InputError, match=r"copies given by operators only \(MTRIX records\)"):
        load_files({"dark": path})


@pytest.mark.parametrize(
    ("group", "cell", "fits"),
    [
        ("P 43 21 2", (30, 30, 50, 90, 90, 90), True),
        ("P 43 21 2", (30, 30.05, 50, 90, 90, 90), True),
        ("P 43 21 2", (30, 31, 50, 90, 90, 90), False),
        ("P 21 21 21", (30, 31, 50, 90, 90.2, 90), True),
        ("P 21 21 21", (30, 31, 50, 90, 92, 90), False),
        ("P 1 21 1", (30, 31, 50, 90, 110, 90), True),
        ("P 1 21 1", (30, 31, 50, 90, 90, 110), False),
        ("P 31 2 1", (30, 30, 50, 90, 90, 120), True),
        ("R 3:R", (30, 30, 30, 80, 80, 80), True),
        ("I 2 3", (30, 30, 50, 90, 90, 90), False),
        ("P 1", (30, 31, 32, 80, 95, 101), True),
    ],
)
def test_the_cell_fits_the_space_group(group, cell, fits) -> None:
    structure = models.peptide(group=group, cell=cell)
    texts = [finding.text for finding in crystal_findings("s", structure)]
    assert len(texts) == (0 if fits else 1)
    assert fits or f"does not fit the space group {group!r}" in texts[0]


def test_different_space_groups(tmp_path) -> None:
    lines = _failure(tmp_path, {"dark": models.peptide(), "I1": models.peptide(group="P 21 21 2")})
    assert lines == [
        f"I1: space group 'P 21 21 2' in {str(tmp_path / 'I1.cif')!r}, but 'P 21 21 21' in "
        f"{str(tmp_path / 'dark.cif')!r} (dark); all structures share one crystal"
    ]


def test_cells_too_far_apart_and_cells_close_enough(tmp_path) -> None:
    far = models.peptide(cell=(30.6, 40, 50, 90, 90, 90))
    assert _failure(tmp_path, {"dark": models.peptide(), "I1": far}) == [
        "I1: cell differs from that of dark by 2.00 % and 0.00 deg (30.6 40 50 90 90 90 and 30 40 50 90 90 90); "
        "allowed: 1 % and 1 deg"
    ]
    slanted = {
        name: models.peptide(group="P 1 21 1", cell=(30, 40, 50, 90, beta, 90))
        for name, beta in (("dark", 100.0), ("I1", 102.5))
    }
    assert "I1: cell differs from that of dark by 0.00 % and 2.50 deg" in _failure(tmp_path, slanted)[0]
    close = models.peptide(cell=(30.06, 40, 50, 90, 90, 90))
    report = _load(tmp_path, {"dark": models.peptide(), "I1": close}).report
    assert "cell differs from that of dark by 0.200 %" in report.about("I1")[0].text
    assert report.about("I1")[0].severity is Severity.NOTE


# the atoms


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("occ", 1.2), "1 atom with an occupancy outside [0, 1]: A/ALA 1/CB"),
        (_set("occ", -0.1), "1 atom with an occupancy outside [0, 1]: A/ALA 1/CB"),
        (_set("b_iso", -3.0), "1 atom with a negative B factor: A/ALA 1/CB"),
        (_set("element", gemmi.Element("X")), "1 atom of no known element: A/ALA 1/CB; fill in the element column"),
        (
            lambda s: s[0]["A"]["1"][0].add_atom(models.atom("CB", "C", [1, 1, 1])),
            "1 atom more than once: A/ALA 1/CB; distinguish them by chain, residue number or altloc",
        ),
    ],
)
def test_impossible_atoms(tmp_path, change, message) -> None:
    assert _failure(tmp_path, {"dark": _changed(change)}) == [f"dark ({tmp_path / 'dark.cif'}): {message}"]


def test_nan_coordinates_never_get_through(tmp_path) -> None:
    nan = _changed(lambda s: setattr(s[0]["A"]["1"][0]["CB"][0], "pos", gemmi.Position(float("nan"), 1, 1)))
    with pytest.raises(FileError, match="_atom_site.Cartn_x that is not a finite number"):
        _load(tmp_path, {"dark": nan})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("occ", 0.0), "dark: 1 atom with occupancy zero, which do not scatter: A/ALA 1/CB"),
        (_set("b_iso", 0.0), "dark: 1 atom with a B factor of zero, which cannot be refined: A/ALA 1/CB"),
        (
            _set("aniso", gemmi.SMat33f(0.1, 0.1, -0.1, 0, 0, 0)),
            "dark: 1 atom with an anisotropic displacement tensor that is not positive definite: A/ALA 1/CB",
        ),
    ],
)
def test_odd_atoms_are_warnings(tmp_path, change, message) -> None:
    report = _load(tmp_path, {"dark": _changed(change)}).report
    assert [str(finding) for finding in report.warnings] == [message]


def test_conformers_that_do_not_sum_to_one(tmp_path) -> None:
    report = _load(tmp_path, {"dark": models.disordered({"A": 0.5, "B": 0.3})}).report
    assert [str(finding) for finding in report.warnings] == [
        "dark: 1 atom whose conformers do not sum to 1: A/ALA 2/CB (0.80)"
    ]
    mixed = _load(tmp_path, {"dark": models.disordered({"\0": 0.5, "B": 0.5})}).report
    assert "1 atom both with and without altloc: A/ALA 2/CB; give each" in mixed.warnings[0].text


def test_hydrogens_are_kept_and_flagged(tmp_path) -> None:
    hydrogen = _changed(lambda s: s[0]["A"]["1"][0].add_atom(models.atom("HA", "H", [1, 1, 1])))
    loaded = _load(tmp_path, {"dark": hydrogen, "I1": models.peptide()})
    assert loaded["dark"].atoms.atom_name[loaded["dark"].atoms.hydrogen].tolist() == ["HA"]
    assert loaded.report.lines() == [
        "note: dark: 1 hydrogen, which ride",
        "warning: I1: 1 hydrogen that other structures have are missing; add hydrogens to all structures or to none",
    ]


# between structures


def test_no_atoms_in_common_names_the_chains(tmp_path) -> None:
    other = _changed(lambda s: setattr(s[0]["A"], "name", "B"), waters=0)
    assert _failure(tmp_path, {"dark": models.peptide(waters=0), "I1": other}) == [
        "I1: no atoms in common with dark, by chain, residue and atom name; I1 has chains B; dark has chains A"
    ]


def test_missing_atoms_are_counted_by_residue(tmp_path) -> None:
    def without(structure: gemmi.Structure) -> None:
        structure[0]["A"]["1"][0].remove_atom("CB", "\0")
        del structure[0]["A"][2]

    report = _load(tmp_path, {"dark": models.peptide(), "I1": _changed(without)}).report
    assert [str(finding) for finding in report.warnings] == [
        "I1: 6 atoms that other structures have are missing, by residue: A/ALA 1 (1), A/ALA 3 (5)"
    ]


def test_a_conformer_is_no_missing_atom(tmp_path) -> None:
    report = _load(tmp_path, {"dark": models.peptide(), "I1": models.disordered({"A": 0.5, "B": 0.5})}).report
    assert report.warnings == ()
    assert [str(finding) for finding in report.notes] == [
        "alternative conformations differ between dark, I1: A/ALA 2 (none, AB)"
    ]


def test_far_atoms_and_far_waters(tmp_path) -> None:
    def step(site: gemmi.CRA) -> list[float]:
        return (
            [6.0, 0, 0] if (site.residue.name, str(site.residue.seqid)) in (("ALA", "1"), ("HOH", "2")) else [0, 0, 0]
        )

    report = _load(tmp_path, {"dark": models.peptide(), "I1": models.moved(models.peptide(), step)}).report
    assert [finding.text.split(":")[0] for finding in report.warnings] == [
        "5 atoms over 5 A from their place in dark",
        "1 water over 5 A from their place in dark",
    ]


def test_equal_atoms_named_the_other_way_round(tmp_path) -> None:
    def aspartate(one: str, two: str, turned: bool = False) -> gemmi.Structure:
        places = ([5, 5.5, 6.1], [5, 5.5, 3.9]) if turned else ([6.1, 5.5, 5], [3.9, 5.5, 5])
        atoms = [models.atom("CG", "C", [5, 5, 5])]
        atoms += [models.atom(name, "O", place) for name, place in zip((one, two), places, strict=True)]
        return _changed(lambda s: s[0]["A"].add_residue(models.residue("ASP", 9, atoms)))

    same = _load(tmp_path, {"dark": aspartate("OD1", "OD2"), "I1": aspartate("OD1", "OD2")})
    assert [each.text for each in same.report.warnings] == [
        "every atom is as in dark; at these structures no data can tell their occupancies apart"
    ]
    turned = _load(tmp_path, {"dark": aspartate("OD1", "OD2"), "I1": aspartate("OD1", "OD2", turned=True)})
    assert turned.report.warnings == ()
    report = _load(tmp_path, {"dark": aspartate("OD1", "OD2"), "I1": aspartate("OD2", "OD1")}).report
    assert [str(finding) for finding in report.warnings] == [
        "I1: chemically equal atoms are named the other way round than in dark: A/ASP 9 (OD1/OD2); "
        "their displacements are not real"
    ]


# restraints


CIF = """data_comp_list
loop_
_chem_comp.id
_chem_comp.name
LIG ligand
data_comp_LIG
loop_
_chem_comp_atom.comp_id
_chem_comp_atom.atom_id
_chem_comp_atom.type_symbol
LIG C1 C
LIG O1 O
loop_
_chem_comp_bond.comp_id
_chem_comp_bond.atom_id_1
_chem_comp_bond.atom_id_2
_chem_comp_bond.value_dist
LIG C1 O1 1.4
"""


def _ligand(*names: str, residue: str = "LIG") -> gemmi.Structure:
    atoms = [models.atom(name, name[0], [3.0 + number, 3, 3]) for number, name in enumerate(names or ("C1", "O1"))]
    return _changed(lambda s: s[0]["W"].add_residue(models.residue(residue, 9, atoms, het=True)))


def test_standard_residues_need_no_file() -> None:
    assert all(is_standard(name) for name in ("ALA", "TRP", "HOH", "DA", "U", "G"))
    assert not any(is_standard(name) for name in ("ACT", "HEM", "LIG", "UNK", "GOL", "MSE"))


def test_an_unknown_ligand_names_the_file_it_needs(tmp_path) -> None:
    expected = (
        "no restraints for LIG (1 residue: W/LIG 9), which is no standard residue; add a file LIG.cif to "
        "'restraints' (made by e.g. grade2, AceDRG or eLBOW, or from a monomer library)"
    )
    report = _load(tmp_path, {"dark": _ligand()}).report
    assert [str(finding) for finding in report.warnings] == [expected]
    assert _failure(tmp_path, {"dark": _ligand()}, LoadingOptions(restraints_needed=True)) == [expected]
    assert _load(tmp_path, {"dark": _ligand()}, LoadingOptions(known_residues={"LIG"})).report.findings == ()


def test_an_ion_needs_no_restraints(tmp_path) -> None:
    assert _load(tmp_path, {"dark": _ligand("K", residue="K")}).report.findings == ()


def test_a_restraint_file_is_read_for_its_residues(tmp_path) -> None:
    path = tmp_path / "LIG.cif"
    path.write_text(CIF)
    (monomer,) = read_monomers(path)
    assert (monomer.name, monomer.atoms, monomer.has_targets) == ("LIG", {"C1", "O1"}, True)
    options = LoadingOptions(restraints=[path], restraints_needed=True)
    assert _load(tmp_path, {"dark": _ligand()}, options).report.findings == ()
    assert _failure(tmp_path, {"dark": _ligand("C1", "O1", "O7")}, options) == [
        f"atoms of LIG that {str(path)!r} does not describe: O7"
    ]
    assert _load(tmp_path, {"dark": models.peptide()}, options).report.lines() == [
        "note: restraints for residues that no structure has: LIG"
    ]


def test_a_dictionary_entry_restrains_nothing(tmp_path) -> None:
    path = tmp_path / "LIG.cif"
    path.write_text(CIF.replace("value_dist", "value_order").replace("1.4", "SING"))
    report = _load(tmp_path, {"dark": _ligand()}, LoadingOptions(restraints=[path])).report
    assert [str(finding) for finding in report.warnings] == [
        f"{str(path)!r} describes LIG (1 residue: W/LIG 9) without ideal bond lengths; make a restraint file "
        "from it (grade2, AceDRG, eLBOW)"
    ]


def test_restraint_files_that_cannot_be_used(tmp_path) -> None:
    one, two, empty, broken = (tmp_path / name for name in ("1.cif", "2.cif", "3.cif", "4.cif"))
    one.write_text(CIF)
    two.write_text(CIF)
    empty.write_text("data_x\n_cell.length_a 1\n")
    broken.write_text("loop_\n")
    options = LoadingOptions(restraints=[one, two, empty, broken, tmp_path / "5.cif"])
    lines = _failure(tmp_path, {"dark": _ligand()}, options)
    assert lines[0] == f"residue LIG is in two restraint files, {str(one)!r} and {str(two)!r}"
    assert lines[1].startswith(f"restraint file {str(empty)!r} describes no residue")
    assert lines[2].startswith(f"restraint file {str(broken)!r} is no CIF file")
    assert lines[3] == f"no such file: {str(tmp_path / '5.cif')!r}"
