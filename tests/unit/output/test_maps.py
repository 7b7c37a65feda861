"""Map files, as other programs read them."""

from __future__ import annotations

import logging
from dataclasses import replace

import gemmi
import numpy as np
import pytest

from torchref_kinetic_plugin.errors import FileError
from torchref_kinetic_plugin.output.map_coefficients import MapData, difference_map, extrapolate, model_maps
from torchref_kinetic_plugin.output.maps import write_maps
from torchref_kinetic_plugin.reflections import read_observations

FULL = {
    "FP": "F",
    "SIGFP": "Q",
    "FC": "F",
    "PHIC": "P",
    "FC_REF": "F",
    "PHIC_REF": "P",
    "FOM": "W",
    "FWT": "F",
    "PHWT": "P",
    "DELFWT": "F",
    "PHDELWT": "P",
    "DF_W": "F",
    "PHIREF": "P",
    "FEXT": "F",
    "SIGFEXT": "Q",
    "PHIEXT": "P",
    "FREE": "I",
}
DIFFERENCE = {"DELFWT": "F", "PHDELWT": "P", "FWT": "F", "PHWT": "P"}
EXTRAPOLATED = ("FEXT", "SIGFEXT", "PHIEXT")


@pytest.fixture
def data():
    """Believable numbers in P 21 21 21, some reflections missing."""
    cell, group = gemmi.UnitCell(30.0, 36.0, 42.0, 90.0, 90.0, 90.0), gemmi.SpaceGroup("P 21 21 21")
    hkl = np.asarray(gemmi.make_miller_array(cell, group, 3.0))
    random, n = np.random.default_rng(7), len(hkl)
    centric = np.asarray(group.operations().centric_flag_array(hkl), dtype=bool)

    def normal(size):
        return size * (random.normal(size=n) + 1j * np.where(centric, 0.0, random.normal(size=n)))

    dark, change, error = normal(100.0), normal(20.0), normal(15.0)
    fraction = 0.3
    f_obs = np.abs(dark + fraction * change + error) + random.normal(0.0, 1.0, n)
    f_obs_reference = np.abs(dark + error) + random.normal(0.0, 1.0, n)
    f_obs[3], f_obs_reference[8] = np.nan, np.nan
    return MapData(
        hkl=hkl,
        cell=cell,
        spacegroup=group,
        f_obs=np.abs(f_obs),
        sigma=np.where(np.isfinite(f_obs), 1.0, np.nan),
        f_obs_reference=np.abs(f_obs_reference),
        sigma_reference=np.where(np.isfinite(f_obs_reference), 1.0, np.nan),
        f_calc=dark + fraction * change,
        f_calc_reference=dark,
        f_calc_excited=dark + change,
        excited_fraction=fraction,
        error_variance=np.full(n, 2.0 * 15.0**2),
        centric=centric,
        free=random.random(n) < 0.05,
    )


def read(path):
    mtz = gemmi.read_mtz_file(str(path))
    return mtz, {column.label: np.array(column) for column in mtz.columns}


def test_columns_have_the_names_and_types_that_programs_expect(data, tmp_path):
    full, short = write_maps(tmp_path / "298K_1.5us", data)
    assert (full.name, short.name) == ("298K_1.5us.mtz", "298K_1.5us_difference.mtz")
    for path, expected in ((full, FULL), (short, DIFFERENCE)):
        mtz, _ = read(path)
        assert {column.label: column.type for column in mtz.columns[3:]} == expected
        assert [column.type for column in mtz.columns[:3]] == ["H", "H", "H"]
        assert mtz.spacegroup.xhm() == data.spacegroup.xhm()
        assert mtz.cell.approx(data.cell, 1e-4)
        assert {column.dataset_id for column in mtz.columns[3:]} == {1}
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([full.name, short.name])


def test_values_come_back(data, tmp_path):
    full, short = write_maps(str(tmp_path / "a"), data)
    (_, columns), (_, brief) = read(full), read(short)
    np.testing.assert_array_equal(np.column_stack([columns[each] for each in "HKL"]), data.hkl)
    np.testing.assert_allclose(columns["FP"], data.f_obs, rtol=1e-6)
    np.testing.assert_allclose(columns["SIGFP"], data.sigma, rtol=1e-6)
    np.testing.assert_array_equal(columns["FREE"], ~data.free)
    maps, difference, beyond = model_maps(data), difference_map(data), extrapolate(data)
    np.testing.assert_allclose(columns["FOM"], maps.figure_of_merit, rtol=1e-5)
    for table, amplitude, phase, values in (
        (columns, "FC", "PHIC", data.f_calc),
        (columns, "FC_REF", "PHIC_REF", data.f_calc_reference),
        (columns, "FWT", "PHWT", maps.best.values),
        (columns, "DELFWT", "PHDELWT", maps.residual.values),
        (columns, "DF_W", "PHIREF", difference.values),
        (brief, "DELFWT", "PHDELWT", difference.values),
        (brief, "FWT", "PHWT", beyond.best.values),
    ):
        known = np.isfinite(values)
        back = table[amplitude] * np.exp(1j * np.radians(table[phase]))
        np.testing.assert_array_equal(np.isnan(table[amplitude]), ~known)
        np.testing.assert_array_equal(np.isnan(table[phase]), ~known)
        np.testing.assert_allclose(back[known], values[known], atol=1e-4, rtol=1e-5)
        assert (table[amplitude][known] >= 0.0).all()
        assert ((table[phase][known] >= -180.0) & (table[phase][known] < 180.0)).all()


