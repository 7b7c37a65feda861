"""Files to observations."""

from __future__ import annotations

import gzip
from pathlib import Path

import gemmi
import numpy as np
import pytest

from tests.unit.reflections import crystals
from torchref_kinetic_plugin.errors import FileError, InputError, UnknownNameError
from torchref_kinetic_plugin.reflections import french_wilson, mean_intensity, read_observations

HKL = crystals.reflections(d_min=3.0)
N = len(HKL)
F = np.sqrt(crystals.wilson_intensities(crystals.GROUP, HKL, seed=1)).astype(np.float32).astype(float)
SIGF = (0.5 + 0.02 * F).astype(np.float32).astype(float)
TRUE = {tuple(h): f for h, f in zip(HKL.tolist(), F, strict=True)}


def amplitudes(f: np.ndarray = F, sigma: np.ndarray = SIGF) -> list[crystals.Column]:
    return [("FP", "F", f), ("SIGFP", "Q", sigma)]


def remark(read: object, part: str) -> bool:
    return any(part in each for each in read.remarks)  # type: ignore[attr-defined]


def test_values_are_those_of_the_file(tmp_path: Path) -> None:
    path = crystals.write_mtz(tmp_path / "a.mtz", HKL, amplitudes(), wavelength=0.98)
    read = read_observations(path)
    assert [TRUE[tuple(h)] for h in read.hkl.tolist()] == read.amplitude.tolist()
    np.testing.assert_allclose(read.sigma, 0.5 + 0.02 * read.amplitude, rtol=1e-6)
    assert read.path == str(path)
    assert read.name == "a"
    assert read.kind == "amplitude"
    assert dict(read.columns) == {"F": "FP", "SIGF": "SIGFP"}
    assert read.wavelength == pytest.approx(0.98)
    assert read.spacegroup.xhm() == "P 21 21 21"
    assert read.cell.parameters == crystals.CELL
    assert read.hkl.dtype == np.int32
    assert read.d_min == pytest.approx(3.0, abs=0.02)
    expected = 1.0 / np.sqrt(np.sum((read.hkl / np.array(crystals.CELL[:3])) ** 2, axis=1))
    np.testing.assert_allclose(read.resolution, expected)
    assert not read.amplitude.flags.writeable
    with pytest.raises(AttributeError):
        read.path = "other"  # type: ignore[misc]


@pytest.mark.parametrize("group", crystals.CELLS)
def test_indices_go_to_the_asymmetric_unit(tmp_path: Path, group: str) -> None:
    hkl = crystals.reflections(group, d_min=3.0)
    values = np.arange(1.0, len(hkl) + 1.0)
    images = crystals.equivalents(hkl, group, seed=3)
    columns = [("F", "F", values), ("SIGF", "Q", np.ones(len(hkl)))]
    read = read_observations(crystals.write_mtz(tmp_path / "asu.mtz", images, columns, group))
    asu, operations = gemmi.ReciprocalAsu(gemmi.SpaceGroup(group)), gemmi.SpaceGroup(group).operations()
    expected = {tuple(asu.to_asu([int(i) for i in h], operations)[0]): v for h, v in zip(images, values, strict=True)}
    assert len(expected) == len(read)
    assert [expected[tuple(h)] for h in read.hkl.tolist()] == read.amplitude.tolist()


def test_gzip_and_mmcif_give_the_same(tmp_path: Path) -> None:
    flags = crystals.flags(N)
    plain = crystals.write_mtz(tmp_path / "a.mtz", HKL, [*amplitudes(), ("FREE", "I", flags)])
    text = crystals.cif_text(
        HKL,
        {"F_meas_au": F.tolist(), "F_meas_sigma_au": SIGF.tolist(), "status": np.where(flags == 1, "f", "o").tolist()},
    )
    (tmp_path / "b.cif").write_text(text)
    (tmp_path / "c.mtz.gz").write_bytes(gzip.compress(plain.read_bytes()))
    # The content decides, not the name.
    (tmp_path / "d.ent").write_bytes(gzip.compress(text.encode()))
    first = read_observations(plain)
    assert first.free is not None
    assert (first.free == 1).sum() == flags.sum()
    for name in ("b.cif", "c.mtz.gz", "d.ent"):
        other = read_observations(tmp_path / name)
        np.testing.assert_array_equal(other.hkl, first.hkl)
        np.testing.assert_array_equal(other.amplitude, first.amplitude)
        np.testing.assert_array_equal(other.sigma, first.sigma)
        np.testing.assert_array_equal(other.free, first.free)
    cif = read_observations(tmp_path / "b.cif")
    assert dict(cif.columns) == {"F": "F_meas_au", "SIGF": "F_meas_sigma_au", "free": "status"}
    assert cif.wavelength == pytest.approx(0.9795)
    assert remark(cif, "status: f = free")


