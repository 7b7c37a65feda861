"""Results read back from the files they were written to."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from torchref_kinetic_plugin.errors import FileError, closest_match
from torchref_kinetic_plugin.files import read_bytes
from torchref_kinetic_plugin.results.result import SCHEMA, RefinementResult

_T = TypeVar("_T")

#: Texts that stand for numbers that JSON has not.
_INFINITE = {"inf": math.inf, "-inf": -math.inf}


class _MismatchError(Exception):
    """A value that has not the type wanted: where, and why."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place or 'the file'}: {reason}")


def read_result(path: str | os.PathLike[str]) -> RefinementResult:
    """Read a ``result.json``; what it says is equal to the result that was written.

    Raises
    ------
    FileError
        When it cannot be read, is of another schema, or has not the form of a result.
    """
    return read_versioned(
        path,
        RefinementResult,
        schema=SCHEMA,
        what="result of a refinement",
        advice="Refine again, or use the version that wrote it",
    )


def read_versioned(path: str | os.PathLike[str], kind: type[_T], *, schema: int, what: str, advice: str) -> _T:
    """Read a file of one dataclass and a schema number.

    Parameters
    ----------
    path : path
        JSON.
    kind : type
        The dataclass.
    schema : int
        The number that can be read.
    what, advice : str
        What the file should be, and what to do where it has another number.

    Raises
    ------
    FileError
        When it cannot be read, is of another schema, or has not the form wanted.
    """
    table = _json(path)
    if not isinstance(table, dict) or "schema" not in table:
        raise FileError(f"{os.fspath(path)!r} is no {what}: it has no schema number")
    found = table.pop("schema")
    if found != schema:
        raise FileError(f"{os.fspath(path)!r} has schema {found!r}; this version reads {schema}. {advice}")
    try:
        return from_plain(kind, table)
    except _MismatchError as error:
        raise FileError(f"{os.fspath(path)!r} is no {what}: {error}") from None


def read_list(path: str | os.PathLike[str], kind: type[_T], key: str = "") -> tuple[_T, ...]:
    """Read a JSON list of one dataclass, as of `Profile` or `BootstrapEstimate`; ``key`` says where in an object.

    Raises
    ------
    FileError
        When it cannot be read, or is no such list.
    """
    table = _json(path)
    if key:
        table = table.get(key) if isinstance(table, dict) else None
    if not isinstance(table, list):
        raise FileError(f"{os.fspath(path)!r} is no list")
    try:
        return tuple(from_plain(kind, entry, f"[{number}]") for number, entry in enumerate(table))
    except _MismatchError as error:
        raise FileError(f"{os.fspath(path)!r} is no list of {kind.__name__}: {error}") from None


def from_plain(kind: type[_T], value: object, place: str = "") -> _T:
    """A dataclass from the plain values that it was written as.

    None stands for a number that is none, unless the field may be None; ``"inf"`` for an infinite one.
    """
    built: _T = _built(kind, value, place)
    return built


def _json(path: str | os.PathLike[str]) -> Any:
    try:
        return json.loads(read_bytes(path))
    except ValueError as error:
        raise FileError(f"{os.fspath(path)!r} is no JSON: {error}") from None


def _built(kind: Any, value: Any, place: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, value, place)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        # Every union of the results is of one type with None.
        (wanted,) = (each for each in arguments if each is not type(None))
        return None if value is None else _built(wanted, value, place)
    if origin is tuple:
        return _tuple(arguments, value, place)
    if origin is Mapping:
        if not isinstance(value, dict):
            raise _MismatchError(place, "a table is wanted")
        return {key: _built(arguments[1], entry, f"{place}.{key}") for key, entry in value.items()}
    return _scalar(kind, value, place)


def _tuple(arguments: tuple[Any, ...], value: Any, place: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _MismatchError(place, "a list is wanted")
    # Every tuple of the results is of one type and any length.
    return tuple(_built(arguments[0], entry, f"{place}[{number}]") for number, entry in enumerate(value))


def _scalar(kind: Any, value: Any, place: str) -> Any:
    if kind is float:
        if value is None:
            return math.nan
        if isinstance(value, str) and value in _INFINITE:
            return _INFINITE[value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise _MismatchError(place, f"{value!r} where {kind.__name__} is wanted")


def _dataclass(kind: Any, value: Any, place: str) -> Any:
    if not isinstance(value, dict):
        raise _MismatchError(place, f"{kind.__name__} is wanted")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in value:
        if name not in fields:
            raise _MismatchError(place, f"{kind.__name__} has no {name!r}{closest_match(name, fields)}")
    hints = typing.get_type_hints(kind)
    given = {name: _built(hints[name], entry, f"{place}.{name}".lstrip(".")) for name, entry in value.items()}
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in given:
            raise _MismatchError(place, f"{name!r} of {kind.__name__} is missing")
    return kind(**given)
