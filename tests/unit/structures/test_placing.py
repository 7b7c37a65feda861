"""Structures in other cells, and copies of a molecule superposed."""

import gemmi
import numpy as np
import pytest

from torchref_kinetic_plugin.errors import InputError, ShapeError
from torchref_kinetic_plugin.structures import AtomicStructure
from torchref_kinetic_plugin.structures.placing import centre_of, placed
from torchref_kinetic_plugin.structures.superposition import superposed

CELL = (40.0, 45.0, 50.0, 90.0, 104.0, 90.0)


def structure(*, seed=1, anisotropic=False, cell=CELL):
    random = np.random.default_rng(seed)
    made = gemmi.Structure()
    made.cell, made.spacegroup_hm = gemmi.UnitCell(*cell), "P 1 21 1"
    chain = gemmi.Chain("A")
    for number in range(1, 8):
        residue = gemmi.Residue()
        residue.name, residue.seqid = "ALA", gemmi.SeqId(str(number))
        for name, element in (("N", "N"), ("CA", "C"), ("C", "C"), ("O", "O")):
            atom = gemmi.Atom()
            atom.name, atom.element, atom.occ, atom.b_iso = name, gemmi.Element(element), 1.0, 20.0
            atom.pos = gemmi.Position(*random.uniform(5.0, 25.0, 3))
            if anisotropic:
                atom.aniso = gemmi.SMat33f(0.3, 0.2, 0.1, 0.05, 0.02, -0.03)
            residue.add_atom(atom)
        chain.add_residue(residue)
    model = gemmi.Model(1)
    model.add_chain(chain)
    made.add_model(model)
    return AtomicStructure.from_gemmi(made, "dark")


def distances(xyz):
    return np.linalg.norm(xyz[:, None] - xyz[None], axis=2)


def test_a_larger_cell_moves_the_molecule_and_stretches_nothing():
    before, larger = structure(), gemmi.UnitCell(40.4, 45.3, 50.1, 90.0, 103.0, 90.0)
    after = placed(before, larger, centre_of(before))
    assert after.cell.parameters == larger.parameters
    np.testing.assert_allclose(distances(after.atoms.xyz), distances(before.atoms.xyz), atol=1e-10)
    np.testing.assert_allclose(centre_of(after), centre_of(before), atol=1e-12)
    # Common fractional coordinates would have stretched it.
    stretched = np.array([larger.orthogonalize(gemmi.Fractional(*f)).tolist() for f in before.atoms.fractional])
    assert np.abs(distances(stretched) - distances(before.atoms.xyz)).max() > 0.1


def test_cells_that_only_swell_do_not_turn_the_molecule():
    before = structure(cell=(40.0, 45.0, 50.0, 90.0, 90.0, 90.0))
    after = placed(before, gemmi.UnitCell(40.4, 45.2, 50.0, 90.0, 90.0, 90.0), centre_of(before))
    shift = after.atoms.xyz - before.atoms.xyz
    np.testing.assert_allclose(shift, np.tile(shift[0], (len(shift), 1)), atol=1e-12)


def test_displacement_tensors_turn_with_the_molecule():
    before = structure(anisotropic=True)
    # The same cell with its axes otherwise in space: a rotation by 30 degrees about the first axis.
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    turn = np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
    other = before.to_gemmi()
    matrix = np.array(other.cell.frac.mat.tolist()) @ turn.T
    for site in other[0].all():
        site.atom.pos = gemmi.Position(*(turn @ site.atom.pos.tolist()))
        u = site.atom.aniso
        whole = turn @ np.array([[u.u11, u.u12, u.u13], [u.u12, u.u22, u.u23], [u.u13, u.u23, u.u33]]) @ turn.T
        site.atom.aniso = gemmi.SMat33f(*(whole[i, j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))))
    lines = [line for line in other.make_pdb_string().splitlines() if not line.startswith("SCALE")]
    scale = [f"SCALE{n + 1}    {row[0]:10.6f}{row[1]:10.6f}{row[2]:10.6f}{0.0:15.5f}" for n, row in enumerate(matrix)]
    read = gemmi.read_pdb_string("\n".join([*lines[:1], *scale, *lines[1:]]))
    assert np.abs(np.array(read.cell.frac.mat.tolist()) - before.to_gemmi().cell.frac.mat.tolist()).max() > 1e-3
    turned = AtomicStructure.from_gemmi(read, "dark")
    back = placed(turned, before.cell, centre_of(turned))
    np.testing.assert_allclose(back.atoms.xyz, before.atoms.xyz, atol=3e-3)
    np.testing.assert_allclose(back.atoms.u, before.atoms.u, atol=2e-4)


def test_one_cell_is_no_change_and_another_packing_is_refused():
    before = structure()
    assert placed(before, before.cell, centre_of(before)) is before
    with pytest.raises(InputError, match=r"dark: the cell of the model and that of the data differ by 10.2 %"):
        placed(before, gemmi.UnitCell(44.0, 45.0, 50.0, 90.0, 104.0, 90.0), centre_of(before))


def rotation(angle, axis):
    axis = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross


def copies(moved=0):
    """Three copies of a molecule with 0.05 A of noise, elsewhere in space; some atoms of the last are 5 A away."""
    random = np.random.default_rng(3)
    first = random.uniform(0.0, 30.0, (80, 3))
    turns = [np.eye(3), rotation(0.7, (1, 2, 3)), rotation(-1.9, (0, 1, 1))]
    found = [first @ turn.T + random.uniform(-9.0, 9.0, 3) + 0.05 * random.normal(size=first.shape) for turn in turns]
    found[2][:moved] += 5.0
    return found, turns


def test_superposition_finds_rotations_past_what_moved():
    points, turns = copies(moved=15)
    found = superposed(points)
    for each, turn in zip(found, turns, strict=True):
        relative = each.rotation @ turn
        angle = np.degrees(np.arccos(np.clip((np.trace(found[0].rotation.T @ relative) - 1.0) / 2.0, -1.0, 1.0)))
        assert angle < 0.15
    placed_ = [each(xyz)[15:] for each, xyz in zip(found, points, strict=True)]
    assert np.sqrt(np.mean((placed_[2] - placed_[0]) ** 2)) < 0.09


def test_no_copy_is_preferred():
    points, _ = copies(moved=5)
    order = [2, 0, 1]
    one, other = superposed(points), superposed([points[number] for number in order])
    for number, place in ((a, b) for a, b in zip(order, range(3), strict=True)):
        assert other[place].rms == pytest.approx(one[number].rms, rel=1e-9)
    # Rotations between copies are the same, whichever of them is first.
    between = one[1].rotation.T @ one[0].rotation
    again = other[2].rotation.T @ other[1].rotation
    np.testing.assert_allclose(again, between, atol=1e-9)


def test_copies_of_nothing_are_refused():
    with pytest.raises(ShapeError, match="three atoms at least"):
        superposed([np.zeros((2, 3)), np.zeros((2, 3))])
