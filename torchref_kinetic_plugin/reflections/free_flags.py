"""Free flags as files write them: which value means free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.errors import InputError, UnknownNameError
from torchref_kinetic_plugin.reflections.asymmetric_unit import (
    Flags,
    Floats,
    Indices,
    Keys,
    find_keys,
    indices_of,
)
from torchref_kinetic_plugin.reflections.column_names import USUAL_FREE, folded
from torchref_kinetic_plugin.reflections.reflection_table import ReflectionTable

#: Values of a reflection's flag in `FreeFlags.at`.
FREE, WORK, NO_FLAG = 1, 0, -1

_STATUS = "status"
# A value that more than this fraction of the reflections has is not taken for the free one without being told.
_LARGEST_MINORITY = 1.0 / 3.0
_LARGEST_TEST_SET = 0.4
_SUSPICIOUS_SIGMAS = 6.0
#: Beyond this a number is damage, and no flag.
_LARGEST_FLAG = 1e9


@final
@dataclass(frozen=True, eq=False)
class FreeFlags:
    """Free flags of one file.

    Attributes
    ----------
    keys : ndarray
        (m,) int64, sorted: the flagged reflections, also those without an observation.
    free : ndarray
        (m,) bool.
    column : str
        Where they came from.
    convention : str
        Which values mean what, in words.
    """

    keys: Keys = field(repr=False)
    free: Flags = field(repr=False)
    column: str
    convention: str

    def __post_init__(self) -> None:
        self.keys.flags.writeable = False
        self.free.flags.writeable = False

    @property
    def indices(self) -> Indices:
        """(m, 3), the flagged reflections."""
        return indices_of(self.keys)

    def at(self, keys: Keys) -> NDArray[np.int8]:
        """Flags (n,) of reflections: `FREE`, `WORK` or `NO_FLAG`."""
        place, known = find_keys(self.keys, keys)
        flags = np.full(len(keys), NO_FLAG, dtype=np.int8)
        flags[known] = self.free[place[known]]
        return flags


def find_free_column(table: ReflectionTable) -> tuple[str | None, list[str]]:
    """Find the column of free flags by its usual names, and the status of mmCIF.

    Returns
    -------
    tuple
        Its label, None when there is none; and remarks.

    Raises
    ------
    InputError
        When there are several.
    """
    found = [label for label in table.values if folded(label) in USUAL_FREE]
    found = [label for label in found if np.isfinite(table.values[label]).any()]
    # A status of 'o' alone says that a reflection was observed, not that a free set exists.
    if table.status is not None and (table.status == "f").any():
        remarks = [f"free flags from {_STATUS}; also in the file: {', '.join(found)}"] if found else []
        return _STATUS, remarks
    if len(found) > 1:
        raise InputError(
            f"{table.where} has several columns of free flags: {', '.join(found)}; name one, e.g. "
            f'columns = {{free = "{found[0]}"}}'
        )
    if found:
        return found[0], []
    integers = [label for label, letter in table.types.items() if letter == "I" and label in table.values]
    if integers:
        return None, [f"no free flags found; integer columns not taken for them: {', '.join(integers)}"]
    return None, []


def named_free_column(table: ReflectionTable, label: str) -> str:
    """Take the column of free flags that the user names.

    Raises
    ------
    UnknownNameError
        When there is no such column.
    """
    names = list(table.values) + ([_STATUS] if table.status is not None else [])
    if label not in names:
        raise UnknownNameError("column", label, names, f"{table.where} (free)")
    return label


def interpret(table: ReflectionTable, label: str, measured: Flags, free_value: int | None) -> tuple[Flags, Flags, str]:
    """Say which reflections are flagged, and which of them are free.

    The convention is recognized among the reflections that have an observation: some programs fill the rest of
    the column with one value.

    Parameters
    ----------
    table : ReflectionTable
        The file.
    label : str
        Column of flags.
    measured : ndarray
        (n,), which reflections of the table have an observation.
    free_value : int, optional
        The value that means free; recognized when None.

    Returns
    -------
    tuple
        flagged (n,), free (n,), and the convention in words.

    Raises
    ------
    InputError
        When it cannot be told which value means free, or all or none are free.
    """
    where = f"{table.where}: the free flags {label!r}"
    if label == _STATUS:
        if free_value is not None:
            raise InputError(f"{where} are letters; a free value of {free_value} has no meaning there")
        assert table.status is not None
        free = table.status == "f"
        flagged = free | (table.status == "o")
        convention = "status: f = free"
    else:
        values = table.values[label]
        flagged = np.isfinite(values)
        if not (flagged & measured).any():
            raise InputError(f"{where} are missing for all observed reflections")
        chosen, reason = _free_value(where, values[flagged & measured], free_value)
        free = flagged & (values == chosen)
        convention = f"{label}: {chosen} = free ({reason})"
    counted = flagged & measured
    n_free, total = int((free & counted).sum()), int(counted.sum())
    if n_free in {0, total}:
        raise InputError(
            f"{where} make {'all' if n_free else 'none'} of {total:,} observed reflections free ({convention}); "
            "name another free value or another column"
        )
    return (
        flagged,
        free,
        f"{convention}, {n_free:,} of {total:,} observed reflections, {100.0 * n_free / total:.1f} %",
    )


def filled_elsewhere(flagged: Flags, free: Flags, measured: Flags) -> bool:
    """Whether flags of reflections without observation are a fill value: too many or too few are free."""
    inside, outside = flagged & measured, flagged & ~measured
    n_outside = int(outside.sum())
    rate = float(free[inside].mean())
    spread = np.sqrt(max(1.0, n_outside * rate * (1.0 - rate)))
    return bool(abs(float(free[outside].sum()) - n_outside * rate) > _SUSPICIOUS_SIGMAS * spread)


def _free_value(where: str, values: Floats, asked: int | None) -> tuple[int, str]:
    if ((values != np.round(values)) | (np.abs(values) > _LARGEST_FLAG)).any():
        raise InputError(f"{where} are no whole numbers")
    distinct, counts = np.unique(values.astype(np.int64), return_counts=True)
    present, numbers = distinct.tolist(), counts.tolist()
    shown = _shown(present, numbers)
    if asked is not None:
        if asked not in present:
            raise InputError(f"{where} never have the value {asked}, named as free; they have {shown}")
        return asked, "as named"
    if len(present) == 1:
        raise InputError(f"{where} are all {present[0]}: all reflections are free, or none is")
    largest = max(numbers) / sum(numbers)
    if len(present) == 2:
        smaller = int(np.argmin(counts))
        if 1.0 - largest > _LARGEST_MINORITY:
            raise InputError(f"{where} have {shown}: it cannot be told which are free; name the free value")
        return present[smaller], f"the minority of {present[0]} and {present[1]}"
    # CCP4 numbers test sets of equal size from 0 up, and 0 is the one in use.
    if present[0] == 0 and numbers[0] / sum(numbers) <= _LARGEST_TEST_SET and largest <= _LARGEST_TEST_SET:
        return 0, f"CCP4: test sets 0 to {present[-1]}"
    raise InputError(f"{where} have {shown}: it cannot be told which are free; name the free value")


def _shown(present: Sequence[int], numbers: Sequence[int]) -> str:
    listed = [f"{value} ({number:,})" for value, number in zip(present, numbers, strict=True)]
    return ", ".join(listed[:6]) + (f" and {len(listed) - 6} more" if len(listed) > 6 else "")
