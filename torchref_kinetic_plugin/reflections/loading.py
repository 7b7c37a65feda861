"""Reflection files to observations."""

from __future__ import annotations

import os
from collections.abc import Mapping

import gemmi
import numpy as np

from torchref_kinetic_plugin.errors import InputError, UnknownNameError
from torchref_kinetic_plugin.reflections.asymmetric_unit import (
    Flags,
    Floats,
    Indices,
    reflection_keys,
    resolution_of,
    shown,
    to_asymmetric_unit,
)
from torchref_kinetic_plugin.reflections.columns import (
    DataColumns,
    candidates,
    check_roles,
    find_columns,
    has_values,
    named_columns,
)
from torchref_kinetic_plugin.reflections.conversion import amplitudes_of, intensities_of_mates, symmetry_factors
from torchref_kinetic_plugin.reflections.file_content import read_tables
from torchref_kinetic_plugin.reflections.free_flags import (
    FreeFlags,
    filled_elsewhere,
    find_free_column,
    interpret,
    named_free_column,
)
from torchref_kinetic_plugin.reflections.friedel_mates import mean_of_mates
from torchref_kinetic_plugin.reflections.observations import FEWEST, LARGEST, Observations
from torchref_kinetic_plugin.reflections.reflection_table import ReflectionTable

_FINEST = 0.3  # A; no crystal of a macromolecule diffracts so far
_STRONG_ABSENCE = 5.0


def read_observations(
    path: str | os.PathLike[str],
    columns: Mapping[str, str] | None = None,
    *,
    free_value: int | None = None,
    free_may_be_absent: bool = False,
    block: str | None = None,
) -> Observations:
    """Read the observations of an MTZ or structure-factor mmCIF file, gzipped or not.

    Columns are found by type and name: amplitudes before intensities, means before Friedel mates, and among several
    of a kind the only one with a usual name; else they have to be named. Intensities are converted by `french_wilson`,
    amplitudes by its inverse, and both stand in the result. Friedel mates are merged to their weighted mean, systematic
    absences removed, indices put in the asymmetric unit.

    Parameters
    ----------
    path : path
        The file; its format is told by its content.
    columns : mapping, optional
        Columns by role: F, SIGF, I, SIGI, free. ``free = ""`` says that the file's free flags are not to be used.
    free_value : int, optional
        Value of a free reflection; recognized when left out.
    free_may_be_absent : bool
        Whether the file may lack the column named ``free``; then it has no flags.
    block : str, optional
        Data block of an mmCIF file; needed when several hold observations.

    Raises
    ------
    FileError
        When the file is missing, damaged, unmerged, or of another format.
    UnknownNameError
        For a role, column or block that does not exist.
    InputError
        For columns or free flags that cannot be told, repeated reflections, sigmas that are not above zero,
        negative amplitudes, or fewer than 50 reflections.
    """
    named = dict(columns or {})
    tables = read_tables(path)
    check_roles(named, f"{os.fspath(path)!r}")
    table = _block(tables, block)
    chosen, remarks = named_columns(table, named) if {"F", "I"} & set(named) else find_columns(table)
    remarks = [*table.remarks, *remarks]
    cell = table.cells[chosen.values[0]]
    hkl = to_asymmetric_unit(table.hkl, table.spacegroup)
    _refuse_repeats(table, hkl)
    kept = _plausible(table, cell, hkl, remarks)
    mates = _measured(table, chosen, hkl, kept, remarks)
    value, sigma = _merged(table, chosen, hkl, *mates, remarks)
    observed = np.isfinite(value)
    flags = _flags(table, hkl, observed, named, free_value, free_may_be_absent, remarks)
    kept = _without_absences(table, hkl, value / sigma, observed, remarks)
    hkl, value, sigma = hkl[kept], value[kept], sigma[kept]
    mates = mates[0][:, kept], mates[1][:, kept]
    if len(hkl) < FEWEST:
        raise InputError(f"{table.where} has {len(hkl)} usable reflections; at least {FEWEST} are needed")
    # Left out, intensities are made of the amplitudes.
    intensity = intensity_sigma = np.empty(0)
    if chosen.kind == "intensity":
        intensity, intensity_sigma = value, sigma
        value, sigma = amplitudes_of(table, cell, hkl, value, sigma, remarks)
    elif len(chosen.values) == 2:
        intensity, intensity_sigma = intensities_of_mates(table, cell, hkl, *mates, remarks)
    roles = ("F", "SIGF") if chosen.kind == "amplitude" else ("I", "SIGI")
    used = dict(zip(roles, (", ".join(chosen.values), ", ".join(chosen.sigmas)), strict=True))
    return Observations(
        path=table.source,
        cell=cell,
        spacegroup=table.spacegroup,
        hkl=hkl,
        amplitude=value,
        sigma=sigma,
        flags=flags,
        columns=used if flags is None else {**used, "free": flags.column},
        kind=chosen.kind,
        wavelength=table.wavelengths[chosen.values[0]],
        remarks=tuple(remarks),
        intensity=intensity,
        intensity_sigma=intensity_sigma,
    )


