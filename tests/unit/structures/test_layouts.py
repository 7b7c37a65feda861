from __future__ import annotations

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.structures import models
from torchref_kinetic_plugin.errors import FileError, InputError, UnknownNameError
from torchref_kinetic_plugin.structures import load_altlocs, load_files, load_models
from torchref_kinetic_plugin.structures.altlocs import extract


def _two_models(tmp_path, numbers=(1, 2), write=models.pdb):
    structure = models.peptide()
    other = models.moved(structure, lambda site: [0.5, 0.0, 0.0] if site.atom.name == "CB" else [0.0] * 3)
    structure.add_model(other[0])
    for model, number in zip(structure, numbers, strict=True):
        model.num = number
    structure.setup_entities()
    return write(tmp_path / ("all.pdb" if write is models.pdb else "all.cif"), structure)


def _cb(structure) -> dict[str, float]:
    atoms = structure.atoms
    here = np.flatnonzero((atoms.atom_name == "CB") & (atoms.residue_number == 2))
    return {str(atoms.altloc[place]): float(atoms.occupancy[place]) for place in here}


# one file per structure


def test_one_file_per_structure_keeps_names_and_order(tmp_path) -> None:
    first = models.pdb(tmp_path / "a.pdb", models.peptide())
    second = models.cif(tmp_path / "b.cif", models.peptide())
    loaded = load_files({"dark": first, "I1": second})
    assert loaded.names == ("dark", "I1")
    assert [each.name for each in loaded] == ["dark", "I1"]
    assert loaded["I1"].source == str(second)
    assert len(loaded) == 2
    assert loaded.space_group.xhm() == "P 21 21 21"
    assert loaded.cell.parameters == models.CELL
    with pytest.raises(UnknownNameError, match=r"unknown structure 'I2' \(did you mean 'I1'\?\); allowed: dark, I1"):
        loaded["I2"]


def test_several_models_where_one_is_wanted(tmp_path) -> None:
    with pytest.raises(FileError, match=r"dark: '.*all\.pdb' holds 2 models; one is wanted .* with 'models'"):
        load_files({"dark": _two_models(tmp_path)})


def test_no_structures() -> None:
    with pytest.raises(InputError, match="no structures; name at least one, with its file"):
        load_files({})


# a MODEL per structure


@pytest.mark.parametrize("write", [models.pdb, models.cif])
def test_models_in_order(tmp_path, write) -> None:
    loaded = load_models(_two_models(tmp_path, write=write), ["dark", "I1"])
    shift = loaded["I1"].atoms.xyz - loaded["dark"].atoms.xyz
    assert shift[:, 0] == pytest.approx(np.where(loaded["dark"].atoms.atom_name == "CB", 0.5, 0.0), abs=1e-9)
    assert [len(each.to_gemmi()) for each in loaded] == [1, 1]
    assert loaded.parameters.n_rows == 22 + 4


def test_models_by_number_and_the_unused_are_noted(tmp_path) -> None:
    loaded = load_models(path := _two_models(tmp_path, (3, 7)), {"I1": 7})
    assert loaded["I1"].source == f"{path} model 7"
    assert loaded["I1"].to_gemmi()[0].num == 1
    assert "models not used: 3" in str(loaded.report.notes[0])


def test_one_model_may_be_two_structures(tmp_path) -> None:
    loaded = load_models(_two_models(tmp_path), {"a": 1, "b": 1})
    assert loaded.parameters.n_rows == 22
    assert loaded.parameters.shared.all()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["dark"], r"holds 2 models, 1 are named: dark; name all in their order, or choose by number"),
        (["a", "a"], r"models names a structure twice: a, a"),
        ("dark", r"models is a list of names; write \['dark'\]"),
        ({"dark": 1, "I1": 4}, r"has no model 4 for 'I1'; allowed: 1, 2"),
        ({}, "no structures; name at least one, with the number of its model"),
    ],
)
def test_names_that_do_not_fit_the_models(tmp_path, names, message) -> None:
    with pytest.raises(InputError, match=message):
        load_models(_two_models(tmp_path), names)


# altlocs


def test_altlocs_make_structures_and_keep_disorder(tmp_path) -> None:
    path = models.pdb(tmp_path / "all.pdb", models.disordered({"A": 0.5, "B": 0.3, "C": 0.2}))
    loaded = load_altlocs(path, {"dark": "A", "I1": ["B", "C"]})
    assert _cb(loaded["dark"]) == {"": 1.0}
    assert _cb(loaded["I1"]) == pytest.approx({"B": 0.6, "C": 0.4})
    # Atoms without altloc are in both, as one set of parameters.
    assert [len(each.atoms) for each in loaded] == [22, 23]
    assert loaded.parameters.n_rows == 21 + 1 + 2
    assert int(loaded.parameters.shared.sum()) == 21
    assert "alternative conformations differ between dark, I1: A/ALA 2 (none, BC)" in str(loaded.report.notes[-1])