@pytest.mark.parametrize(
    ("value", "sigma", "role"),
    [
        ("F_meas", "F_meas_sigma", "F"),
        ("intensity_meas", "intensity_sigma", "I"),
        ("F_squared_meas", "F_squared_sigma", "I"),
    ],
)
def test_names_of_mmcif(tmp_path: Path, value: str, sigma: str, role: str) -> None:
    (tmp_path / "a.cif").write_text(crystals.cif_text(HKL, {value: F.tolist(), sigma: SIGF.tolist()}))
    read = read_observations(tmp_path / "a.cif")
    assert (read.columns[role], read.columns[f"SIG{role}"]) == (value, sigma)


def test_status_of_mmcif(tmp_path: Path) -> None:
    status = np.full(N, "o", dtype=object)
    status[10:30], status[40:45], status[50:53] = "f", "x", "<"
    columns = {"F_meas_au": F.tolist(), "F_meas_sigma_au": SIGF.tolist(), "status": status.tolist()}
    (tmp_path / "a.cif").write_text(crystals.cif_text(HKL, columns))
    read = read_observations(tmp_path / "a.cif")
    assert len(read) == N - 5
    assert read.free is not None
    assert [(read.free == value).sum() for value in (1, 0, -1)] == [20, N - 28, 3]
    assert remark(read, "5 reflections marked as unreliable (status x) removed")
    # That all were observed says nothing of a free set.
    columns["status"] = ["o"] * N
    columns["pdbx_r_free_flag"] = crystals.flags(N).astype(int).tolist()
    (tmp_path / "b.cif").write_text(crystals.cif_text(HKL, columns))
    assert read_observations(tmp_path / "b.cif").columns["free"] == "pdbx_r_free_flag"
    with pytest.raises(InputError, match="make none of .* free"):
        read_observations(tmp_path / "b.cif", {"free": "status"})


def test_blocks_of_mmcif(tmp_path: Path) -> None:
    first = crystals.cif_text(HKL, {"F_meas_au": F.tolist(), "F_meas_sigma_au": SIGF.tolist()}, name="dark")
    second = crystals.cif_text(HKL, {"F_meas_au": (2 * F).tolist(), "F_meas_sigma_au": SIGF.tolist()}, name="light")
    calculated = crystals.cif_text(HKL, {"F_calc_au": F.tolist(), "phase_calc": F.tolist()}, name="model")
    path = tmp_path / "a.cif"
    path.write_text(first + second)
    with pytest.raises(InputError, match="observations in 2 data blocks: dark, light; name one"):
        read_observations(path)
    np.testing.assert_array_equal(
        read_observations(path, block="light").amplitude, 2.0 * read_observations(path, block="dark").amplitude
    )
    with pytest.raises(UnknownNameError, match="unknown data block 'lihgt'.*did you mean 'light'"):
        read_observations(path, block="lihgt")
    path.write_text(calculated + first)
    assert read_observations(path).amplitude.size == N
    path.write_text(calculated)
    with pytest.raises(InputError, match="calculated amplitudes or map coefficients are no data: F_calc_au"):
        read_observations(path)