def _block(tables: list[ReflectionTable], name: str | None) -> ReflectionTable:
    source, names = tables[0].source, [table.block for table in tables if table.block]
    if name is not None:
        for table in tables:
            if table.block == name:
                return table
        raise UnknownNameError("data block", name, names, f"{source!r}")
    if len(tables) == 1:
        return tables[0]
    usable = [table for table in tables if any(has_values(table, each) for each in candidates(table))]
    if len(usable) > 1:
        names = [table.block for table in usable]
        raise InputError(f"{source!r} has observations in {len(names)} data blocks: {', '.join(names)}; name one")
    return usable[0] if usable else tables[0]


def _refuse_repeats(table: ReflectionTable, hkl: Indices) -> None:
    _, first, count = np.unique(reflection_keys(hkl), return_index=True, return_counts=True)
    if (count > 1).any():
        example = shown(table.hkl[first[count > 1][0]])
        raise InputError(
            f"{table.where} has {int((count > 1).sum()):,} reflections more than once, e.g. {example} and an "
            "equivalent or Friedel mate of it; merge the observations first"
        )


def _plausible(table: ReflectionTable, cell: gemmi.UnitCell, hkl: Indices, remarks: list[str]) -> Flags:
    """Which rows can be reflections, (n,): not (0, 0, 0), and not marked as unreliable in mmCIF."""
    kept = np.asarray(hkl.any(axis=1))
    if not kept.all():
        remarks.append("the reflection (0, 0, 0) removed")
    spacing = resolution_of(cell, hkl[kept])
    if len(spacing) and float(spacing.min()) < _FINEST:
        example = shown(hkl[kept][int(spacing.argmin())])
        raise InputError(f"{table.where}: {example} would have d = {spacing.min():.2g} A; indices or cell are wrong")
    if table.status is not None and (marked := table.status == "x").any():
        remarks.append(f"{int(marked.sum()):,} reflections marked as unreliable (status x) removed")
        kept &= ~marked
    return kept


