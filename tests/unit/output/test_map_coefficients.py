"""Map coefficients: figures of merit, weights, phases, and where atoms appear."""

from __future__ import annotations

from dataclasses import replace

import gemmi
import numpy as np
import pytest
from scipy.integrate import quad

from torchref_kinetic_plugin.errors import ShapeError
from torchref_kinetic_plugin.output.map_coefficients import (
    LEAST_FRACTION,
    Coefficients,
    MapData,
    difference_map,
    difference_weights,
    extrapolate,
    figure_of_merit,
    model_maps,
    why_not_extrapolated,
)

CELL = gemmi.UnitCell(18.0, 20.0, 22.0, 90.0, 90.0, 90.0)
D_MIN = 1.3
NEW_ATOM = gemmi.Position(5.1, 7.3, 9.2)
B = 15.0


def structure_factors(positions, hkl, group, element="C"):
    """Sum over equal atoms (n, 3) fractional, and over symmetry, by its definition."""
    s2 = 1.0 / (4.0 * CELL.calculate_d_array(hkl) ** 2)
    table = gemmi.Element(element).it92
    form = np.array([table.calculate_sf(each) for each in s2]) * np.exp(-B * s2)
    total = np.zeros(len(hkl), dtype=complex)
    for operation in group.operations():
        moved = np.array([operation.apply_to_xyz(list(each)) for each in positions])
        total += np.exp(2j * np.pi * hkl @ moved.T).sum(1)
    return form * total