def test_intensities_become_amplitudes(tmp_path: Path) -> None:
    true = crystals.wilson_intensities(crystals.GROUP, HKL, seed=4)
    sigma = np.full(N, 40.0)
    measured = (true + np.random.default_rng(5).normal(0.0, sigma)).astype(np.float32).astype(float)
    path = crystals.write_mtz(tmp_path / "i.mtz", HKL, [("IMEAN", "J", measured), ("SIGIMEAN", "Q", sigma)])
    read = read_observations(path)
    assert read.kind == "intensity"
    assert dict(read.columns) == {"I": "IMEAN", "SIGI": "SIGIMEAN"}
    negative = int((measured < 0).sum())
    assert negative > 10
    assert remark(read, f"{N:,} intensities ({negative:,} negative) converted to amplitudes by French & Wilson")
    order = np.lexsort(HKL.T[::-1])
    operations = read.spacegroup.operations()
    epsilon = operations.epsilon_factor_without_centering_array(read.hkl)
    mean = mean_intensity(measured[order], epsilon, read.resolution).values
    expected = french_wilson(measured[order], sigma, mean, operations.centric_flag_array(read.hkl))
    np.testing.assert_allclose(read.amplitude, expected[0], rtol=1e-9)
    np.testing.assert_allclose(read.sigma, expected[1], rtol=1e-9)
    # The posterior's own deviation is what it is off by.
    pulls = (read.amplitude - np.sqrt(true[order])) / read.sigma
    assert np.sqrt((pulls**2).mean()) == pytest.approx(1.0, abs=0.07)
    assert pulls.mean() == pytest.approx(0.0, abs=0.07)


@pytest.mark.parametrize(("letters", "name"), [("GL", "F"), ("KM", "I")])
def test_friedel_mates_are_merged(tmp_path: Path, letters: str, name: str) -> None:
    random = np.random.default_rng(6)
    plus, minus = F + random.normal(0, 1, N) + 20.0, F + random.normal(0, 1, N) + 20.0
    sigma_plus, sigma_minus = random.uniform(0.5, 2.0, N), random.uniform(0.5, 2.0, N)
    plus[:30] = np.nan
    minus[20:50] = np.nan
    columns = [
        (f"{name}(+)", letters[0], plus),
        (f"SIG{name}(+)", letters[1], sigma_plus),
        (f"{name}(-)", letters[0], minus),
        (f"SIG{name}(-)", letters[1], sigma_minus),
    ]
    read = read_observations(crystals.write_mtz(tmp_path / "a.mtz", HKL, columns))
    assert len(read) == N - 10
    assert remark(read, f"{N - 50:,} pairs of Friedel mates merged to their weighted mean, from {name}(+), {name}(-)")
    assert remark(read, f"10 of {N:,} reflections have no observation")
    if name == "F":
        weights = np.stack([sigma_plus, sigma_minus]) ** -2.0
        weights[0, :30] = weights[1, 20:50] = 0.0
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (weights * np.nan_to_num([plus, minus])).sum(axis=0) / weights.sum(axis=0)
            error = weights.sum(axis=0) ** -0.5
        expected = {tuple(h): (m, e) for h, m, e in zip(HKL.tolist(), mean, error, strict=True)}
        got = np.array([expected[tuple(h)] for h in read.hkl.tolist()])
        np.testing.assert_allclose(read.amplitude, got[:, 0], rtol=1e-6)
        np.testing.assert_allclose(read.sigma, got[:, 1], rtol=1e-6)


def test_a_centric_reflection_written_twice_was_measured_once(tmp_path: Path) -> None:
    columns = [("F(+)", "G", F), ("SIGF(+)", "L", SIGF), ("F(-)", "G", F), ("SIGF(-)", "L", SIGF)]
    read = read_observations(crystals.write_mtz(tmp_path / "a.mtz", HKL, columns))
    np.testing.assert_array_equal(read.amplitude, [TRUE[tuple(h)] for h in read.hkl.tolist()])
    single = 0.5 + 0.02 * read.amplitude
    assert read.centric.sum() > 50
    np.testing.assert_allclose(read.sigma, np.where(read.centric, single, single / np.sqrt(2.0)), rtol=1e-6)


def test_systematic_absences_are_removed_and_reported(tmp_path: Path) -> None:
    absent = np.array([[h, 0, 0] for h in (1, 3, 5, 7)] + [[0, 0, 3]], dtype=np.int32)
    hkl = np.concatenate([HKL, absent])
    f, sigma = np.append(F, [30.0, 1.0, 1.0, 1.0, 1.0]), np.append(SIGF, np.ones(5))
    read = read_observations(crystals.write_mtz(tmp_path / "a.mtz", hkl, amplitudes(f, sigma)))
    assert len(read) == N
    assert remark(read, "5 systematic absences of P 21 21 21 removed; 1 of them are above 5 sigma")


