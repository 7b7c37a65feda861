"""Structures in the cell of each experiment's data: against direct summation, files of its own, shared atoms."""

import shutil

import gemmi
import numpy as np
import pytest

from tests.unit.bridge.crystals import direct_sum
from tests.unit.refinement import two_cells
from tests.unit.refinement.small_joint import EXAMPLE
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.structures import load_files, write_structure
from torchref_kinetic_plugin.workflow.experiment_structures import FormMember, crystal_forms
from torchref_kinetic_plugin.workflow.loaded import input_files
from torchref_kinetic_plugin.workflow.loading import load_refinement
from torchref_kinetic_plugin.workflow.refining import prepare


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    directory = tmp_path_factory.mktemp("warm")
    two_cells.write_warm(directory, d_min=4.0)
    return directory


def loaded(directory, blocks, **overrides):
    return load_refinement(two_cells.write_campaign(directory, blocks, d_min=4.0), overrides=overrides)


def distances(xyz):
    return np.linalg.norm(xyz[::7, None] - xyz[None, ::7], axis=2)


def test_common_structures_keep_their_shape_in_every_cell(warm, tmp_path):
    found = loaded(tmp_path, two_cells.cold_and_warm(warm))
    cold, hot = found.experiments
    for common, here, there in zip(found.structures, cold.structures, hot.structures, strict=True):
        assert here is common
        assert there.cell.parameters == pytest.approx(two_cells.WARM.parameters, rel=2e-6)
        np.testing.assert_allclose(distances(there.atoms.xyz), distances(common.atoms.xyz), atol=1e-9)
    # What an intermediate does against the reference is the same too.
    shifts = [s.structures[2].atoms.xyz - s.structures[0].atoms.xyz for s in (cold.structures, hot.structures)]
    np.testing.assert_allclose(shifts[0], shifts[1], atol=1e-9)


def test_amplitudes_are_those_of_the_undistorted_molecule(warm, tmp_path):
    """Against gemmi's direct summation of the molecule moved as a whole; with common fractions they are others."""
    found = loaded(tmp_path, two_cells.cold_and_warm(warm), **{"refinement.refine": ["kinetics", "scale"]})
    preparation = prepare(found).preparations[1]
    hkl = preparation.model.data.grid.hkl
    cell = preparation.model.data.grid.cell
    chosen = np.random.default_rng(1).choice(len(hkl), 150, replace=False)
    for number, structure in enumerate(found.structures):
        # The cell is orthogonal, so the molecule is shifted and not turned.
        heavy = ~(found.structures.structures[0].atoms.water | found.structures.structures[0].atoms.hydrogen)
        centre = found.structures.structures[0].atoms.fractional[heavy].mean(axis=0)
        axes = np.array(cell.parameters[:3])
        shift = centre * (axes - found.structures.cell.parameters[:3])
        rigid, fractions = structure.to_gemmi(), structure.to_gemmi()
        for moved in (rigid, fractions):
            moved.cell = gemmi.UnitCell(*cell.parameters)
        for site, xyz in zip(rigid[0].all(), structure.atoms.xyz, strict=True):
            site.atom.pos = gemmi.Position(*(xyz + shift))
        for site, fraction in zip(fractions[0].all(), structure.atoms.fractional, strict=True):
            site.atom.pos = gemmi.Position(*(fraction * axes))
        ours = preparation.atoms[number].numpy()[chosen]
        errors = [
            np.abs(ours - theirs).sum() / np.abs(theirs).sum()
            for theirs in (direct_sum(each, hkl[chosen]) for each in (rigid, fractions))
        ]
        assert errors[0] < 1.5e-3
        assert errors[1] > 20.0 * errors[0]


def turned_copy(path, name, angle=0.5, by=0.0):
    """A structure somewhere else in space, in its own cell, some residues moved."""
    structure = load_files({name: EXAMPLE / f"{name.lower()}.pdb"}).structures[0]
    c, s = np.cos(angle), np.sin(angle)
    xyz = structure.atoms.xyz @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]).T + [1.0, 2.0, 3.0]
    xyz[structure.atoms.residue_number < 5] += by
    write_structure(structure.with_values(xyz=xyz), path)
    return path


