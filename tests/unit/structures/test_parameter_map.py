from __future__ import annotations

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.structures import models
from torchref_kinetic_plugin.errors import InputError, ShapeError
from torchref_kinetic_plugin.structures import ParameterMap, SharingTolerance, StructureSet
from torchref_kinetic_plugin.structures.report import StructureReport


def _shifted(residues: set[int], step: float = 0.5):
    def change(site: gemmi.CRA) -> list[float]:
        return [step, 0.0, 0.0] if site.chain.name == "A" and site.residue.seqid.num in residues else [0.0] * 3

    return models.moved(models.peptide(), change)


def test_identical_atoms_share_a_row_and_others_do_not() -> None:
    structures = [models.named(models.peptide(), "dark"), models.named(_shifted({2}), "I1")]
    made = ParameterMap.by_identity(structures)
    assert made.structures == ("dark", "I1")
    assert len(made.keys) == 22
    assert made.n_rows == 22 + 5
    assert made.rows[0].tolist() == list(range(22))
    own = structures[1].atoms.residue_number == 2
    own &= structures[1].atoms.chain == "A"
    assert made.rows[1][own].tolist() == list(range(22, 27))
    assert made.rows[1][~own].tolist() == np.flatnonzero(~own).tolist()
    assert made.shared.tolist() == (~own).tolist() + [False] * 5
    assert [str(key) for key in made.row_keys()[22:24]] == ["A/ALA 2/N", "A/ALA 2/CA"]
    assert made.origin[22].tolist() == [1, 5]


def test_structures_that_agree_share_though_the_first_differs() -> None:
    structures = [models.named(each) for each in (models.peptide(), _shifted({1}), _shifted({1, 2}))]
    made = ParameterMap.by_identity(structures)
    assert made.n_rows == 22 + 5 + 5
    assert made.n_users[22:].tolist() == [2] * 5 + [1] * 5


@pytest.mark.parametrize(
    ("change", "shared"),
    [
        ({"pos": gemmi.Position(0.001, 0.001, 0.0)}, True),
        ({"pos": gemmi.Position(0.003, 0.0, 0.0)}, False),
        ({"b_iso": 20.01}, True),
        ({"b_iso": 20.1}, False),
        ({"aniso": gemmi.SMat33f(0.2, 0.2, 0.2, 0, 0, 0)}, False),
        ({"occ": 0.5}, True),
    ],
)
def test_what_counts_as_identical(change, shared) -> None:
    other = models.peptide()
    atom = other[0]["A"]["1"][0]["N"][0]
    for name, value in change.items():
        setattr(atom, name, atom.pos + value if name == "pos" else value)
    made = ParameterMap.by_identity([models.named(models.peptide()), models.named(other)])
    assert made.shared[0] == shared


def test_tensors_are_compared() -> None:
    first, second = models.peptide(), models.peptide()
    for structure, u in ((first, 0.2), (second, 0.201)):
        structure[0]["A"]["1"][0]["N"][0].aniso = gemmi.SMat33f(u, 0.2, 0.2, 0, 0, 0)
    structures = [models.named(first), models.named(second)]
    assert not ParameterMap.by_identity(structures).shared[0]
    assert ParameterMap.by_identity(structures, SharingTolerance(u=0.01)).shared[0]
    isotropic = [structures[0], models.named(models.peptide())]
    assert not ParameterMap.by_identity(isotropic, SharingTolerance(u=1.0)).shared[0]


def test_fractions_of_the_cell_are_compared() -> None:
    larger = models.peptide(cell=(30.3, 40.4, 50.5, 90, 90, 90))
    scaled = models.moved(larger, lambda site: 0.01 * np.array(site.atom.pos.tolist()))
    structures = [models.named(models.peptide()), models.named(scaled)]
    assert ParameterMap.by_identity(structures).shared.all()
    assert not ParameterMap.by_identity([structures[0], models.named(larger)]).shared.any()