def test_what_is_not_finite_is_dropped_and_counted(tmp_path: Path) -> None:
    f, sigma = F.copy(), SIGF.copy()
    f[:5], sigma[5:8], f[8] = np.nan, np.nan, np.inf
    f[20:30], sigma[20:30] = np.nan, np.nan
    read = read_observations(crystals.write_mtz(tmp_path / "a.mtz", HKL, amplitudes(f, sigma)))
    assert len(read) == N - 19
    assert remark(read, "9 reflections with a value or a sigma that is not finite")
    assert remark(read, f"19 of {N:,} reflections have no observation")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f, s: (f, np.where(np.arange(N) < 12, 0.0, s)), "12 of 1,.* sigmas in SIGFP are zero or negative"),
        (lambda f, s: (f, np.where(np.arange(N) == 3, -1.0, s)), "1 of 1,.* are zero or negative, e.g. -1 for "),
        (
            lambda f, s: (np.where(np.arange(N) < 4, -2.0, f), s),
            "4 amplitudes in FP are negative.*name the column as I",
        ),
        (lambda f, s: (np.full_like(f, np.nan), s), "no reflection has both a value and a sigma in FP, SIGFP"),
        (
            lambda f, s: (np.where(np.arange(N) == 2, 1e35, f), s),
            r"1e\+35 with sigma .* in FP, SIGFP is no measurement",
        ),
        (lambda f, s: (np.where(np.arange(N) < 30, f, np.nan), s), "has 30 usable reflections; at least 50"),
    ],
)
def test_impossible_values_are_refused(tmp_path: Path, change: object, message: str) -> None:
    path = crystals.write_mtz(tmp_path / "bad.mtz", HKL, amplitudes(*change(F, SIGF)))  # type: ignore[operator]
    with pytest.raises(InputError, match=message) as caught:
        read_observations(path)
    assert "bad.mtz" in str(caught.value)


def test_intensities_without_signal_are_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(-1.0, 1.0, N)
    path = crystals.write_mtz(tmp_path / "a.mtz", HKL, [("I", "J", noise), ("SIGI", "Q", np.ones(N))])
    with pytest.raises(InputError, match="no signal"):
        read_observations(path)


def test_repeated_reflections_are_refused(tmp_path: Path) -> None:
    hkl = np.concatenate([HKL, -HKL[5:8]])
    columns = amplitudes(np.append(F, F[5:8]), np.append(SIGF, SIGF[5:8]))
    with pytest.raises(InputError, match=r"3 reflections more than once, e\.g\. \(.*\) and an equivalent or Friedel"):
        read_observations(crystals.write_mtz(tmp_path / "a.mtz", hkl, columns))
    columns = [*amplitudes(), ("M_ISYM", "Y", np.ones(N))]
    with pytest.raises(FileError, match="holds unmerged observations"):
        read_observations(crystals.write_mtz(tmp_path / "b.mtz", HKL, columns))