def test_an_experiment_with_its_own_reference_gets_the_common_intermediates_superposed(warm, tmp_path):
    own = turned_copy(tmp_path / "own.cif", "dark", by=0.4)
    blocks = [
        two_cells.experiment("cold", EXAMPLE),
        two_cells.experiment("warm", warm, f'{{name = "dark", file = "{own}"}}'),
    ]
    found = loaded(tmp_path, blocks)
    common, hot = found.structures, found.experiments[1].structures
    assert hot.names == common.names
    assert own in input_files(found.file)
    dark, first = hot.structures[0].atoms, hot.structures[1].atoms
    assert dark.residue_number.max() == common.structures[0].atoms.residue_number.max()
    # Where neither the reference nor the intermediate moves, they coincide as they do in the common files.
    still = [k for k in dark.index if 20 < k.residue.number < 60 and k in first.index]
    before = common.structures[0].atoms, common.structures[1].atoms
    lengths = [
        np.linalg.norm([a.xyz[a.index[k]] - b.xyz[b.index[k]] for k in still], axis=1)
        for a, b in ((dark, first), before)
    ]
    np.testing.assert_allclose(lengths[0], lengths[1], atol=0.05)
    np.testing.assert_allclose(distances(first.xyz), distances(before[1].xyz), atol=2e-3)


def test_an_intermediate_of_its_own_replaces_the_common_one(warm, tmp_path):
    shutil.copy(EXAMPLE / "i2.pdb", tmp_path / "mine.pdb")
    state = f'{{name = "I1", file = "{tmp_path / "mine.pdb"}"}}'
    found = loaded(tmp_path, [two_cells.experiment("warm", warm, state)])
    own = found.experiments[0].structures
    np.testing.assert_allclose(own.structures[1].atoms.xyz, own.structures[2].atoms.xyz, atol=1e-9)
    assert own.structures[1].name == "I1"
    assert np.abs(found.structures.structures[1].atoms.xyz - found.structures.structures[2].atoms.xyz).max() > 0.5


def test_what_is_wrong_names_the_experiment(warm, tmp_path):
    (tmp_path / "far").mkdir()
    for file in warm.glob("*.mtz"):
        mtz = gemmi.read_mtz_file(str(file))
        mtz.set_cell_for_all(gemmi.UnitCell(56.0, 42.77, 28.95, 90, 90, 90))
        mtz.write_to_file(str(tmp_path / "far" / file.name))
    with pytest.raises(InputError, match=r"far: dark: the cell of the model and that of the data differ by 10.1 %"):
        loaded(tmp_path, [two_cells.experiment("far", tmp_path / "far")])
    (tmp_path / "broken.pdb").write_text("END\n")
    state = f'{{name = "I1", file = "{tmp_path / "broken.pdb"}"}}'
    with pytest.raises(InputError, match=r"^warm: I1: .*broken.pdb"):
        loaded(tmp_path, [two_cells.experiment("warm", warm, state)])


def member(name, a=50.0, files=(), group="P 21 21 21"):
    return FormMember(name, dict(files), gemmi.UnitCell(a, 40.0, 30.0, 90, 90, 90), gemmi.SpaceGroup(group))


def test_experiments_of_one_cell_and_the_same_files_share_atoms():
    one = {"I1": "a.pdb"}
    members = [member("b"), member("a", 50.04), member("c", 50.3), member("d", files=one), member("e", files=one)]
    assert crystal_forms(members) == [(1, 0), (2,), (3, 4)]
    assert crystal_forms([member("a"), member("b", group="P 21 21 2")]) == [(0,), (1,)]
    # The order of the file changes numbers, not who shares.
    turned = members[::-1]
    names = [[each[n].name for n in form] for each in (members, turned) for form in crystal_forms(each)]
    assert names[:3] == names[3:]


def test_neighbours_in_a_chain_of_cells_share_atoms():
    members = [member("a", 50.0), member("b", 50.08), member("c", 50.04)]
    assert not members[0].shares_atoms(members[1])
    assert crystal_forms(members) == [(0, 1, 2)]
