"""Which columns of a reflection file hold the observations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from torchref_kinetic_plugin.errors import InputError, UnknownNameError
from torchref_kinetic_plugin.reflections.column_names import (
    USUAL_AMPLITUDE_PAIRS,
    USUAL_AMPLITUDES,
    USUAL_INTENSITIES,
    USUAL_INTENSITY_PAIRS,
    folded,
    half,
    is_calculated,
    other_half,
    sigma_of,
)
from torchref_kinetic_plugin.reflections.reflection_table import KINDS, ReflectionTable

Kind = Literal["amplitude", "intensity"]

#: What can be named by the user.
ROLES = ("F", "SIGF", "I", "SIGI", "free")
_VALUE_TYPES = {"F": "FGR", "I": "JKR"}
_SIGMA_TYPES = "QLMR"
_USUAL = {
    ("amplitude", 1): USUAL_AMPLITUDES,
    ("amplitude", 2): USUAL_AMPLITUDE_PAIRS,
    ("intensity", 1): USUAL_INTENSITIES,
    ("intensity", 2): USUAL_INTENSITY_PAIRS,
}


@final
@dataclass(frozen=True)
class DataColumns:
    """Columns of one set of observations.

    Attributes
    ----------
    kind : {"amplitude", "intensity"}
        What is measured.
    values, sigmas : tuple of str
        One label each; two for Friedel mates, plus before minus.
    """

    kind: Kind
    values: tuple[str, ...]
    sigmas: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(self.values + self.sigmas)

    @property
    def usual(self) -> bool:
        """Whether the name is one of the usual ones for what it holds."""
        name = folded(self.values[0]).replace("plus", "")
        return name in _USUAL[self.kind, len(self.values)]


def check_roles(columns: Mapping[str, str], where: str) -> None:
    """Refuse what is not the name of a role, and names that contradict each other.

    Raises
    ------
    UnknownNameError
        For an unknown role.
    InputError
        For amplitudes and intensities at once, or a sigma without its value.
    """
    for role in columns:
        if role not in ROLES:
            raise UnknownNameError("column", role, ROLES, where)
    if "F" in columns and "I" in columns:
        raise InputError(f"{where}: columns name both F = {columns['F']!r} and I = {columns['I']!r}; name one")
    for sigma, value in (("SIGF", "F"), ("SIGI", "I")):
        if sigma in columns and value not in columns:
            raise InputError(f"{where}: columns name {sigma} = {columns[sigma]!r} without {value}")


def candidates(table: ReflectionTable) -> list[DataColumns]:
    """All sets of observations with sigmas, amplitudes before intensities, means before Friedel mates.

    Columns named like calculated amplitudes, map coefficients or differences are never among them.
    """
    pairs = sigma_of(table.types)
    found = []
    for label, letter in table.types.items():
        if letter not in "FJGK" or label not in pairs or is_calculated(label):
            continue
        kind: Kind = "amplitude" if letter in "FG" else "intensity"
        sign = half(label)
        if not sign and letter in "FJ":
            found.append(DataColumns(kind, (label,), (pairs[label],)))
        elif sign == "plus" and (mate := other_half(label)) in pairs:
            found.append(DataColumns(kind, (label, mate), (pairs[label], pairs[mate])))
    return sorted(found, key=lambda each: (each.kind != "amplitude", len(each.values)))


def has_values(table: ReflectionTable, columns: DataColumns) -> bool:
    """Whether there is a value with a sigma in them."""
    return any(
        bool((np.isfinite(table.values[value]) & np.isfinite(table.values[sigma])).any())
        for value, sigma in zip(columns.values, columns.sigmas, strict=True)
    )


def find_columns(table: ReflectionTable) -> tuple[DataColumns, list[str]]:
    """Choose the observations of a table by type and usual name.

    Amplitudes go before intensities, because the authors' own conversion knows more than the file does; means go
    before Friedel mates. Among several of one kind, the only one with a usual name is taken.

    Returns
    -------
    tuple
        The columns, and remarks on what else there is.

    Raises
    ------
    InputError
        When there are none, none with values, or several that are equally good.
    """
    every = candidates(table)
    if not every:
        raise InputError(f"{table.where} has no observed amplitudes or intensities with sigmas; {_why(table)}")
    usable = [each for each in every if has_values(table, each)]
    if not usable:
        names = "; ".join(str(each) for each in every)
        raise InputError(f"{table.where}: no reflection has both a value and a sigma in {names}")
    remarks = [f"no values in {each}; not used" for each in every if each not in usable]
    best = [each for each in usable if (each.kind, len(each.values)) == (usable[0].kind, len(usable[0].values))]
    if len(best) > 1:
        usual = [each for each in best if each.usual]
        if len(usual) != 1:
            letter = "F" if best[0].kind == "amplitude" else "I"
            names = "; ".join(str(each) for each in best)
            example = f'columns = {{{letter} = "{best[0].values[0]}", SIG{letter} = "{best[0].sigmas[0]}"}}'
            raise InputError(f"{table.where} has several sets of observations: {names}; name one, e.g. {example}")
        best = usual
    others = [str(each) for each in usable if each is not best[0]]
    if others:
        remarks.append(f"{best[0]} used; also in the file: {'; '.join(others)}")
    return best[0], remarks


def named_columns(table: ReflectionTable, columns: Mapping[str, str]) -> tuple[DataColumns, list[str]]:
    """Take the observations that the user names; a sigma that is not named is found by its name.

    Returns
    -------
    tuple
        The columns, and remarks.

    Raises
    ------
    UnknownNameError
        When there is no such column.
    InputError
        When a column is of another type, or has no sigma.
    """
    role = "F" if "F" in columns else "I"
    kind: Kind = "amplitude" if role == "F" else "intensity"
    label = _existing(table, role, columns[role], _VALUE_TYPES[role])
    pairs = sigma_of(table.types)
    remarks = []
    if is_calculated(label):
        remarks.append(f"{label} is named like a calculated amplitude, and used as data as asked")
    if half(label):
        return _named_mates(table, columns, role, kind), remarks
    named = columns.get(f"SIG{role}")
    if named is None and label not in pairs:
        sigmas = [each for each, letter in table.types.items() if letter in "QLM"]
        listed = f"; sigma columns: {', '.join(sigmas)}" if sigmas else "; the file has no sigma column"
        raise InputError(f"{table.where}: no sigma column found for {label!r}; name it as SIG{role}{listed}")
    sigma = pairs[label] if named is None else _existing(table, f"SIG{role}", named, _SIGMA_TYPES)
    return DataColumns(kind, (label,), (sigma,)), remarks


def _named_mates(table: ReflectionTable, columns: Mapping[str, str], role: str, kind: Kind) -> DataColumns:
    for each in candidates(table):
        if each.kind == kind and len(each.values) == 2 and columns[role] in each.values:
            sigma = columns.get(f"SIG{role}")
            if sigma is not None:
                _existing(table, f"SIG{role}", sigma, _SIGMA_TYPES)
                if sigma not in each.sigmas:
                    raise InputError(f"{table.where}: the sigmas of {each} are not in {sigma!r}")
            return each
    raise InputError(f"{table.where}: {columns[role]!r} is of one Friedel mate; the other, or a sigma, is missing")


def _existing(table: ReflectionTable, role: str, label: str, letters: str) -> str:
    names = [each for each, letter in table.types.items() if letter != "H"]
    if label not in names:
        raise UnknownNameError("column", label, names, f"{table.where} ({role})")
    letter = table.types[label]
    if letter not in letters or label not in table.values:
        raise InputError(
            f"{table.where}: {role} = {label!r} is of type {KINDS.get(letter, letter)}, not "
            + " or ".join(KINDS[each] for each in letters)
        )
    return label


def _why(table: ReflectionTable) -> str:
    reasons = [f"found: {table.found()}"]
    pairs = sigma_of(table.types)
    bare = [
        label
        for label, letter in table.types.items()
        if letter in "FJGK" and label not in pairs and not is_calculated(label)
    ]
    if bare:
        reasons.append(f"without a sigma: {', '.join(bare)}")
    if calculated := [label for label, letter in table.types.items() if letter == "F" and is_calculated(label)]:
        reasons.append(f"calculated amplitudes or map coefficients are no data: {', '.join(calculated)}")
    return "; ".join(reasons)
