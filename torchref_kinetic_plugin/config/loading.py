"""Refinement and simulation files to validated values."""

from __future__ import annotations

import copy
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from torchref_kinetic_plugin.config.problems import ConfigError, Problem, shortened, validation_problems
from torchref_kinetic_plugin.config.schema import DEFAULT_PROVIDER, RefinementFile
from torchref_kinetic_plugin.config.simulation import SimulationFile
from torchref_kinetic_plugin.errors import FileError, InputError, closest_match

_PLACE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)")
_LARGEST = 4_000_000

#: Gives the problems of a provider's section.
SectionCheck = Callable[[str, Mapping[str, Any]], Sequence[Problem]]
#: Keys, as ``"refinement.d_min"`` or part by part, to values that stand in for those of a file.
Overrides = Mapping[str, Any] | Mapping[tuple[str, ...], Any]

_File = TypeVar("_File", bound=BaseModel)


def read_refinement_file(
    path: str | os.PathLike[str],
    *,
    providers: Sequence[str] = ("kinetics", "unrestrained", "fixed"),
    check_section: SectionCheck | None = None,
    overrides: Overrides | None = None,
) -> RefinementFile:
    """Read and validate a refinement file; all that is wrong with it is reported together.

    Parameters
    ----------
    path : path
        The file, TOML.
    providers : sequence of str
        What ``occupancy = ...`` may be; sections of those not chosen may stand in the file.
    check_section : callable, optional
        Gives the problems of a provider's section.
    overrides : mapping, optional
        Keys, as ``"refinement.d_min"`` or ``("refinement", "d_min")``, to values that stand in for those of the file.

    Returns
    -------
    RefinementFile
        With paths relative to the file resolved.

    Raises
    ------
    FileError
        When the file cannot be read.
    ConfigError
        With every problem, its place, and the closest match.
    """
    source = Path(path)
    found, section = _validated(RefinementFile, "refinement", source, providers, check_section, overrides or {})
    directory = source.parent / found.output.directory
    return found.model_copy(
        update={
            "provider_section": section,
            "path": source,
            "output": found.output.model_copy(update={"directory": directory}),
        }
    )


def read_simulation_file(
    path: str | os.PathLike[str],
    *,
    providers: Sequence[str] = ("kinetics", "unrestrained", "fixed"),
    check_section: SectionCheck | None = None,
) -> SimulationFile:
    """Read and validate a simulation file; arguments and errors as of `read_refinement_file`."""
    found, section = _validated(SimulationFile, "simulation", Path(path), providers, check_section, {})
    return found.model_copy(update={"provider_section": section})


def _validated(
    model: type[_File],
    place: str,
    source: Path,
    providers: Sequence[str],
    check_section: SectionCheck | None,
    overrides: Overrides,
) -> tuple[_File, dict[str, Any]]:
    """A validated file and its provider's section as it stands there."""
    table = read_table(source)
    for key, value in overrides.items():
        _override(table, key, value)
    known = [
        field.alias or name for name, field in model.model_fields.items() if name not in {"provider_section", "path"}
    ]
    problems: list[Problem] = []
    own = {}
    for key, value in table.items():
        if key in known:
            own[key] = value
        elif key not in (*providers, _chosen(table.get(place, {}))):
            allowed = (*known, *providers)
            problems.append(
                Problem("", f"unknown section {key!r}{closest_match(key, allowed)}; allowed: {', '.join(allowed)}")
            )
    found: _File | None = None
    try:
        found = model.model_validate(own, context={"base": source.parent})
    except ValidationError as error:
        problems += validation_problems(error, model=model)
    chosen = _chosen(own.get(place, {}))
    section: Any = table.get(chosen, {})
    if chosen not in providers:
        unknown = f"unknown provider {chosen!r}{closest_match(chosen, providers)}; allowed: {', '.join(providers)}"
        # Whoever knows the providers may know more: that the one asked for has failed to load, and why.
        told = [] if check_section is None else [each.message for each in check_section(chosen, {})]
        problems.append(Problem(f"{place}.occupancy", told[0] if told else unknown))
    elif not isinstance(section, Mapping):
        problems.append(Problem(chosen, f"a table is wanted; write [{chosen}]"))
    elif check_section is not None:
        problems += check_section(chosen, section)
    if problems or found is None:
        raise ConfigError(repr(str(source)), problems)
    return found, dict(section)


def read_table(source: Path) -> dict[str, Any]:
    """A file of settings as a table, nothing validated.

    Raises
    ------
    FileError
        When it cannot be read.
    ConfigError
        When it is no TOML, with the place.
    """
    try:
        if source.is_file() and source.stat().st_size > _LARGEST:
            raise FileError(f"{str(source)!r} is too large for a file of settings")
        text = source.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        beside = [each.name for each in source.parent.glob("*.toml")] if source.parent.is_dir() else []
        raise FileError(f"no such file: {str(source)!r}{closest_match(source.name, beside)}") from None
    except UnicodeDecodeError:
        raise FileError(f"{str(source)!r} is not text; a file of settings is TOML") from None
    except OSError as error:
        raise FileError(f"cannot read {str(source)!r}: {error.strerror}") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(repr(str(source)), [_syntax_problem(str(error), text)]) from None
    except ValueError:
        # Of Python's own: it refuses whole numbers of thousands of digits.
        raise ConfigError(repr(str(source)), [Problem("", "a number has too many digits")]) from None
    except RecursionError:
        raise ConfigError(repr(str(source)), [Problem("", "tables nested too deeply")]) from None


def _syntax_problem(message: str, text: str) -> Problem:
    where = _PLACE.search(message)
    words = _PLACE.sub("", message)
    if where is None or where[1] is None:
        return Problem("end of file" if where else "", f"not TOML: {words}")
    line = int(where[1])
    # A line ends where TOML ends it, not at every character that Python counts.
    shown = shortened(text.split("\n")[line - 1].strip())
    return Problem(f"line {line}", f"not TOML: {words}" + (f", in {shown!r}" if shown else ""))


def _chosen(section: object) -> str:
    """The provider that the flag names; the default where the flag itself is wrong."""
    value = section.get("occupancy", DEFAULT_PROVIDER) if isinstance(section, Mapping) else DEFAULT_PROVIDER
    return value if isinstance(value, str) else DEFAULT_PROVIDER


def _override(table: dict[str, Any], key: str | tuple[str, ...], value: Any) -> None:
    *path, last = key.split(".") if isinstance(key, str) else key
    for part in path:
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            shown = key if isinstance(key, str) else ".".join(key)
            raise InputError(f"override {shown!r}: {part!r} is not a table of the file")
        table = inner
    table[last] = copy.deepcopy(value)