def test_sharing_by_choice_whatever_the_values() -> None:
    structures = [models.named(models.peptide(), "dark"), models.named(_shifted({1, 2}), "I1")]
    made = ParameterMap.by_choice(structures, lambda key: key.residue.number != 2)
    assert {key.residue.number for key in made.row_keys()[22:]} == {2}
    assert made.n_rows == 22 + 5 + 1  # waters 1 and 2 are in chain W
    deviation = made.deviation(structures)
    assert deviation[:5] == pytest.approx([0.5] * 5)
    assert np.count_nonzero(deviation) == 5


def test_sharing_by_choice_keeps_kinds_of_displacement_apart() -> None:
    other = models.peptide()
    other[0]["A"]["1"][0]["N"][0].aniso = gemmi.SMat33f(0.2, 0.2, 0.2, 0, 0, 0)
    made = ParameterMap.by_choice([models.named(models.peptide()), models.named(other)], lambda _: True)
    assert made.n_rows == 23
    assert not made.shared[0]


def test_conformers_are_atoms_of_their_own() -> None:
    structures = [models.named(models.disordered({"A": 0.5, "B": 0.5})), models.named(models.peptide())]
    made = ParameterMap.by_identity(structures)
    assert len(made.keys) == 24
    assert [key.altloc for key in made.keys if key.residue.number == 2 and key.atom == "CB"] == ["A", "B", ""]


def test_arrays_of_the_wrong_length() -> None:
    made = ParameterMap.by_identity([models.named(models.peptide())])
    with pytest.raises(ShapeError, match=r"arrays of \[21\] atoms for structures of \[22\]"):
        made.gather([np.zeros(21)])
    with pytest.raises(ShapeError, match="values of 3 rows for a map of 22"):
        made.expand(np.zeros(3), 0)


def test_the_arrays_cannot_be_changed() -> None:
    made = ParameterMap.by_identity([models.named(models.peptide())])
    with pytest.raises(ValueError, match="read-only"):
        made.rows[0][0] = 3
    with pytest.raises(ValueError, match="read-only"):
        models.named(models.peptide()).atoms.xyz[0] = 0.0


def test_a_set_takes_another_map_of_its_structures_only() -> None:
    structures = tuple(models.named(models.peptide(), name) for name in ("dark", "I1"))
    whole = StructureSet(structures, ParameterMap.by_identity(structures), StructureReport())
    apart = whole.with_parameters(ParameterMap.by_choice(structures, lambda _: False))
    assert apart.parameters.n_rows == 44
    assert whole.parameters.n_rows == 22
    with pytest.raises(InputError, match=r"a map of structures dark with \[22\] atoms does not fit dark, I1"):
        whole.with_parameters(ParameterMap.by_identity(structures[:1]))


@settings(max_examples=30, deadline=None)
@given(
    moved=st.lists(st.sets(st.integers(1, 4)), min_size=1, max_size=4),
    steps=st.lists(st.sampled_from([0.3, 0.6]), min_size=4, max_size=4),
)
def test_rows_hold_all_values_and_each_is_used(moved, steps) -> None:
    structures = [
        models.named(_shifted(each, step), str(n)) for n, (each, step) in enumerate(zip(moved, steps, strict=False))
    ]
    made = ParameterMap.by_identity(structures)
    values = made.gather([each.atoms.xyz for each in structures])
    for number, structure in enumerate(structures):
        assert made.expand(values, number) == pytest.approx(structure.atoms.xyz, abs=1e-9)
        assert len(set(made.rows[number].tolist())) == len(structure.atoms)
        keys = [made.row_keys()[row] for row in made.rows[number]]
        assert keys == list(structure.atoms.keys)
    assert (made.n_users >= 1).all()
    assert made.n_users.sum() == sum(len(each.atoms) for each in structures)
    assert made.deviation(structures).max() < 1e-9