def map_data(group_name="P 1", fraction=0.2, **changes):
    """Exact amplitudes of a crystal of which a fraction has one more atom."""
    group = gemmi.SpaceGroup(group_name)
    hkl = np.asarray(gemmi.make_miller_array(CELL, group, D_MIN))
    random = np.random.default_rng(3)
    dark = structure_factors(random.random((320 // len(list(group.operations())), 3)), hkl, group)
    place = CELL.fractionalize(NEW_ATOM)
    atom = structure_factors([place.tolist()], hkl, group)
    mixture = dark + fraction * atom
    n = len(hkl)
    data = MapData(
        hkl=hkl,
        cell=CELL,
        spacegroup=group,
        f_obs=np.abs(mixture),
        sigma=np.full(n, 0.01),
        f_obs_reference=np.abs(dark),
        sigma_reference=np.full(n, 0.01),
        f_calc=mixture,
        f_calc_reference=dark,
        f_calc_excited=dark + atom,
        excited_fraction=fraction,
        error_variance=np.full(n, 1e-4),
        centric=np.asarray(group.operations().centric_flag_array(hkl), dtype=bool),
        free=np.arange(n) % 20 == 0,
    )
    return replace(data, **changes), atom


def density(data, coefficients, keep=None):
    """Map in e/A^3 as gemmi makes it."""
    kept = np.isfinite(coefficients) if keep is None else np.isfinite(coefficients) & keep
    asu = gemmi.ComplexAsuData(CELL, data.spacegroup, data.hkl[kept], coefficients[kept].astype(np.complex64))
    return asu.transform_f_phi_to_map(sample_rate=5.0)


def height(grid, place=NEW_ATOM):
    return grid.tricubic_interpolation(grid.unit_cell.fractionalize(place))


def peak(grid, data):
    """Distance in A of the highest point to the new atom or one of its mates."""
    values = np.asarray(grid.array)
    index = np.unravel_index(values.argmax(), values.shape)
    fractional = np.array(index) / values.shape
    found = CELL.orthogonalize(gemmi.Fractional(*fractional))
    mates = [op.apply_to_xyz(CELL.fractionalize(NEW_ATOM).tolist()) for op in data.spacegroup.operations()]
    return min(
        CELL.find_nearest_image(found, CELL.orthogonalize(gemmi.Fractional(*mate)), gemmi.Asu.Any).dist()
        for mate in mates
    )


# --- figure of merit


@pytest.mark.parametrize("f_obs", [0.5, 3.0, 12.0])
@pytest.mark.parametrize("f_calc", [0.1, 2.0, 10.0])
@pytest.mark.parametrize("variance", [0.7, 9.0])
def test_acentric_figure_of_merit_is_the_mean_cosine(f_obs, f_calc, variance):
    def density_of(angle):
        misfit = f_obs**2 + f_calc**2 - 2.0 * f_obs * f_calc * np.cos(angle)
        return np.exp(-(misfit - (f_obs - f_calc) ** 2) / variance)

    expected = (
        quad(lambda a: np.cos(a) * density_of(a), 0.0, np.pi, points=[0.05, 0.3])[0]
        / quad(density_of, 0.0, np.pi, points=[0.05, 0.3])[0]
    )
    found = figure_of_merit(*as_arrays(f_obs, 0.0, f_calc, variance), np.array([False]))
    assert found == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("f_obs", "f_calc", "variance"), [(0.5, 2.0, 1.0), (3.0, 1.0, 9.0), (4.0, 4.0, 30.0)])
def test_centric_figure_of_merit_is_the_mean_sign(f_obs, f_calc, variance):
    same, opposite = (np.exp(-((sign * f_obs - f_calc) ** 2) / (2.0 * variance)) for sign in (1.0, -1.0))
    found = figure_of_merit(*as_arrays(f_obs, 0.0, f_calc, variance), np.array([True]))
    assert found == pytest.approx((same - opposite) / (same + opposite), rel=1e-12)


@pytest.mark.parametrize("centric", [False, True])
def test_measurement_error_lies_along_the_calculated_amplitude(centric):
    """Near a large F_calc the amplitude has variance V/2 (V when centric), to which sigma^2 adds."""
    share = 1.0 if centric else 2.0
    with_sigma = figure_of_merit(*as_arrays(5.0, 1.3, 4.0, 2.0), np.array([centric]))
    without = figure_of_merit(*as_arrays(5.0, 0.0, 4.0, 2.0 + share * 1.3**2), np.array([centric]))
    assert with_sigma == pytest.approx(without)


def test_figure_of_merit_has_its_limits():
    f_obs = np.array([5.0, 5.0, 0.0, 5.0, 5.0, np.nan, 1e6])
    f_calc = np.array([5.0, 0.0, 0.0, 5.0, 5.0, 5.0, 1e6])
    variance = np.array([0.0, 0.0, 0.0, 1e12, 1e-300, 0.0, 1.0])
    for centric in (np.zeros(7, dtype=bool), np.ones(7, dtype=bool)):
        merit = figure_of_merit(f_obs, np.zeros(7), f_calc, variance, centric)
        np.testing.assert_allclose(merit, [1.0, 0.0, 0.0, 0.0, 1.0, np.nan, 1.0], atol=1e-9)


def as_arrays(*values):
    return [np.array([value]) for value in values]


# --- weights


def test_equal_differences_weigh_the_same():
    weights = difference_weights(np.array([2.0, -2.0, 2.0]), np.full(3, 0.5))
    np.testing.assert_allclose(weights, 1.0 / 2.05)


def test_weights_fall_with_the_error_and_for_outliers():
    difference, sigma = np.array([1.0, 1.0, 1.0, 30.0]), np.array([0.5, 1.0, 1e4, 0.5])
    weights = difference_weights(difference, sigma, outlier=1.0)
    assert weights[0] > weights[1] > weights[2]
    assert weights[0] > weights[3]
    assert difference_weights(difference, sigma, outlier=0.0)[3] == weights_without_outliers(sigma)[3]


def weights_without_outliers(sigma):
    return 1.0 / (1.0 + sigma**2 / (sigma**2).mean())


def test_weights_tend_to_one_for_errors_below_the_mean():
    sigma = np.array([1e-6, 1.0, 1.0])
    assert difference_weights(np.zeros(3), sigma)[0] == pytest.approx(1.0)


def test_weights_do_not_depend_on_the_unit():
    random = np.random.default_rng(0)
    difference, sigma = random.normal(size=50), random.uniform(0.1, 1.0, 50)
    np.testing.assert_allclose(difference_weights(1e3 * difference, 1e3 * sigma), difference_weights(difference, sigma))


def test_weights_ignore_what_is_missing():
    difference, sigma = np.array([1.0, np.nan, 2.0, 5.0]), np.array([0.1, 0.1, 0.2, np.nan])
    weights = difference_weights(difference, sigma)
    np.testing.assert_array_equal(np.isnan(weights), [False, True, False, True])
    np.testing.assert_allclose(weights[[0, 2]], difference_weights(difference[[0, 2]], sigma[[0, 2]]))
    assert np.isnan(difference_weights(np.full(2, np.nan), np.full(2, np.nan))).all()


def test_weights_of_nothing_but_zeros_are_one():
    np.testing.assert_array_equal(difference_weights(np.zeros(3), np.zeros(3)), 1.0)


# --- coefficients


@pytest.mark.parametrize("group", ["P 1", "P 21 21 21"])
def test_a_perfect_model_leaves_no_residual(group):
    data, _ = map_data(group)
    maps = model_maps(data)
    strong = np.abs(data.f_calc) > 1.0
    assert maps.residual.amplitude[strong].max() < 1e-3
    assert maps.figure_of_merit[strong].min() > 0.999
    np.testing.assert_allclose(maps.best.values[strong], data.f_calc[strong], atol=2e-3)


def test_maps_are_on_the_phases_of_the_mixture_and_count_centric_ones_once():
    data, _ = map_data("P 21 21 21")
    data = replace(data, f_obs=1.3 * data.f_obs, error_variance=np.full(len(data.hkl), 50.0))
    maps, calculated = model_maps(data), np.abs(data.f_calc)
    along = (maps.best.values * np.exp(-1j * np.angle(data.f_calc))).real
    weighted = maps.figure_of_merit * data.f_obs
    assert 0 < data.centric.sum() < len(data.hkl)
    np.testing.assert_allclose(along[data.centric], weighted[data.centric], atol=1e-9)
    np.testing.assert_allclose(along[~data.centric], (2.0 * weighted - calculated)[~data.centric], atol=1e-9)
    residual = (maps.residual.values * np.exp(-1j * np.angle(data.f_calc))).real
    np.testing.assert_allclose(residual, weighted - calculated, atol=1e-9)


@pytest.mark.parametrize("which", ["f_obs", "sigma"])
def test_what_is_not_observed_is_filled_in_one_map_and_absent_in_the_other(which):
    data, _ = map_data()
    broken = getattr(data, which).copy()
    broken[:7] = np.nan
    data = replace(data, **{which: broken})
    maps = model_maps(data)
    np.testing.assert_allclose(maps.best.values[:7], data.f_calc[:7])
    assert np.isnan(maps.residual.values[:7]).all()
    assert np.isnan(maps.figure_of_merit[:7]).all()
    assert np.isnan(difference_map(data).values[:7]).all()
    assert np.isfinite(maps.residual.values[7:]).all()
    assert np.isfinite(difference_map(data).values[7:]).all()
    beyond = extrapolate(data)
    assert np.isnan(beyond.amplitude[:7]).all()
    np.testing.assert_allclose(beyond.best.values[:7], data.f_calc_excited[:7])


def test_a_difference_has_the_phase_of_the_reference_and_its_own_sign():
    data, _ = map_data()
    n = len(data.hkl)
    raised = np.arange(n) % 2 == 0
    data = replace(data, f_obs=data.f_obs_reference + np.where(raised, 0.2, -0.2), sigma=np.full(n, 0.1))
    phase = difference_map(data).phase
    turn = np.mod(phase - np.degrees(np.angle(data.f_calc_reference)) + 90.0, 360.0) - 90.0
    np.testing.assert_allclose(turn, np.where(raised, 0.0, 180.0), atol=1e-9)
    # Equal differences weigh the same, and weights have mean 1.
    np.testing.assert_allclose(difference_map(data).amplitude, 0.2)


def test_phases_lie_from_minus_180_to_below_180():
    values = np.array([-1.0 + 0.0j, -1.0 - 1e-12j, -1.0 + 1e-12j, 1.0, 1j])
    phase = Coefficients(values).phase
    np.testing.assert_allclose(phase, [-180.0, -180.0, -180.0, 0.0, 90.0])
    assert (phase.astype(np.float32) < 180.0).all()


# --- maps


def relative_weights(data):
    weights = difference_weights(*data.difference)
    return weights / weights.mean()


@pytest.mark.parametrize("group", ["P 1", "P 21 21 21"])
def test_an_atom_that_appears_is_the_peak_of_the_difference_map(group):
    """With half its density from acentric reflections and all of it from centric ones."""
    data, atom = map_data(group, fraction=0.1)
    grid = density(data, difference_map(data).values)
    assert peak(grid, data) < 0.35
    truth = 0.1 * relative_weights(data) * atom * np.where(data.centric, 1.0, 0.5)
    assert height(grid) == pytest.approx(height(density(data, truth)), rel=0.04)


@pytest.mark.parametrize("group", ["P 1", "P 21 21 21"])
def test_an_atom_missing_from_the_model_is_the_peak_of_the_residual_map(group):
    data, atom = map_data(group, fraction=0.1)
    data = replace(data, f_calc=data.f_calc_reference)
    grid = density(data, model_maps(data).residual.values)
    assert peak(grid, data) < 0.35
    truth = 0.1 * atom * np.where(data.centric, 1.0, 0.5)
    assert height(grid) == pytest.approx(height(density(data, truth)), rel=0.04)


@pytest.mark.parametrize("group", ["P 1", "P 21 21 21"])
@pytest.mark.parametrize("fraction", [0.05, 0.3])
@pytest.mark.parametrize("modelled", [True, False])
def test_an_extrapolated_map_has_the_whole_atom(group, fraction, modelled):
    data, atom = map_data(group, fraction=fraction)
    if not modelled:
        data = replace(data, f_calc_excited=data.f_calc_reference)
    beyond = extrapolate(data)
    gained = density(data, beyond.best.values - data.f_calc_reference)
    assert peak(gained, data) < 0.35
    assert height(gained) == pytest.approx(height(density(data, relative_weights(data) * atom)), rel=0.06)
    # The weights against outliers take some of the signal.
    assert height(gained) == pytest.approx(height(density(data, atom)), rel=0.12)


# --- extrapolation


def test_at_a_fraction_of_one_the_extrapolated_amplitude_is_the_one_observed():
    data, _ = map_data(fraction=1.0)
    n = len(data.hkl)
    # Differences of equal size, so that all weights are the same.
    data = replace(data, f_obs=data.f_obs_reference + np.where(np.arange(n) % 2, 0.3, -0.3), sigma=np.full(n, 0.2))
    beyond = extrapolate(data)
    np.testing.assert_allclose(beyond.amplitude, data.f_obs)
    np.testing.assert_allclose(beyond.sigma, data.sigma)
    np.testing.assert_allclose(np.exp(1j * np.radians(beyond.phase)), np.exp(1j * np.angle(data.f_calc_excited)))


def test_the_error_of_an_extrapolated_amplitude_is_that_of_repeated_measurements():
    data, _ = map_data(fraction=0.25)
    n = len(data.hkl)
    true, size = data.f_obs_reference, np.where(np.arange(n) % 2, 2.0, -2.0)
    data = replace(data, f_obs=true + size, sigma=np.full(n, 0.4), sigma_reference=np.full(n, 0.3))
    expected = extrapolate(data).sigma
    random, a = np.random.default_rng(1), 0.25
    reference = true + random.normal(0.0, 0.3, (400, n))
    observed = true + size + random.normal(0.0, 0.4, (400, n))
    np.testing.assert_allclose((reference + (observed - reference) / a).std(axis=0).mean(), expected.mean(), rtol=0.01)


def test_noise_below_zero_stays_in_the_amplitude_and_counts_by_its_size_in_the_map():
    data, _ = map_data(fraction=0.05)
    weak = int(data.f_obs_reference.argmin())
    data.f_obs[weak] = 0.2 * data.f_obs_reference[weak]
    beyond = extrapolate(data)
    size, calculated = -beyond.amplitude[weak], abs(data.f_calc_excited[weak])
    assert size > 0.0
    merit = figure_of_merit(*as_arrays(size, beyond.sigma[weak], calculated, 1e-4), np.array([False]))[0]
    expected = (2.0 * merit * size - calculated) * np.exp(1j * np.angle(data.f_calc_excited[weak]))
    assert beyond.best.values[weak] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"excited_fraction": 0.9 * LEAST_FRACTION}, "excited fraction 0.018, at least 0.02"),
        ({"excited_fraction": 0.0}, "excited fraction 0.000"),
        ({"excited_fraction": -0.1}, "excited fraction -0.100"),
        ({"excited_fraction": float("nan")}, "excited fraction is nan"),
        ({"f_calc_excited": None}, "no excited structure"),
    ],
)
def test_what_cannot_be_extrapolated_is_refused_with_the_reason(changes, reason):
    data = replace(map_data()[0], **changes)
    assert extrapolate(data) is None
    assert reason in why_not_extrapolated(data)


def test_nothing_in_common_is_a_reason_too_and_no_warning():
    data, _ = map_data()
    data = replace(data, f_obs_reference=np.full(len(data.hkl), np.nan))
    assert extrapolate(data) is None
    assert "no reflection in common" in why_not_extrapolated(data)
    assert np.isnan(difference_map(data).values).all()


def test_what_can_be_extrapolated_has_no_reason_against_it():
    data, _ = map_data(fraction=LEAST_FRACTION)
    assert why_not_extrapolated(data) is None
    assert extrapolate(data) is not None


@pytest.mark.parametrize("name", ["sigma", "f_calc_excited", "free"])
def test_arrays_of_another_length_are_refused(name):
    data, _ = map_data()
    with pytest.raises(ShapeError, match=name):
        replace(data, **{name: getattr(data, name)[:-1]})
