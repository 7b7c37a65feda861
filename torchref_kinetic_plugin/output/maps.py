"""Map coefficients as MTZ files, in columns that Coot opens by itself."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import final

import gemmi
import numpy as np

from torchref_kinetic_plugin.files import write_bytes
from torchref_kinetic_plugin.output.map_coefficients import (
    Coefficients,
    Complexes,
    Extrapolation,
    Floats,
    MapData,
    difference_map,
    extrapolate,
    model_maps,
    why_not_extrapolated,
)

_log = logging.getLogger(__name__)

#: What the format has room for in a title, and in a line of history.
_TITLE, _LINE = 70, 80


def write_maps(path_stem: str | os.PathLike[str], data: MapData) -> list[Path]:
    """Write the maps of one timepoint; amplitudes in electrons, phases in degrees in [-180, 180).

    ``STEM.mtz``
        FP, SIGFP of the timepoint; FC, PHIC of the mixture; FC_REF, PHIC_REF of the state before the trigger; FOM;
        FWT, PHWT (2mFo-DFc) and DELFWT, PHDELWT (mFo-DFc) against the mixture; DF_W, PHIREF, the weighted difference
        to the reference on its phases (180 degrees are added where the difference is negative); FEXT,
        SIGFEXT, PHIEXT, extrapolated, where that is possible; FREE (CCP4: 0 = free, 1 = work).
    ``STEM_difference.mtz``
        The weighted difference as DELFWT, PHDELWT and, where possible, the extrapolated 2mFext-DFc as FWT, PHWT.

    The history of each file says what its columns are, and why there is nothing extrapolated. Extrapolated amplitudes
    below zero are counted there and absent from FEXT.

    Parameters
    ----------
    path_stem : path
        EXPERIMENT_TIMEPOINT in its directory, without an ending.
    data : MapData
        Of the timepoint.

    Returns
    -------
    list of Path
        The two files.

    Raises
    ------
    FileError
        When one cannot be written.
    """
    stem = Path(path_stem)
    maps, difference, beyond = model_maps(data), difference_map(data), extrapolate(data)
    full, short = _Table(data), _Table(data)
    full.add(
        "FP/SIGFP observed amplitudes of the timepoint, scale of the model (electrons)",
        ("FP", "F", data.f_obs),
        ("SIGFP", "Q", data.sigma),
    )
    full.add_map("FC/PHIC model: mixture of the structures at the timepoint, with solvent", data.f_calc, "FC", "PHIC")
    full.add_map(
        "FC_REF/PHIC_REF model: state before the trigger, with solvent", data.f_calc_reference, "FC_REF", "PHIC_REF"
    )
    full.add("FOM figure of merit of PHIC", ("FOM", "W", maps.figure_of_merit))
    full.add_map("FWT/PHWT 2mFo-DFc of the mixture; centric mFo; unobserved DFc", maps.best.values, "FWT", "PHWT")
    full.add_map("DELFWT/PHDELWT mFo-DFc of the mixture", maps.residual.values, "DELFWT", "PHDELWT")
    full.add_map(
        "DF_W/PHIREF weighted Fobs(t)-Fobs(reference) on reference phases,", difference.values, "DF_W", "PHIREF"
    )
    full.note("  phase + 180 where the difference is negative; weight q/<q>")
    short.add_map(
        "DELFWT/PHDELWT weighted Fobs(t)-Fobs(reference) on reference phases", difference.values, "DELFWT", "PHDELWT"
    )
    if beyond is None:
        reason = why_not_extrapolated(data)
        _log.info("%s: nothing extrapolated: %s", stem.name, reason)
        for table in (full, short):
            table.note(f"not extrapolated: {reason}")
    else:
        _add_extrapolation(full, short, beyond, data.excited_fraction, stem.name)
    full.add("FREE 0 = free, 1 = work", ("FREE", "I", (~data.free).astype(np.float64)))
    written = [stem.with_name(f"{stem.name}.mtz"), stem.with_name(f"{stem.name}_difference.mtz")]
    full.write(written[0])
    short.write(written[1])
    return written


@final
class _Table:
    """Columns to be written, and what they are."""

    def __init__(self, data: MapData) -> None:
        self._data = data
        self._columns: list[tuple[str, str, Floats]] = []
        self._history: list[str] = []

    def note(self, line: str) -> None:
        # The format cuts longer lines off.
        assert len(line) <= _LINE, line
        self._history.append(line)

    def add(self, line: str, *columns: tuple[str, str, Floats]) -> None:
        self.note(line)
        self._columns += columns

    def add_map(self, line: str, values: Complexes, amplitude: str, phase: str) -> None:
        coefficients = Coefficients(values)
        self.add(line, (amplitude, "F", coefficients.amplitude), (phase, "P", coefficients.phase))

    def write(self, path: Path) -> None:
        mtz = gemmi.Mtz(with_base=True)
        mtz.title = path.stem[:_TITLE]
        mtz.spacegroup = self._data.spacegroup
        mtz.set_cell_for_all(self._data.cell)
        mtz.add_dataset("maps")
        for label, kind, _ in self._columns:
            mtz.add_column(label, kind)
        mtz.history = self._history
        values = np.column_stack([column for _, _, column in self._columns])
        mtz.set_data(np.hstack([self._data.hkl, values]).astype(np.float32))
        write_bytes(path, mtz.write_to_bytes())


def _add_extrapolation(full: _Table, short: _Table, beyond: Extrapolation, fraction: float, name: str) -> None:
    # An amplitude below zero is none to programs that read one.
    negative = beyond.amplitude < 0.0
    full.add(
        f"FEXT/SIGFEXT/PHIEXT Fref + q/<q> (Fobs-Fref)/a, a = {fraction:.4f}; excited phases",
        ("FEXT", "F", np.where(negative, np.nan, beyond.amplitude)),
        ("SIGFEXT", "Q", np.where(negative, np.nan, beyond.sigma)),
        ("PHIEXT", "P", beyond.phase),
    )
    short.add_map(
        f"FWT/PHWT 2mFext-DFc of the excited structures, from a fraction of {fraction:.4f}",
        beyond.best.values,
        "FWT",
        "PHWT",
    )
    short.note("  centric mFext; DFc where timepoint or reference is unobserved")
    if count := int(negative.sum()):
        _log.info("%s: %d extrapolated amplitudes below zero", name, count)
        full.note(
            f"  {count} of {int(np.isfinite(beyond.amplitude).sum())} below zero, absent here; the map uses their size"
        )
