"""Synthetic datasets as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gemmi
import numpy as np

from torchref_kinetic_plugin.reflections import Observations

GROUP = "P 21 21 21"
CELL = (30.0, 36.0, 42.0, 90.0, 90.0, 90.0)
CELLS = {
    "P 1": (20.0, 23.0, 27.0, 82.0, 95.0, 101.0),
    "P 1 21 1": (21.0, 24.0, 26.0, 90.0, 103.0, 90.0),
    "C 1 2 1": (40.0, 24.0, 26.0, 90.0, 103.0, 90.0),
    "P 21 21 21": CELL,
    "P 43": (30.0, 30.0, 35.0, 90.0, 90.0, 90.0),
    "P 3": (30.0, 30.0, 35.0, 90.0, 90.0, 120.0),
    "P 31 2 1": (28.0, 28.0, 24.0, 90.0, 90.0, 120.0),
    "R 3:H": (40.0, 40.0, 30.0, 90.0, 90.0, 120.0),
    "I 2 3": (40.0, 40.0, 40.0, 90.0, 90.0, 90.0),
}

Column = tuple[str, str, np.ndarray]


def reflections(group: str = GROUP, d_min: float = 3.0) -> np.ndarray:
    return np.asarray(gemmi.make_miller_array(gemmi.UnitCell(*CELLS[group]), gemmi.SpaceGroup(group), d_min))


def wilson_intensities(group: str, hkl: np.ndarray, seed: int, scale: float = 1000.0, b: float = 15.0) -> np.ndarray:
    """Intensities (n,) of atoms at random, by Wilson's distributions."""
    random = np.random.default_rng(seed)
    operations = gemmi.SpaceGroup(group).operations()
    d = gemmi.UnitCell(*CELLS[group]).calculate_d_array(hkl)
    mean = scale * np.exp(-b / (2.0 * d**2)) * operations.epsilon_factor_without_centering_array(hkl)
    centric = operations.centric_flag_array(hkl)
    return mean * np.where(centric, random.chisquare(1, len(hkl)), random.exponential(1.0, len(hkl)))


def write_mtz(
    path: Path,
    hkl: np.ndarray,
    columns: Sequence[Column],
    group: str = GROUP,
    cell: Sequence[float] | None = None,
    wavelength: float = 0.0,
) -> Path:
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = gemmi.SpaceGroup(group)
    mtz.set_cell_for_all(gemmi.UnitCell(*(CELLS[group] if cell is None else cell)))
    dataset = mtz.add_dataset("data")
    dataset.wavelength = wavelength
    for label, kind, _ in columns:
        mtz.add_column(label, kind)
    mtz.set_data(np.column_stack([hkl, *(values for _, _, values in columns)]).astype(np.float32))
    mtz.write_to_file(str(path))
    return path


def cif_text(
    hkl: np.ndarray,
    columns: dict[str, Sequence[object]],
    group: str = GROUP,
    name: str = "r1abcsf",
    cell: Sequence[float] | None = None,
) -> str:
    lines = [f"data_{name}", f"_symmetry.space_group_name_H-M '{group}'"]
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    values = CELLS[group] if cell is None else cell
    lines += [f"_cell.{key} {value}" for key, value in zip(names, values, strict=True)]
    lines += ["_diffrn_radiation_wavelength.id 1", "_diffrn_radiation_wavelength.wavelength 0.9795"]
    lines += ["loop_", "_refln.index_h", "_refln.index_k", "_refln.index_l", *(f"_refln.{key}" for key in columns)]
    lines += [
        " ".join(str(item) for item in (*index, *row))
        for index, row in zip(hkl.tolist(), zip(*columns.values(), strict=True), strict=True)
    ]
    return "\n".join(lines) + "\n"


def observations(
    hkl: np.ndarray,
    amplitude: np.ndarray,
    sigma: np.ndarray | None = None,
    group: str = GROUP,
    path: str = "made.mtz",
    cell: Sequence[float] | None = None,
) -> Observations:
    return Observations(
        path=path,
        cell=gemmi.UnitCell(*(CELLS[group] if cell is None else cell)),
        spacegroup=gemmi.SpaceGroup(group),
        hkl=hkl,
        amplitude=amplitude,
        sigma=np.ones(len(hkl)) if sigma is None else sigma,
        flags=None,
        columns={"F": "F", "SIGF": "SIGF"},
        kind="amplitude",
        wavelength=None,
        remarks=(),
    )


def flags(count: int, free_every: int = 20) -> np.ndarray:
    """1 for every so many, else 0."""
    return (np.arange(count) % free_every == 0).astype(float)


def equivalents(hkl: np.ndarray, group: str, seed: int) -> np.ndarray:
    """Each reflection as any of its equivalents or their Friedel mates."""
    random = np.random.default_rng(seed)
    operations = gemmi.SpaceGroup(group).operations().sym_ops
    images = [
        np.array(operations[random.integers(len(operations))].apply_to_hkl([int(i) for i in index]))
        * random.choice([-1, 1])
        for index in hkl
    ]
    return np.array(images, dtype=np.int32)
