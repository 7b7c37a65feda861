"""Difference maps about a residue: where density is gained and lost, and what is drawn of the structures."""

import gemmi
import numpy as np
import pytest

from torchref_kinetic_plugin.output.difference_views import (
    Frame,
    correlation_near,
    density_of,
    difference_densities,
    drawn_model,
    model_difference_map,
    residue_atoms,
    slab,
)
from torchref_kinetic_plugin.output.map_coefficients import Coefficients, MapData, difference_map
from torchref_kinetic_plugin.structures import AtomicStructure

CELL, GROUP = gemmi.UnitCell(22.0, 24.0, 26.0, 90.0, 90.0, 90.0), gemmi.SpaceGroup("P 21 21 21")
HERE, THERE = (6.0, 7.0, 8.0), (8.2, 7.0, 8.0)


def structure(*atoms, name="dark"):
    """One residue SER 5 of chain A; atoms are (name, element, position, altloc)."""
    model = gemmi.Structure()
    model.cell, model.spacegroup_hm = CELL, GROUP.xhm()
    residue = gemmi.Residue()
    residue.name, residue.seqid = "SER", gemmi.SeqId("5")
    for label, element, position, *altloc in atoms:
        atom = gemmi.Atom()
        atom.name, atom.element, atom.pos, atom.b_iso = label, gemmi.Element(element), gemmi.Position(*position), 15.0
        atom.altloc = altloc[0] if altloc else "\0"
        residue.add_atom(atom)
    chain = gemmi.Chain("A")
    chain.add_residue(residue)
    model.add_model(gemmi.Model(1))
    model[0].add_chain(chain)
    model.setup_entities()
    return AtomicStructure.from_gemmi(model, name)


def rest():
    """Atoms that never move, spread over the asymmetric unit."""
    random = np.random.default_rng(3)
    places = random.random((12, 3)) * [10.0, 11.0, 12.0] + [1.0, 12.0, 1.0]
    return [(f"X{n}", "C", tuple(place)) for n, place in enumerate(places)]


def factors(model, hkl):
    small = model.to_gemmi()
    small.setup_cell_images()
    calculator = gemmi.StructureFactorCalculatorX(small.cell)
    return np.array([calculator.calculate_sf_from_model(small[0], [int(i) for i in each]) for each in hkl])


@pytest.fixture(scope="module")
def series():
    """Dark, excited and what was measured when a third is excited, without error."""
    dark = structure(("OG", "O", HERE), *rest())
    excited = structure(("OG", "O", THERE), *rest(), name="I1")
    hkl = np.asarray(gemmi.make_miller_array(CELL, GROUP, 1.6, 30.0), dtype=np.int32)
    before, after = factors(dark, hkl), factors(excited, hkl)
    mixture = before + 0.3 * (after - before)
    n = len(hkl)
    data = MapData(
        hkl=hkl,
        cell=CELL,
        spacegroup=GROUP,
        f_obs=np.abs(mixture),
        sigma=np.full(n, 0.05),
        f_obs_reference=np.abs(before),
        sigma_reference=np.full(n, 0.05),
        f_calc=mixture,
        f_calc_reference=before,
        f_calc_excited=after,
        excited_fraction=0.3,
        error_variance=np.full(n, 1e-4),
        centric=np.asarray(GROUP.operations().centric_flag_array(hkl), dtype=bool),
        free=np.zeros(n, dtype=bool),
    )
    return dark, excited, data


def test_the_map_of_a_structure_has_its_electrons_at_its_atoms(series):
    _, _, data = series
    density = density_of(data, Coefficients(data.f_calc_reference))
    sigma = float(np.std(np.asarray(density.array)))
    assert density.interpolate_value(gemmi.Position(*HERE)) > 5.0 * sigma
    # F(000) is left out, so the mean is 0, and the variance that of the coefficients (Parseval).
    operations = GROUP.operations()
    weights = len(operations) / np.asarray(operations.epsilon_factor_without_centering_array(data.hkl))
    both = np.where(data.centric, 1.0, 2.0)
    expected = np.sqrt((weights * both * np.abs(data.f_calc_reference) ** 2).sum() / CELL.volume**2)
    assert sigma == pytest.approx(expected, rel=1e-3)


