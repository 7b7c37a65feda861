from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from tests.unit.structures import models
from torchref_kinetic_plugin.errors import FileError
from torchref_kinetic_plugin.structures import load_files
from torchref_kinetic_plugin.structures.reading import read_model_file

ATOM = "ATOM      1  CA  ALA A   1      11.000  12.000  13.000  1.00 20.00           C  \n"
CRYST = "CRYST1   30.000   40.000   50.000  90.00  90.00  90.00 P 21 21 21\n"


def _failure(tmp_path: Path, text: str | bytes, name: str = "model.pdb") -> str:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FileError) as failure:
        read_model_file(path)
    message = str(failure.value)
    assert repr(str(path)) in message
    return message


@pytest.mark.parametrize("write", [models.pdb, models.cif])
@pytest.mark.parametrize("packed", [False, True])
def test_both_formats_also_gzipped_whatever_the_suffix(tmp_path, write, packed) -> None:
    structure = models.peptide()
    path = write(tmp_path / "model.txt", structure)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    atoms = load_files({"dark": path})["dark"].atoms
    expected = [site.atom.pos.tolist() for site in structure[0].all()]
    np.testing.assert_allclose(atoms.xyz, expected, atol=1e-9)
    assert atoms.chain.tolist() == ["A"] * 20 + ["W"] * 2


def test_a_comment_before_the_block_is_still_mmcif(tmp_path) -> None:
    path = models.cif(tmp_path / "model.cif", models.peptide())
    path.write_text("# made by hand\n\n#\n" + path.read_text())
    assert len(read_model_file(path).structure[0]) == 2


def test_missing_file(tmp_path) -> None:
    with pytest.raises(FileError, match=r"dark: no such file: '.*absent\.pdb'"):
        load_files({"dark": tmp_path / "absent.pdb"})


def test_a_directory_is_no_file(tmp_path) -> None:
    with pytest.raises(FileError, match="cannot read"):
        read_model_file(tmp_path)


def test_all_unreadable_files_are_named_together(tmp_path) -> None:
    (tmp_path / "b.pdb").write_text("")
    with pytest.raises(FileError) as failure:
        load_files({"dark": tmp_path / "a.pdb", "I1": tmp_path / "b.pdb"})
    assert [line.split(":")[0] for line in str(failure.value).splitlines()] == ["dark", "I1"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" \n", "is empty"),
        (CRYST + "END\n", "holds no atoms"),
        ("data_x\n_cell.length_a 10\n", "holds no atoms: it has no _atom_site table"),
        ("h k l F\n1 0 0 10\n", "is neither a PDB nor an mmCIF file"),
        (b"MTZ \0\0\0", "is not a text file"),
        (gzip.compress(CRYST.encode() * 50, mtime=0)[:-12], "is a damaged or incomplete gzip file"),
        (CRYST + ATOM[:60] + "\n", "line 2: ATOM record cut short, after 60 of at least 66 columns"),
        (CRYST + ATOM.replace("  11.000", "********"), "x of atom 'CA  ALA A   1' is '********', not a finite number"),
        (CRYST + ATOM.replace("  12.000", "     nan"), "y of atom 'CA  ALA A   1' is 'nan', not a finite number"),
        (CRYST + ATOM.replace("  1.00", "      "), "occupancy of atom 'CA  ALA A   1' is '', not a finite number"),
        (CRYST + ATOM * 5 + (ATOM[:50] + "\n") * 5, "2 more lines like these"),
        (
            CRYST + ATOM + "ANISOU    1  CA  ALA A   1     1000   1000 ******      0      0      0       C  \n",
            "line 3: ANISOU does not hold six integers",
        ),
        (CRYST + "MODEL        1\n" + ATOM + "MODEL        2\n" + ATOM, "cannot be read: Problem in line 4: MODEL"),
    ],
)
def test_files_that_are_no_models(tmp_path, text, expected) -> None:
    assert expected in _failure(tmp_path, text)


def test_an_absent_end_record_is_a_warning(tmp_path) -> None:
    path = models.pdb(tmp_path / "model.pdb", models.peptide())
    path.write_text(path.read_text().replace("END", "   "))
    report = load_files({"dark": path}).report
    assert [str(finding) for finding in report.warnings] == ["dark: no END record; the file may have been cut short"]


def test_a_chain_in_two_parts_is_one_chain(tmp_path) -> None:
    structure = models.peptide()
    split = [site.atom.serial for site in structure[0].all()]
    path = models.pdb(tmp_path / "model.pdb", structure)
    lines = path.read_text().splitlines(keepends=True)
    atoms = [line for line in lines if line.startswith("ATOM")]
    late = [line for line in atoms if line[22:26] == "   4"]
    path.write_text("".join([lines[0], *[line for line in lines[1:-1] if line not in late], *late, "END\n"]))
    read = read_model_file(path).structure
    assert [chain.name for chain in read[0]] == ["A", "W"]
    assert read[0].count_atom_sites() == len(split)


def test_mmcif_of_one_atom_needs_no_loop(tmp_path) -> None:
    structure = models.peptide(n_residues=1, waters=0)
    for name in ("N", "C", "O", "CB"):
        structure[0]["A"][0].remove_atom(name, "\0")
    block = structure.make_mmcif_document()[0]
    table = block.find_mmcif_category("_atom_site.")
    pairs = "".join(f"{tag} {value}\n" for tag, value in zip(table.tags, table[0], strict=True))
    table.erase()
    (tmp_path / "one.cif").write_text(block.as_string() + pairs)
    assert read_model_file(tmp_path / "one.cif").structure[0].count_atom_sites() == 1


def _mmcif(tmp_path: Path) -> str:
    return models.cif(tmp_path / "whole.cif", models.disordered({"A": 0.5, "B": 0.5})).read_text()


def test_mmcif_cut_short(tmp_path) -> None:
    assert "cannot be read" in _failure(tmp_path, _mmcif(tmp_path).rstrip()[:-9], "model.cif")


def test_mmcif_without_numbers_or_columns(tmp_path) -> None:
    text = _mmcif(tmp_path)
    row = next(line for line in text.splitlines() if line.startswith("ATOM 3 "))
    words = row.split()
    words[10] = "?"
    assert "has _atom_site.Cartn_x that is not a finite number: ? in row 3" in _failure(
        tmp_path, text.replace(row, " ".join(words)), "model.cif"
    )
    assert "has no column _atom_site.B_iso_or_equiv" in _failure(
        tmp_path, text.replace("_atom_site.B_iso_or_equiv", "_atom_site.other"), "model.cif"
    )


def test_mmcif_altlocs_of_several_letters_are_not_cut(tmp_path) -> None:
    text = _mmcif(tmp_path).replace(" CB A ALA", " CB AB ALA")
    assert "altlocs of more than one letter, which are not supported: 'AB'" in _failure(tmp_path, text, "m.cif")


def test_mmcif_with_two_models_as_blocks(tmp_path) -> None:
    text = _mmcif(tmp_path)
    assert "holds 2 models as data blocks (small, other)" in _failure(
        tmp_path, text + text.replace("data_small", "data_other"), "model.cif"
    )