def test_impossible_indices_are_refused(tmp_path: Path) -> None:
    hkl = HKL.copy()
    hkl[3] = 4000, 0, 0
    with pytest.raises(InputError, match=r"\(4000, 0, 0\) would have d = 0.0075 A"):
        read_observations(crystals.write_mtz(tmp_path / "a.mtz", hkl, amplitudes()))
    hkl[3] = 0
    assert remark(read_observations(crystals.write_mtz(tmp_path / "b.mtz", hkl, amplitudes())), "(0, 0, 0) removed")
    broken = HKL.astype(float)
    broken[4, 1] = 2.5
    with pytest.raises(FileError, match="indices of 1 reflections are no whole numbers"):
        read_observations(crystals.write_mtz(tmp_path / "c.mtz", broken, amplitudes()))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"ATOM      1  N   GLY A   1", "neither an MTZ nor an mmCIF file"),
        (b"\n" * 5000 + b"x", "neither an MTZ nor an mmCIF file"),
        (gzip.compress(b"data_x\n" * 100, mtime=0)[:-20], "damaged or incomplete gzip file"),
        (b"data_x\n_cell.length_a 10\n", "holds no reflections: it has no _refln table"),
        (b"data_x\nloop_\n_refln.index_h\n_refln.index_k\n1\n", "cannot be read as mmCIF"),
        (b"MTZ \x15\x00\x00\x00DA\x00\x00", "cannot be read as MTZ"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "file.mtz"
    path.write_bytes(content)
    with pytest.raises(FileError, match=message):
        read_observations(path)


def test_missing_and_cut_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        read_observations(tmp_path / "none.mtz")
    with pytest.raises(FileError, match="cannot read"):
        read_observations(tmp_path)
    whole = crystals.write_mtz(tmp_path / "a.mtz", HKL, amplitudes()).read_bytes()
    for length in (50, 3000, len(whole) // 2, len(whole) - 900, len(whole) - 300, len(whole) - 161):
        (tmp_path / "cut.mtz").write_bytes(whole[:length])
        with pytest.raises(FileError, match=r"cut\.mtz"):
            read_observations(tmp_path / "cut.mtz")


def test_columns_of_a_dataset_that_the_header_lacks_are_refused(tmp_path: Path) -> None:
    path = crystals.write_mtz(tmp_path / "a.mtz", HKL, amplitudes())
    content = path.read_bytes()
    for line in (b"PROJECT", b"CRYSTAL", b"DATASET", b"DCELL  ", b"DWAVEL "):
        assert line + b"       1 " in content
        content = content.replace(line + b"       1 ", line + b"       7 ")
    path.write_bytes(content)
    with pytest.raises(FileError, match="is damaged: column FP is of a dataset 1 that is not there"):
        read_observations(path)


def test_cell_and_space_group_are_needed(tmp_path: Path) -> None:
    path = tmp_path / "a.cif"
    text = crystals.cif_text(HKL, {"F_meas_au": F.tolist(), "F_meas_sigma_au": SIGF.tolist()})
    for old, new, message in (
        ("_symmetry.space_group_name_H-M 'P 21 21 21'", "", "has no space group"),
        ("'P 21 21 21'", "'P 5'", "unknown space group 'P 5'"),
        ("'P 21 21 21'", "'P 43 21 2'", "the unit cell 30 36 42 90 90 90 is impossible in space group P 43 21 2"),
        ("_cell.length_a 30.0", "", "has no unit cell"),
        ("_cell.angle_beta 90.0", "_cell.angle_beta 190.0", "impossible unit cell|no unit cell"),
        ("_refln.index_k", "_refln.index_x", "has no _refln.index_k"),
    ):
        path.write_text(text.replace(old, new))
        with pytest.raises(FileError, match=message):
            read_observations(path)


@pytest.mark.parametrize("seed", range(40))
def test_corrupted_files_give_a_named_error_or_observations(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    if seed % 2:
        columns = {"F_meas_au": F[:200].tolist(), "F_meas_sigma_au": SIGF[:200].tolist()}
        whole = bytearray(crystals.cif_text(HKL[:200], columns).encode())
    else:
        whole = bytearray(crystals.write_mtz(tmp_path / "a.mtz", HKL, amplitudes()).read_bytes())
    for place in random.integers(0, len(whole), 5):
        whole[place] = random.integers(256)
    # The header of an MTZ file stands at its end.
    whole[-int(random.integers(1, 400))] = random.integers(256)
    (tmp_path / "broken").write_bytes(bytes(whole))
    message = ""
    try:
        read = read_observations(tmp_path / "broken")
    except InputError as error:
        message = str(error)
    if message:
        assert "broken" in message
        return
    assert np.isfinite(read.amplitude).all()
    assert (read.sigma > 0.0).all()
    assert np.isfinite(read.intensity).all()
    assert (read.intensity_sigma > 0.0).all()


def test_resolution_limits(tmp_path: Path) -> None:
    read = read_observations(crystals.write_mtz(tmp_path / "a.mtz", HKL, amplitudes()))
    inner = read.within(d_min=3.5, d_max=12.0)
    assert ((inner.resolution >= 3.5) & (inner.resolution <= 12.0)).all()
    gone = int(((read.resolution < 3.5) | (read.resolution > 12.0)).sum())
    assert len(inner) == len(read) - gone
    assert inner.remarks[-1] == f"{gone:,} reflections outside 12 to 3.5 A left out"
    assert read.within(d_min=1.0) is read
    with pytest.raises(InputError, match="has 0 reflections between 2.5 and 1 A.*its own limits are"):
        read.within(d_min=1.0, d_max=2.5)
    with pytest.raises(InputError, match="0 < d_min < d_max is wanted"):
        read.within(d_min=4.0, d_max=3.0)