def test_density_is_gained_where_atoms_go_and_lost_where_they_were(series):
    _, _, data = series
    for density in difference_densities(data):
        sigma = float(np.std(np.asarray(density.array)))
        assert density.interpolate_value(gemmi.Position(*THERE)) > 4.0 * sigma
        assert density.interpolate_value(gemmi.Position(*HERE)) < -4.0 * sigma


def test_without_error_the_models_map_is_that_observed(series):
    dark, excited, data = series
    np.testing.assert_allclose(model_difference_map(data).values, difference_map(data).values, atol=1e-12)
    observed, model = difference_densities(data)
    atoms = np.concatenate([residue_atoms(each, dark.atoms.residues[0])[:1] for each in (dark, excited)])
    assert correlation_near(observed, model, atoms) == pytest.approx(1.0, abs=1e-6)
    random = np.random.default_rng(0)
    noise = Coefficients(difference_map(data).values * np.exp(2j * np.pi * random.random(len(data.hkl))))
    assert abs(correlation_near(observed, density_of(data, noise), atoms)) < 0.6


def test_a_flat_map_has_no_correlation(series):
    _, _, data = series
    flat = density_of(data, Coefficients(np.zeros(len(data.hkl), dtype=complex)))
    assert np.isnan(correlation_near(flat, flat, np.array([HERE])))


def test_missing_reflections_are_left_out(series):
    _, _, data = series
    values = difference_map(data).values.copy()
    values[5] = np.nan
    zero = values.copy()
    zero[5] = 0.0
    maps = [np.asarray(density_of(data, Coefficients(each)).array) for each in (values, zero)]
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-7)


def test_a_slab_shows_the_strongest_density_where_it_lies(series):
    _, _, data = series
    observed, _ = difference_densities(data)
    atoms = np.array([HERE, THERE, (7.0, 8.0, 8.0)])
    frame = Frame.about(atoms)
    picture = slab(observed, frame)
    n = len(picture)
    pixel = 2.0 * frame.width / (n - 1)
    for place, found in ((HERE, picture.argmin()), (THERE, picture.argmax())):
        row, column = np.unravel_index(found, picture.shape)
        x, y, _ = frame.seen(np.array([place]))[0]
        assert column * pixel - frame.width == pytest.approx(x, abs=0.35)
        assert row * pixel - frame.width == pytest.approx(y, abs=0.35)


def test_a_frame_spreads_atoms_across_the_view_and_is_right_handed():
    random = np.random.default_rng(1)
    turn = np.linalg.qr(random.standard_normal((3, 3)))[0]
    flat = random.standard_normal((20, 3)) * [1.5, 0.7, 0.1]
    frame = Frame.about(flat @ turn.T + [10.0, 20.0, 30.0])
    np.testing.assert_allclose(frame.axes @ frame.axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(frame.axes) == pytest.approx(1.0)
    assert abs(frame.axes[2] @ turn[:, 2]) > 0.99
    seen = frame.seen(flat @ turn.T + [10.0, 20.0, 30.0])
    assert (np.abs(seen[:, :2]) <= frame.width).all()
    assert frame.depth < frame.width


def test_bonds_of_a_drawn_model():
    model = structure(
        ("N", "N", (1.0, 1.0, 1.0)),
        ("CA", "C", (2.4, 1.0, 1.0)),
        ("CB", "C", (2.4, 2.5, 1.0), "A"),
        ("CB", "C", (2.4, 2.2, 1.9), "B"),
        ("SD", "S", (4.2, 1.0, 1.0)),
        ("H", "H", (1.0, 1.0, 2.0)),
        ("FAR", "C", (2.4, 1.0, 9.0)),
    )
    frame = Frame(np.array([2.4, 1.0, 1.0]), np.eye(3), 4.0, 1.5)
    drawn = drawn_model(model, frame, "dark")
    assert drawn.elements == ("N", "C", "C", "C", "S")
    assert {tuple(each) for each in drawn.bonds.tolist()} == {(0, 1), (1, 2), (1, 3), (1, 4)}
    np.testing.assert_allclose(drawn.xyz[1], 0.0)
