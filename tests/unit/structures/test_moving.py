"""Which residues an intermediate has for itself."""

from pathlib import Path

import numpy as np
import pytest

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.structures import ParameterMap, load_files
from torchref_kinetic_plugin.structures.moving import (
    MovingResidues,
    differing_residues,
    like_reference,
    own_atoms,
    riding_hydrogens,
    selected_residues,
    surrounding_residues,
)

EXAMPLE = Path(__file__).parents[3] / "example_data" / "photocycle"

NAMED = {"dark": "dark.pdb", "I1": "i1.pdb", "I2": "i2.pdb"}


@pytest.fixture(scope="module")
def structures():
    found = load_files({"dark": EXAMPLE / "truth" / "dark.pdb", "I1": EXAMPLE / "truth" / "i1.pdb"})
    return found.structures


def numbers(residues):
    return sorted(residue.number for residue in residues)


def test_residues_that_differ(structures):
    dark, first = structures
    assert 68 in numbers(differing_residues(first, dark))
    assert differing_residues(dark, dark) == frozenset()


def test_noise_everywhere_is_no_difference(structures):
    """A model refined apart differs everywhere; what stands out is what moved."""
    dark, first = structures
    noise = np.random.default_rng(1).normal(0.0, 0.02, (len(first.atoms), 3))
    apart = first.with_values(xyz=first.atoms.xyz + noise)
    found = numbers(differing_residues(apart, dark))
    assert 68 in found
    assert len(found) < 12


def test_what_makes_way_is_surroundings(structures):
    dark, first = structures
    his = selected_residues(first, "//A/68")
    around = surrounding_residues(first, dark, his)
    assert 44 in numbers(around) or 6 in numbers(around)
    assert not his & around
    assert len(around) < 12


def test_a_water_makes_way_where_both_models_have_it():
    """In the reversible series water 1040 follows Asp 197, which moves 1.4 A."""
    folder = EXAMPLE.parent / "reversible"
    dark, _, second = load_files({name: folder / file for name, file in NAMED.items()}).structures
    moved = differing_residues(second, dark)
    assert 1040 in numbers(surrounding_residues(second, dark, moved))
    # Another water that happens to have its number is none that both have.
    water = second.atoms.water & (second.atoms.residue_number == 1040)
    elsewhere = second.with_values(xyz=second.atoms.xyz + 2.0 * water[:, None])
    assert 1040 not in numbers(surrounding_residues(elsewhere, dark, moved))


def test_selections(structures):
    first = structures[1]
    assert numbers(selected_residues(first, "//A/6-9")) == [6, 7, 8, 9]
    with pytest.raises(InputError, match="names no residue of I1"):
        selected_residues(first, "//Z/1")
    with pytest.raises(InputError, match="cannot read the selection"):
        selected_residues(first, "//A/6-9/[")


def test_all_but_its_own_is_the_reference(structures):
    dark, first = structures
    own = selected_residues(first, "//A/68")
    shifted = dark.with_values(xyz=dark.atoms.xyz + 0.3)
    combined = like_reference(first, shifted, own)
    assert len(combined.atoms) == len(dark.atoms)
    mine = own_atoms(combined, own)
    place = {key: number for number, key in enumerate(first.atoms.keys)}
    for number, key in enumerate(combined.atoms.keys):
        source = first.atoms.xyz[place[key]] if mine[number] else shifted.atoms.xyz[shifted.atoms.index[key]]
        np.testing.assert_allclose(combined.atoms.xyz[number], source, atol=1e-9)
    assert mine.sum() == 10


def test_rows_of_its_own(structures):
    dark, first = structures
    own = own_atoms(first, selected_residues(first, "//A/68"))
    parameters = ParameterMap.by_own((dark, first), (own_atoms(dark, ()), own))
    assert parameters.n_rows == len(dark.atoms) + 10
    assert (parameters.rows[1][own] >= len(dark.atoms)).all()
    np.testing.assert_array_equal(parameters.rows[1][~own], parameters.rows[0][~own])


def test_the_sentence(structures):
    residue = next(iter(selected_residues(structures[1], "//A/68")))
    text = MovingResidues("I1", frozenset({residue}), frozenset(), frozenset()).text
    assert "differ at the start (A/68)" in text
    assert "point at (none)" in text


def test_hydrogens_ride_on_their_neighbours():
    path = Path(__file__).parents[4] / "shared" / "data" / "hewl_tjump" / "laser_off.pdb"
    if not path.is_file():
        pytest.skip("the lysozyme series is not there")
    structure = load_files({"off": path}).structures[0]
    hydrogens, parents = riding_hydrogens(structure)
    length = np.linalg.norm(structure.atoms.xyz[hydrogens] - structure.atoms.xyz[parents], axis=1)
    assert len(hydrogens) == 1083
    assert 0.7 < length.min() < length.max() < 1.35
    assert not structure.atoms.hydrogen[parents].any()