def test_an_altloc_may_belong_to_several_structures(tmp_path) -> None:
    path = models.cif(tmp_path / "all.cif", models.disordered({"A": 0.75, "B": 0.25}))
    loaded = load_altlocs(path, {"dark": ["A"], "I1": ["A", "B"]})
    assert _cb(loaded["dark"]) == {"": 1.0}
    assert _cb(loaded["I1"]) == pytest.approx({"A": 0.75, "B": 0.25})


def test_an_atom_that_one_conformer_lacks_keeps_its_share() -> None:
    structure = models.disordered({"A": 0.3, "B": 0.3, "C": 0.4})
    place = structure[0]["A"]["2"][0]
    place.add_atom(models.atom("HB1", "H", [1.0, 2.0, 3.0], altloc="A", occupancy=0.3))
    atoms = models.named(extract(structure, ["A", "B"])).atoms
    assert atoms.occupancy[atoms.atom_name == "HB1"] == pytest.approx([0.5])


def test_residues_of_different_names_in_one_place_keep_their_shares() -> None:
    structure = models.disordered({"A": 0.5, "B": 0.25})
    mutant = models.residue("SER", 2, [models.atom("OG", "O", [4.0, 5.0, 6.0], altloc="C", occupancy=0.25)])
    structure[0]["A"].add_residue(mutant, 2)
    atoms = models.named(extract(structure, ["B", "C"])).atoms
    assert atoms.occupancy[atoms.atom_name == "OG"] == pytest.approx([0.5])
    alone = extract(structure, ["A"])
    assert [residue.name for residue in alone[0]["A"]] == ["ALA"] * 4


def test_links_follow_their_conformers() -> None:
    structure = models.disordered({"A": 0.5, "B": 0.5})
    link = gemmi.Connection()
    link.name, link.type = "covale1", gemmi.ConnectionType.Covale
    link.partner1 = gemmi.AtomAddress("A", gemmi.SeqId("2"), "ALA", "CB", "B")
    link.partner2 = gemmi.AtomAddress("A", gemmi.SeqId("3"), "ALA", "CB")
    structure.connections.append(link)
    assert len(extract(structure, ["A"]).connections) == 0
    kept = extract(structure, ["B"])
    assert kept[0].find_cra(kept.connections[0].partner1).atom is not None


def test_occupancies_of_zero_stay_and_are_reported(tmp_path) -> None:
    path = models.pdb(tmp_path / "all.pdb", models.disordered({"A": 1.0, "B": 0.0}))
    report = load_altlocs(path, {"dark": "A", "I1": "B"}).report
    text = "I1: 1 atom with occupancy zero, which do not scatter: A/ALA 2/CB"
    assert text in [str(finding) for finding in report.warnings]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, r"the table of altlocs is empty; write e\.g\. \{dark = 'A', I1 = \['B', 'C'\]\}"),
        ({"dark": []}, "structure 'dark' has no altlocs"),
        ({"dark": "AB"}, r"altloc 'AB' of structure 'dark' is not one letter; write several as \['B', 'C'\]"),
        ({"dark": ["A", "A"]}, "structure 'dark' names an altloc twice: A, A"),
        ({"dark": "A", "I1": ["B", "D"]}, r"altloc 'D' of 'I1' is not in the file; allowed: A, B"),
        ({"dark": "A"}, r"altloc 'B' belongs to no structure, but atoms have it: A/ALA 2; add it"),
    ],
)
def test_tables_that_do_not_fit_the_file(tmp_path, table, message) -> None:
    path = models.pdb(tmp_path / "all.pdb", models.disordered({"A": 0.5, "B": 0.5}))
    with pytest.raises(InputError, match=message):
        load_altlocs(path, table)


def test_a_blank_conformer_cannot_be_told_apart(tmp_path) -> None:
    path = models.pdb(tmp_path / "all.pdb", models.disordered({"\0": 0.5, "B": 0.5}))
    message = "1 atom both with and without altloc: A/ALA 2/CB; atoms without altloc belong to all structures"
    with pytest.raises(InputError, match=message):
        load_altlocs(path, {"I1": "B"})


def test_altlocs_want_one_model(tmp_path) -> None:
    with pytest.raises(FileError, match="holds 2 models; one is wanted where altlocs tell them apart"):
        load_altlocs(_two_models(tmp_path), {"dark": "A"})


_SHARES = st.dictionaries(st.sampled_from("ABCDE"), st.floats(1 / 64, 1.0, width=32), min_size=2, max_size=5)


@settings(max_examples=40, deadline=None)
@given(shares=_SHARES, data=st.data())
def test_conformers_of_a_structure_sum_to_one_in_their_old_ratio(shares, data) -> None:
    chosen = data.draw(st.lists(st.sampled_from(sorted(shares)), min_size=1, unique=True))
    occupancies = _cb(models.named(extract(models.disordered(shares), chosen)))
    assert sum(occupancies.values()) == pytest.approx(1.0, abs=1e-6)
    if len(chosen) > 1:
        total = sum(shares[letter] for letter in chosen)
        assert occupancies == pytest.approx({letter: shares[letter] / total for letter in chosen}, abs=1e-6)
