"""Values that a refinement file may hold: paths, names, numbers, delays."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, Strict, ValidationInfo

from torchref_kinetic_plugin.config.section import repeated
from torchref_kinetic_plugin.errors import InputError, UnitError, UnknownNameError, closest_match
from torchref_kinetic_plugin.scheme import parse_time, time_unit
from torchref_kinetic_plugin.scheme.amounts import parse_concentration, parse_energy

#: Roles of columns.
ROLES = ("F", "SIGF", "I", "SIGI", "free")

#: The longest delay that is one, s; beyond, a delay times a rate is no number any more.
_LONGEST = 1e15
#: Three of these make the name of a file.
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,59}")


def _expanded(value: str) -> Path:
    if not value:
        raise InputError("the path is empty")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise InputError(f"{value!r}: nobody knows the home directory that '~' means there") from None


def _existing(value: object, info: ValidationInfo) -> object:
    """A path relative to the refinement file, which has to exist."""
    if not isinstance(value, str):
        return value
    base: Path = (info.context or {}).get("base", Path())
    path = base / _expanded(value)
    try:
        if path.is_file():
            return str(path)
        beside = [each.name for each in path.parent.iterdir() if each.is_file()] if path.parent.is_dir() else []
        what = "is a directory, not a file" if path.is_dir() else "there is no such file"
        where = "" if path.parent.is_dir() else f" (nor a directory {str(path.parent)!r})"
    except OSError as error:
        # A name too long, or a directory that may not be read.
        raise InputError(f"{value!r}: {error.strerror}") from None
    raise InputError(f"{value!r}: {what}{where}{closest_match(path.name, beside)}")


def file_of(value: object) -> object:
    """A path alone as a table with it."""
    return {"file": value} if isinstance(value, str) else value


def _directory(value: object) -> object:
    return _expanded(value) if isinstance(value, str) else value


def safe_name(value: str) -> str:
    """Refuse a name that is no part of a file name everywhere."""
    if not _SAFE_NAME.fullmatch(value):
        raise InputError(
            f"{value!r} becomes part of file names: letters, digits, '.', '_', '+' and '-' are allowed, a letter or "
            "digit first, 60 at most"
        )
    return value


def _one_line(value: str) -> str:
    if not value.isprintable():
        unseen = next(letter for letter in value if not letter.isprintable())
        raise InputError(f"{value!r}: a title is one line of letters that can be seen; {unseen!r} is none")
    return value


def _letter(value: str) -> str:
    if len(value) != 1 or value.isspace():
        raise InputError(f"an alternative conformation is one character, as the model file has it, not {value!r}")
    return value


def _delay(value: object) -> object:
    # TOML has an ``inf`` of its own; every other time needs its unit.
    if isinstance(value, float) and value == math.inf:
        return "inf"
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise UnitError(f"{value!r} has no unit; write it in quotes with its unit, e.g. '{value!r} ns'")
    if not isinstance(value, str):
        return value
    if abs(parse_time(value)) > _LONGEST and time_unit(value) is not None:
        raise UnitError(f"{value!r} is too large a number; write 'inf' for the state that is reached at last")
    return value


def _amount(value: object, parse: Callable[[str], float], example: str) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise UnitError(f"{value!r} has no unit; write it in quotes with its unit, e.g. '{example}'")
    if isinstance(value, str):
        parse(value)
    return value


def _concentration(value: object) -> object:
    return _amount(value, parse_concentration, "5 mM")


def _energy(value: object) -> object:
    return _amount(value, parse_energy, "30 uJ")


def each_once(value: list[str]) -> list[str]:
    """Refuse a list in which something is there twice."""
    if twice := repeated(value):
        raise InputError(f"{', '.join(twice)} is there twice")
    return value


def _known_roles(value: dict[str, str]) -> dict[str, str]:
    for role in value:
        if role not in ROLES:
            raise UnknownNameError("column role", role, ROLES)
    return value


ExistingFile = Annotated[Path, BeforeValidator(_existing)]
Directory = Annotated[Path, BeforeValidator(_directory)]
Name = Annotated[str, AfterValidator(safe_name)]
Title = Annotated[str, AfterValidator(_one_line)]
Altloc = Annotated[str, AfterValidator(_letter)]
Concentration = Annotated[str, BeforeValidator(_concentration)]
PulseEnergy = Annotated[str, BeforeValidator(_energy)]
Delay = Annotated[str, BeforeValidator(_delay)]
Positive = Annotated[float, Strict(), Field(gt=0.0, allow_inf_nan=False)]
Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
Columns = Annotated[dict[str, str], AfterValidator(_known_roles)]


def name_of_delay(text: str) -> str:
    """A delay as part of a file name, e.g. ``"2.5_us"``, ``"minus_1_ps"``."""
    plain = text.strip().replace("µ", "u").replace("μ", "u")
    sign = "minus_" if plain.startswith("-") else ""
    words = re.sub(r"[^A-Za-z0-9.+-]+", "_", plain.lstrip("+-"))
    return sign + (f"0{words}" if words.startswith(".") else words)
