"""Map coefficients as MTZ files, in columns that Coot opens by itself."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np

from torchref_kinetic_plugin.errors import FileError
from torchref_kinetic_plugin.files import atomic_path
from torchref_kinetic_plugin.output.map_coefficients import (
    Coefficients,
    Floats,
    MapData,
    difference_map,
    extrapolated,
    model_maps,
)


def write_maps(stem: Path, data: MapData) -> list[Path]:
    """Write the maps of one timepoint.

    ``STEM.mtz``: FP, SIGFP; FC, PHIC of the mixture; FOM; FWT, PHWT (2mFo-DFc) and DELFWT, PHDELWT (mFo-DFc) of the
    mixture; FDIFF, PHIDIFF (weighted difference to the references on their phases); FEXT, SIGFEXT, PHIEXT where the
    excited fraction suffices; FREE (1 = free). Amplitudes in electrons.

    ``STEM_difference.mtz``: the weighted difference as DELFWT, PHDELWT and the extrapolated map as FWT, PHWT, for
    programs that open these names.

    Parameters
    ----------
    stem : Path
        Path without an ending.
    data : MapData
        Of the timepoint.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    FileError
        When a file cannot be written.
    """
    best, residual, merit = model_maps(data)
    difference = difference_map(data)
    beyond = extrapolated(data)
    calculated = Coefficients(data.f_calc)
    columns: list[tuple[str, str, Floats]] = [
        ("FP", "F", data.f_obs),
        ("SIGFP", "Q", data.sigma),
        ("FC", "F", calculated.amplitude),
        ("PHIC", "P", calculated.phase),
        ("FOM", "W", merit),
        *_pair("FWT", "PHWT", best),
        *_pair("DELFWT", "PHDELWT", residual),
        *_pair("FDIFF", "PHIDIFF", difference),
    ]
    history = [
        "FWT/PHWT 2mFo-DFc and DELFWT/PHDELWT mFo-DFc against the mixture of structures",
        "FDIFF/PHIDIFF weighted Fobs(t) - Fobs(reference) on reference phases",
    ]
    short = [*_pair("DELFWT", "PHDELWT", difference)]
    notes = ["DELFWT/PHDELWT weighted Fobs(t) - Fobs(reference) on reference phases"]
    if beyond is not None:
        amplitude, sigma, coefficients = beyond
        columns += [("FEXT", "F", amplitude), ("SIGFEXT", "Q", sigma), ("PHIEXT", "P", coefficients.phase)]
        text = f"extrapolated to full occupancy from {data.excited_fraction:.3f}"
        history.append(f"FEXT/SIGFEXT/PHIEXT {text}")
        short += _pair("FWT", "PHWT", coefficients)
        notes.append(f"FWT/PHWT 2mFext-DFc {text}")
    columns.append(("FREE", "I", data.free.astype(np.float64)))
    written = [stem.with_name(stem.name + ".mtz"), stem.with_name(stem.name + "_difference.mtz")]
    _write(written[0], data, columns, history)
    _write(written[1], data, short, notes)
    return written


def _pair(amplitude: str, phase: str, coefficients: Coefficients) -> list[tuple[str, str, Floats]]:
    return [(amplitude, "F", coefficients.amplitude), (phase, "P", coefficients.phase)]


def _write(path: Path, data: MapData, columns: list[tuple[str, str, Floats]], history: list[str]) -> None:
    mtz = gemmi.Mtz(with_base=True)
    mtz.title = path.stem
    mtz.spacegroup = data.spacegroup
    mtz.set_cell_for_all(data.cell)
    mtz.add_dataset("maps")
    for label, kind, _ in columns:
        mtz.add_column(label, kind)
    mtz.history = history
    values = [data.hkl.astype(np.float64), *(column[:, None] for _, _, column in columns)]
    mtz.set_data(np.concatenate(values, axis=1).astype(np.float32))
    with atomic_path(path) as temporary:
        try:
            mtz.write_to_file(str(temporary))
        except RuntimeError as error:
            raise FileError(f"cannot write {str(path)!r}: {' '.join(str(error).split())}") from error
