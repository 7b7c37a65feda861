"""Models and reflections damaged at random: a named error, or finite values."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest

from tests.unit.campaign.tiny_series import peptide
from tests.unit.reflections.crystals import GROUP, flags, reflections, wilson_intensities, write_mtz
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.reflections import read_observations
from torchref_kinetic_plugin.structures import load_files

#: Damaged copies of each file; `make fuzz` asks for more.
COPIES = int(os.environ.get("FUZZ_DAMAGED", "150"))


def flipped(content: bytes, random: np.random.Generator) -> bytes:
    """Some bytes replaced by others."""
    array = np.frombuffer(content, dtype=np.uint8).copy()
    places = random.integers(len(array), size=int(random.integers(1, 12)))
    array[places] = random.integers(256, size=len(places))
    return array.tobytes()


def cut(content: bytes, random: np.random.Generator) -> bytes:
    """The beginning of it."""
    return content[: int(random.integers(len(content)))]


def without_lines(content: bytes, random: np.random.Generator) -> bytes:
    """Some lines removed, or pieces between bytes that happen to end lines."""
    lines = content.split(b"\n")
    kept = random.random(len(lines)) > 0.1
    return b"\n".join(line for line, keep in zip(lines, kept, strict=True) if keep)


def exchanged(content: bytes, random: np.random.Generator) -> bytes:
    """A stretch of it put elsewhere."""
    a, b, c = sorted(random.integers(len(content), size=3).tolist())
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def pdb(path: Path) -> None:
    path.write_text(peptide("dark").make_pdb_string())


def mmcif(path: Path) -> None:
    path.write_text(peptide("dark").make_mmcif_document().as_string())


def mtz(path: Path) -> None:
    hkl = reflections(d_min=4.0)
    intensity = wilson_intensities(GROUP, hkl, seed=1)
    columns = [("IMEAN", "J", intensity), ("SIGIMEAN", "Q", 0.1 * intensity + 10.0), ("FREE", "I", flags(len(hkl)))]
    write_mtz(path, hkl, columns)


def read_model(path: Path) -> None:
    (found,) = load_files({"dark": path})
    atoms = found.atoms
    assert len(atoms) > 0
    for values in (atoms.xyz, atoms.fractional, atoms.occupancy, atoms.b_iso, atoms.u):
        assert np.isfinite(values).all()
    assert ((atoms.occupancy >= 0.0) & (atoms.occupancy <= 1.0)).all()
    assert (atoms.b_iso >= 0.0).all()


def read_reflections(path: Path) -> None:
    found = read_observations(path)
    for values in (found.amplitude, found.sigma, found.intensity, found.intensity_sigma):
        assert np.isfinite(values).all()
    assert (found.sigma > 0.0).all()
    assert isinstance(found.cell, gemmi.UnitCell)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("damage", [flipped, cut, without_lines, exchanged])
@pytest.mark.parametrize(
    ("write", "read"), [(pdb, read_model), (mmcif, read_model), (mtz, read_reflections)], ids=["pdb", "mmcif", "mtz"]
)
def test_a_named_error_or_finite_values(
    tmp_path: Path,
    write: Callable[[Path], None],
    read: Callable[[Path], None],
    damage: Callable[[bytes, np.random.Generator], bytes],
) -> None:
    path = tmp_path / "file"
    write(path)
    read(path)
    sound = path.read_bytes()
    refused: list[str] = []
    for seed in range(COPIES):
        path.write_bytes(damage(sound, np.random.default_rng(seed)))
        try:
            read(path)
        except InputError as error:
            refused.append(str(error))
    assert refused
    assert all(str(path) in each for each in refused)
