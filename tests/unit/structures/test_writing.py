from __future__ import annotations

import gzip

import gemmi
import numpy as np
import pytest

from tests.unit.structures import models
from torchref_kinetic_plugin.errors import FileError, InputError, ShapeError
from torchref_kinetic_plugin.structures import (
    AtomicStructure,
    load_files,
    load_models,
    write_models,
    write_structure,
)

SUFFIXES = ["pdb", "ent", "cif", "mmcif", "pdb.gz", "cif.gz"]


def _rich() -> AtomicStructure:
    """Disorder, a tensor, a hydrogen, an ion with charge, an insertion code."""
    made = models.disordered({"A": 0.6, "B": 0.4})
    place = made[0]["A"]["1"][0]
    place["CA"][0].aniso = gemmi.SMat33f(0.21, 0.22, 0.23, 0.01, -0.02, 0.03)
    place.add_atom(models.atom("HA", "H", [1.5, 2.5, 3.5]))
    ion = models.residue("ZN", 7, [models.atom("ZN", "Zn", [9, 9, 9], occupancy=0.5)], het=True)
    ion[0].charge = 2
    ion.seqid.icode = "A"
    made[0]["W"].add_residue(ion)
    made.setup_entities()
    return models.named(made, "dark")


def _same(atoms, expected, tolerance: float) -> None:
    assert atoms.keys == expected.keys
    np.testing.assert_allclose(atoms.xyz, expected.xyz, atol=tolerance)
    np.testing.assert_allclose(atoms.occupancy, expected.occupancy, atol=1e-6)
    np.testing.assert_allclose(atoms.b_iso, expected.b_iso, atol=1e-5)
    np.testing.assert_allclose(atoms.u, expected.u, atol=1e-6)
    assert atoms.charge.tolist() == expected.charge.tolist()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_written_is_read_again(tmp_path, suffix) -> None:
    structure = _rich()
    write_structure(structure, path := tmp_path / f"model.{suffix}")
    loaded = load_files({"dark": path})
    _same(loaded["dark"].atoms, structure.atoms, 1e-9)
    assert loaded.cell.parameters == models.CELL
    assert loaded.space_group.xhm() == "P 21 21 21"
    assert loaded.report.warnings == ()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_models_come_back_with_all_structures(tmp_path, suffix) -> None:
    dark = _rich()
    other = models.named(models.peptide(cell=(30.03, 40, 50, 90, 90, 90)), "I1")
    write_models([dark, other], path := tmp_path / f"all.{suffix}")
    loaded = load_models(path, ["dark", "I1"])
    _same(loaded["dark"].atoms, dark.atoms, 1e-9)
    # One cell for all: fractions stay, to the three decimals of a PDB file.
    assert loaded["I1"].cell.parameters == models.CELL
    np.testing.assert_allclose(loaded["I1"].atoms.fractional, other.atoms.fractional, atol=0.0006 / 30.0)
    text = (gzip.decompress(path.read_bytes()) if suffix.endswith("gz") else path.read_bytes()).decode()
    assert "MODEL 1 is dark; MODEL 2 is I1" in text.replace("MODEL 1 IS", "MODEL 1 is").replace(
        "MODEL 2 IS", "MODEL 2 is"
    ).replace("DARK", "dark")


@pytest.mark.parametrize("suffix", ["pdb", "cif"])
def test_a_chain_and_a_ligand_that_only_a_later_model_has(tmp_path, suffix) -> None:
    other = models.peptide()
    ligand = models.residue("GOL", 1, [models.atom("C1", "C", [8, 8, 8])], het=True)
    other[0].add_chain("L").add_residue(ligand)
    structures = [models.named(models.peptide(), "dark"), models.named(other, "I1")]
    write_models(structures, path := tmp_path / f"all.{suffix}")
    loaded = load_models(path, ["dark", "I1"])
    for name, structure in zip(("dark", "I1"), structures, strict=True):
        _same(loaded[name].atoms, structure.atoms, 1e-9)