def _measured(
    table: ReflectionTable, chosen: DataColumns, hkl: Indices, kept: Flags, remarks: list[str]
) -> tuple[Floats, Floats]:
    """Values and sigmas of each row, (1, n) each, or (2, n) of Friedel mates; NaN where there is none."""
    values = np.stack([table.values[label] for label in chosen.values])
    sigmas = np.stack([table.values[label] for label in chosen.sigmas])
    given = kept & (np.isfinite(values) | np.isfinite(sigmas))
    usable = kept & np.isfinite(values) & np.isfinite(sigmas)
    if not usable.any():
        raise InputError(f"{table.where}: no reflection has both a value and a sigma in {chosen}")
    wrong = usable & (sigmas <= 0.0)
    if wrong.any():
        side, row = np.argwhere(wrong)[0]
        raise InputError(
            f"{table.where}: {int(wrong.sum()):,} of {int(usable.sum()):,} sigmas in "
            f"{', '.join(chosen.sigmas)} are zero or negative, e.g. {sigmas[side, row]:g} for {shown(hkl[row])}"
        )
    huge = usable & ((np.abs(values) > LARGEST) | (sigmas > LARGEST) | (sigmas < 1.0 / LARGEST))
    if huge.any():
        side, row = np.argwhere(huge)[0]
        raise InputError(
            f"{table.where}: {values[side, row]:g} with sigma {sigmas[side, row]:g} for {shown(hkl[row])} in {chosen} "
            "is no measurement"
        )
    if chosen.kind == "amplitude" and (negative := usable & (values < 0.0)).any():
        side, row = np.argwhere(negative)[0]
        raise InputError(
            f"{table.where}: {int(negative.sum()):,} amplitudes in {', '.join(chosen.values)} are negative, e.g. "
            f"{values[side, row]:g} for {shown(hkl[row])}; name the column as I if it holds intensities"
        )
    if not values[usable].any():
        raise InputError(f"{table.where}: every value in {', '.join(chosen.values)} is zero; that is no measurement")
    if partial := int((given & ~usable).any(axis=0).sum()):
        remarks.append(f"{partial:,} reflections with a value or a sigma that is not finite: that value not used")
    if nothing := int((kept & ~usable.any(axis=0)).sum()):
        remarks.append(f"{nothing:,} of {int(kept.sum()):,} reflections have no observation")
    return np.where(usable, values, np.nan), np.where(usable, sigmas, np.nan)


def _merged(
    table: ReflectionTable, chosen: DataColumns, hkl: Indices, values: Floats, sigmas: Floats, remarks: list[str]
) -> tuple[Floats, Floats]:
    """Value and sigma of each row, (n,) each, NaN where there is none."""
    if len(values) == 1:
        return values[0], sigmas[0]
    _, centric = symmetry_factors(table, hkl)
    mean, error, pairs = mean_of_mates(values, sigmas, centric)
    remarks.append(f"{pairs:,} pairs of Friedel mates merged to their weighted mean, from {', '.join(chosen.values)}")
    return mean, error


def _flags(
    table: ReflectionTable,
    hkl: Indices,
    observed: Flags,
    named: Mapping[str, str],
    free_value: int | None,
    may_be_absent: bool,
    remarks: list[str],
) -> FreeFlags | None:
    label: str | None
    if named.get("free") == "":
        remarks.append("free flags of the file not used, as asked")
        return None
    if "free" in named and not (may_be_absent and named["free"] not in {*table.types, "status"}):
        label = named_free_column(table, named["free"])
    elif "free" in named:
        remarks.append(f"no column {named['free']!r}: no free flags")
        return None
    else:
        label, found = find_free_column(table)
        remarks.extend(found)
    if label is None:
        remarks.append("no free flags")
        return None
    flagged, free, convention = interpret(table, label, observed, free_value)
    remarks.append(f"free flags: {convention}")
    if missing := int((observed & ~flagged).sum()):
        remarks.append(f"{missing:,} observed reflections have no free flag")
    if filled_elsewhere(flagged, free, observed):
        remarks.append(f"{label}: flags of reflections without observation look filled in, and are not used")
        flagged = flagged & observed
    keys = reflection_keys(hkl[flagged])
    order = np.argsort(keys)
    return FreeFlags(keys[order], free[flagged][order], label, convention)


def _without_absences(
    table: ReflectionTable, hkl: Indices, ratio: Floats, observed: Flags, remarks: list[str]
) -> Flags:
    absent = observed & np.asarray(table.spacegroup.operations().systematic_absences(hkl), dtype=np.bool_)
    if absent.any():
        strong = int((ratio[absent] > _STRONG_ABSENCE).sum())
        remark = f"{int(absent.sum()):,} systematic absences of {table.spacegroup.xhm()} removed"
        if strong:
            remark += f"; {strong:,} of them are above {_STRONG_ABSENCE:g} sigma: is the space group right?"
        remarks.append(remark)
    return np.asarray(observed & ~absent)