def test_reflections_missing_in_one_dataset_are_missing_only_where_it_counts(data, tmp_path):
    _, columns = read(write_maps(tmp_path / "a", data)[0])
    missing = {label: set(np.flatnonzero(np.isnan(values))) & {3, 8} for label, values in columns.items()}
    timepoint, either = ("FP", "SIGFP", "FOM", "DELFWT", "PHDELWT"), ("DF_W", "PHIREF", "FEXT", "SIGFEXT")
    for label, rows in missing.items():
        assert rows == ({3} if label in timepoint else {3, 8} if label in either else set()), label


def test_extrapolated_amplitudes_below_zero_are_absent_and_counted(data, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        full, short = write_maps(tmp_path / "a", data)
    mtz, columns = read(full)
    beyond = extrapolate(data)
    negative = beyond.amplitude < 0.0
    assert negative.any()
    assert np.isnan(columns["FEXT"][negative]).all()
    assert np.isnan(columns["SIGFEXT"][negative]).all()
    kept = beyond.amplitude >= 0.0
    np.testing.assert_allclose(columns["FEXT"][kept], beyond.amplitude[kept], rtol=1e-5)
    np.testing.assert_allclose(columns["SIGFEXT"][kept], beyond.sigma[kept], rtol=1e-5)
    count = f"{int(negative.sum())} of {len(negative) - 2} below zero"
    assert any(count in line for line in mtz.history)
    assert f"a: {int(negative.sum())} extrapolated amplitudes below zero" in caplog.text
    assert np.isfinite(read(short)[1]["FWT"]).all()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"excited_fraction": 0.01}, "excited fraction 0.010"), ({"f_calc_excited": None}, "no excited structure")],
)
def test_without_extrapolation_its_columns_are_absent_and_the_history_says_why(data, tmp_path, caplog, changes, reason):
    with caplog.at_level(logging.INFO):
        paths = write_maps(tmp_path / "a", replace(data, **changes))
    expected = {label for label in FULL if label not in EXTRAPOLATED}, {"DELFWT", "PHDELWT"}
    for path, labels in zip(paths, expected, strict=True):
        mtz, columns = read(path)
        assert set(columns) - {"H", "K", "L"} == labels
        assert any("not extrapolated" in line and reason in line for line in mtz.history)
    assert reason in caplog.text


def test_history_says_what_each_column_is(data, tmp_path):
    for path in write_maps(tmp_path / "a", data):
        mtz, columns = read(path)
        words = {word for line in mtz.history for word in line.split(" ")[0].split("/")}
        assert set(columns) - {"H", "K", "L"} <= words
        # Longer ones the format cuts off; more than 30 lines it has no room for.
        assert all(len(line) <= 80 for line in mtz.history)
        assert len(mtz.history) <= 30


def test_the_longest_reason_and_the_longest_numbers_fit_the_history(data, tmp_path):
    for fraction in (-12345.678, 0.0123, 0.9999, 12345.678, float("-inf"), float("nan")):
        write_maps(tmp_path / "a", replace(data, excited_fraction=fraction))
    write_maps(tmp_path / "a", replace(data, f_obs=np.full(len(data.hkl), np.nan)))


def test_long_names_are_no_trouble(data, tmp_path):
    full, _ = write_maps(tmp_path / ("x" * 120), data)
    assert len(read(full)[0].title) == 70


def test_gemmi_makes_maps_of_the_columns(data, tmp_path):
    for path in write_maps(tmp_path / "a", data):
        for pair in (("FWT", "PHWT"), ("DELFWT", "PHDELWT")):
            grid = gemmi.read_mtz_file(str(path)).transform_f_phi_to_map(*pair, sample_rate=3.0)
            values = np.asarray(grid.array)
            assert np.isfinite(values).all()
            assert values.std() > 0.0


def test_the_file_is_no_trap_for_who_refines_against_it(data, tmp_path):
    full, _ = write_maps(tmp_path / "a", data)
    observations = read_observations(full)
    assert dict(observations.columns) == {"F": "FP", "SIGF": "SIGFP", "free": "FREE"}
    assert observations.flags.free.sum() == data.free.sum()


def test_a_missing_directory_is_named(data, tmp_path):
    with pytest.raises(FileError, match="nowhere"):
        write_maps(tmp_path / "nowhere" / "a", data)