def test_the_same_structure_gives_the_same_packed_file(tmp_path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_structure(_rich(), tmp_path / name / "m.cif.gz")
    assert (tmp_path / "a" / "m.cif.gz").read_bytes() == (tmp_path / "b" / "m.cif.gz").read_bytes()


def test_refined_values_are_written(tmp_path) -> None:
    structure = _rich()
    atoms = structure.atoms
    changed = structure.with_values(
        xyz=atoms.xyz + 0.125, b_iso=atoms.b_iso + 1.0, u=atoms.u * 0.5, occupancy=atoms.occupancy * 0.5
    )
    write_structure(changed, path := tmp_path / "m.cif")
    _same(load_files({"dark": path})["dark"].atoms, changed.atoms, 1e-9)
    assert changed.atoms.xyz == pytest.approx(atoms.xyz + 0.125)
    assert changed.atoms.u[1] == pytest.approx(atoms.u[1] * 0.5)
    assert structure.atoms.xyz[0].tolist() == atoms.xyz[0].tolist()


def test_values_that_do_not_fit_or_are_not_finite() -> None:
    structure = _rich()
    with pytest.raises(ShapeError, match=r"b_iso of dark has shape \(3,\), not \(25,\)"):
        structure.with_values(b_iso=np.ones(3))
    with pytest.raises(InputError, match="xyz of dark holds values that are not finite"):
        structure.with_values(xyz=np.full((25, 3), np.nan))


def test_a_structure_cannot_be_changed_from_outside() -> None:
    source = models.peptide()
    structure = models.named(source)
    source[0]["A"][0][0].occ = 0.25
    structure.to_gemmi()[0]["A"][0][0].occ = 0.5
    structure.cell.set(1, 2, 3, 90, 90, 90)
    assert structure.to_gemmi()[0]["A"][0][0].occ == 1.0
    assert structure.cell.parameters == models.CELL


def test_a_structure_has_one_model_a_cell_and_a_space_group() -> None:
    several, boxless, groupless = models.peptide(), models.peptide(), models.peptide()
    several.add_model(several[0])
    boxless.cell = gemmi.UnitCell()
    groupless.spacegroup_hm = "Q 7"
    for structure, message in (
        (several, r"s \(x.pdb\) has 2 models; a structure has one"),
        (boxless, r"s \(x.pdb\) has no unit cell"),
        (groupless, r"s \(x.pdb\): unknown space group 'Q 7'"),
    ):
        with pytest.raises(InputError, match=message):
            AtomicStructure.from_gemmi(structure, "s", "x.pdb")


def test_an_unknown_suffix(tmp_path) -> None:
    with pytest.raises(
        FileError, match=r"unknown suffix '\.xyz'; allowed: \.cif, \.mmcif, \.pdb, \.ent, each with \.gz"
    ):
        write_structure(_rich(), tmp_path / "m.xyz")


def test_a_directory_that_is_not_there(tmp_path) -> None:
    with pytest.raises(FileError, match="cannot write"):
        write_structure(_rich(), tmp_path / "absent" / "m.cif")


def test_what_a_pdb_file_would_cut_off_is_refused(tmp_path) -> None:
    made = models.peptide()
    made[0]["A"].name = "LONG"
    made[0]["W"]["1"][0].name = "A1BCD"
    made[0]["W"]["2"][0]["O"][0].pos = gemmi.Position(12000, 0, 0)
    made[0]["LONG"]["1"][0]["CB"][0].b_iso = 1200.0
    structure = models.named(made, "I1")
    with pytest.raises(InputError) as failure:
        write_structure(structure, tmp_path / "m.pdb")
    message = str(failure.value)
    for part in (
        "I1 does not fit a PDB file",
        "chain names longer than 2 characters (LONG)",
        "residue names longer than 3 characters (A1BCD)",
        "coordinates beyond its columns (W/HOH 2/O)",
        "B factors of 1000 and more (LONG/ALA 1/CB)",
        "write mmCIF (.cif)",
    ):
        assert part in message
    assert list(tmp_path.iterdir()) == []
    write_structure(structure, path := tmp_path / "m.cif")
    _same(load_files({"I1": path})["I1"].atoms, structure.atoms, 1e-9)


def test_models_that_cannot_be_in_one_file(tmp_path) -> None:
    dark = _rich()
    for structures, message in (
        ([], "no structures to write"),
        ([dark, dark], "two structures of one name: dark, dark"),
        (
            [dark, models.named(models.peptide(group="P 21 21 2"), "I1")],
            "one file has one space group; the structures have P 21 21 21, P 21 21 2",
        ),
    ):
        with pytest.raises(InputError, match=message):
            write_models(structures, tmp_path / "all.cif")
