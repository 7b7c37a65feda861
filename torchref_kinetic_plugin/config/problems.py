"""Everything that is wrong with a refinement file, in words, each with its place."""

from __future__ import annotations

import datetime
import re
import types
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

from pydantic import BaseModel, ValidationError

from torchref_kinetic_plugin.errors import InputError, closest_match

#: What each kind of pydantic's errors means to somebody who wrote a file; the value is put before it.
_KINDS = {
    "string_type": "text in quotes is wanted",
    "float_type": "a number is wanted",
    "int_type": "a whole number is wanted",
    "int_from_float": "a whole number is wanted",
    "bool_type": "true or false is wanted, without quotes",
    "list_type": "a list is wanted, e.g. [...]",
    "tuple_type": "a list of tables is wanted; write [[...]] for each",
    "dict_type": "a table is wanted, e.g. {...}",
    "model_type": "a table is wanted, e.g. {...}",
    "model_attributes_type": "a table is wanted, e.g. {...}",
    "path_type": "a path in quotes is wanted",
    "finite_number": "a finite number is wanted",
}
#: What pydantic puts into a location for the part of a union that it tried; no key of the file.
_ATTEMPT = re.compile(r"(?:bool|float|int|str|constrained-\w+|(?:dict|list|literal|tuple|function-[\w-]+)\[.*\])")
_LIMITS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}


@final
@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes
    ----------
    place : str
        Key, as ``"experiment[1].timepoints[3].time"``, counted from 1; empty for the whole file.
    message : str
        What is wrong, with the value, what is allowed and the closest match.
    """

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


@final
class ConfigError(InputError):
    """A refinement file with everything that is wrong with it.

    Parameters
    ----------
    source : str
        The file.
    problems : sequence of Problem
        At least one.
    """

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        head = f"{source}: {len(problems)} problems" if len(problems) > 1 else source
        super().__init__("\n".join([f"{head}:", *(f"  {problem}" for problem in problems)]))


def validation_problems(
    error: ValidationError, root: Sequence[str | int] = (), model: type[BaseModel] | None = None
) -> list[Problem]:
    """Problems of a validation, in plain words.

    Parameters
    ----------
    error : ValidationError
        What pydantic found.
    root : sequence
        Where the validated table stands in the file.
    model : type of BaseModel, optional
        What was validated; lets unknown keys be told with what is allowed.
    """
    found: dict[str, list[str]] = {}
    for each in error.errors(include_url=False):
        messages = found.setdefault(place_of((*root, *each["loc"])), [])
        if (message := _message(each, model)) not in messages:
            messages.append(message)
    # Several at one place are attempts at the same value, of which any would do.
    return [Problem(place, "; or ".join(messages)) for place, messages in found.items()]


def place_of(location: Iterable[str | int]) -> str:
    """A location as a user would write it, counted from 1."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        elif part != "[key]" and not _ATTEMPT.fullmatch(part):
            key = part or '""'
            text += f".{key}" if text else key
    return text


def _message(found: Any, model: type[BaseModel] | None) -> str:
    kind, value, context = found["type"], found["input"], found.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        name, allowed = found["loc"][-1], _keys_at(model, found["loc"][:-1])
        known = f"; allowed: {', '.join(allowed)}" if allowed else ""
        return f"unknown key {name!r}{closest_match(name, allowed)}{known}"
    if kind in {"value_error", "assertion_error"}:
        return str(context["error"])
    if kind == "literal_error":
        allowed = [part.strip(" '") for part in context["expected"].replace(" or ", ", ").split(",")]
        closest = closest_match(value, allowed) if isinstance(value, str) else ""
        return f"{_shown(value)} is not one of {', '.join(allowed)}{closest}"
    if kind in _LIMITS:
        key, words = _LIMITS[kind]
        return f"{_shown(value)} is not allowed; {words} {context[key]:g} is wanted"
    if kind in {"too_short", "too_long"}:
        limit = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        return f"the number of entries is {context['actual_length']}; {limit} is wanted"
    return f"{_shown(value)}: {_KINDS.get(kind, found['msg'])}"


def shortened(text: str) -> str:
    """A text cut where it is long."""
    return text if len(text) < 60 else f"{text[:56]} ..."


def _shown(value: object) -> str:
    """A value much as it stands in the file, shortened."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value.isoformat() if isinstance(value, datetime.date | datetime.time) else repr(value)
    return shortened(text)


def _keys_at(model: type[BaseModel] | None, location: Sequence[str | int]) -> list[str]:
    """Keys that a table at a location may have."""
    named = False
    for part in location:
        if model is None or not isinstance(part, str) or _ATTEMPT.fullmatch(part):
            continue
        if named:
            # A name that the user chose, as in [kinetics.experiments.NAME].
            named = False
            continue
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        if part not in fields:
            return []
        named = typing.get_origin(fields[part].annotation) is dict
        model = _model_in(fields[part].annotation)
    return [field.alias or name for name, field in model.model_fields.items()] if model is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation holds, in a list or table or beside None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in {dict, list, tuple, typing.Annotated, typing.Union, types.UnionType}:
        return next((found for part in typing.get_args(annotation) if (found := _model_in(part)) is not None), None)
    return None
