"""Refinement files as text: the resolved one of a run, and one to start from."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any

from torchref_kinetic_plugin.config.schema import RefinementFile
from torchref_kinetic_plugin.scheme.units import SECONDS

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_UNITS = "|".join(sorted((unit for unit in SECONDS if unit != "d"), key=len, reverse=True))
_TIME_IN_NAME = re.compile(rf"(?<![A-Za-z0-9.])(?:minus|neg|[tT])?[_-]?(\d+(?:[.p]\d+)?)[_-]?({_UNITS})(?![A-Za-z0-9])")
_MINUS = re.compile(r"(?:(?:^|[^A-Za-z0-9])(?:minus|neg)[_-]?|(?:^|[^A-Za-z0-9])-)$")
_MINUS_OR_HYPHEN = re.compile(r"(?:^|[^A-Za-z0-9])[tT]-$")


def resolved_toml(file: RefinementFile, *, relative_to: Path) -> str:
    """A refinement file with all defaults filled in, that gives the same refinement from another directory."""
    table = file.model_dump(by_alias=True, exclude={"provider_section", "path"}, exclude_none=True)
    table["structures"] = _with_paths(table["structures"], relative_to)
    table["experiment"] = [_with_paths(each, relative_to) for each in table["experiment"]]
    table["output"]["directory"] = _relative(file.output.directory.resolve(), relative_to)
    experiments = table.pop("experiment")
    lines = [f"title = {_value(table.pop('title'))}"]
    if schemes := table.pop("schemes"):
        lines.append(f"schemes = {_value(schemes)}")
    for name, section in table.items():
        lines += ["", f"[{name}]", *_pairs(section)]
    for experiment in experiments:
        lines += ["", "[[experiment]]", *_pairs(experiment)]
    if file.provider_section:
        lines += ["", f"[{_key(file.refinement.occupancy)}]", *_pairs(file.provider_section)]
    return "\n".join(lines) + "\n"


def time_in_name(name: str) -> str | None:
    """The delay that a file name tells, e.g. ``"2.5 us"`` of ``"lyso_2.5us.mtz"``; None when it tells none.

    A hyphen after a word separates (``lyso-5ps``), one after another separator is a minus (``lyso_-5ps``), as are
    ``minus`` and ``neg``; ``t-5ps`` may be either, and tells none.
    """
    name = Path(name).name
    match = _TIME_IN_NAME.search(name)
    if match is None or _MINUS_OR_HYPHEN.search(before := name[: match.start(1)]):
        return None
    sign = "-" if _MINUS.search(before) else ""
    return f"{sign}{match[1].replace('p', '.')} {match[2]}"


def starting_file(
    structures: Mapping[str, str],
    references: Sequence[str],
    timepoints: Sequence[tuple[str, str | None]],
    *,
    title: str,
) -> str:
    """A commented refinement file to start from.

    Parameters
    ----------
    structures : mapping
        Name to file, the reference structure first.
    references : sequence of str
        Files measured without the trigger.
    timepoints : sequence of (file, delay)
        Files with their delays; None where the user has to fill it in.
    title : str
        For plots.
    """
    names = list(structures)
    states = [chr(ord("A") + number) for number in range(len(names))]
    steps = [f"{a}->{b}" for a, b in zip(states, [*states[1:], states[0]], strict=True)] if len(states) > 1 else []
    mapping = ", ".join(f"{state} = {_value(name)}" for state, name in zip(states, names, strict=True))
    lines = [
        "# A kinetic refinement; `torchref.kinetic check` reads this file and says what is wrong with it.",
        f"title = {_value(title)}",
        "",
        "[refinement]",
        'occupancy = "kinetics"          # or "unrestrained": every occupancy free at every timepoint; or "fixed"',
        "# d_min = 1.8                   # resolution limit, A; all data without it",
        'refine = ["kinetics", "scale"]',
        "seed = 1",
        "",
        "[structures]",
        "# The first one is the structure before the trigger.",
        "states = [",
        *(f"    {{name = {_value(name)}, file = {_value(path)}}}," for name, path in structures.items()),
        "]",
        '# restraints = ["ligand.cif"]   # for residues that are no standard ones',
        "",
        "[[experiment]]",
        'name = "experiment_1"',
        "# temperature = 298.0           # K",
        f"references = {_value(list(references))}",
        "timepoints = [",
    ]
    for path, delay in timepoints:
        note = "" if delay else "   # fill in the delay with its unit"
        lines.append(f"    {{time = {_value(delay or '?')}, file = {_value(path)}}},{note}")
    lines += [
        "]",
        '# columns = {F = "FP", SIGF = "SIGFP", free = "FreeR_flag"}   # or I, SIGI; found when left out',
        "",
        "[kinetics]",
        "# States and transitions; the first state is the one before the trigger.",
        f"scheme = {_value(', '.join(steps) if steps else states[0])}",
        "light_activated = true          # the trigger acts once: what returns stays",
        f"state_mapping = {{{mapping}}}",
    ]
    if steps:
        lines += [
            '# "inf": at once, by the trigger. Rates left out start where the delays can see them.',
            f'rate_constants = {{"{steps[0]}" = "inf"}}   # others as "1/(500 ns)" or "20 /ms"',
            f'efficiencies = {{"{steps[0]}" = 0.3}}        # the fraction that the trigger excites',
            f'refine_efficiencies = ["{steps[0]}"]',
        ]
    lines += ["", "[output]", 'directory = "refined"']
    return "\n".join(lines) + "\n"


def _with_paths(section: Mapping[str, Any], base: Path) -> dict[str, Any]:
    def moved(value: Any) -> Any:
        if isinstance(value, Path):
            # A link keeps its own name: what it points to may have no suffix, or another.
            return _relative(value.parent.resolve() / value.name, base)
        if isinstance(value, Mapping):
            return {key: moved(entry) for key, entry in value.items() if entry not in ({}, [])}
        return [moved(entry) for entry in value] if isinstance(value, list) else value

    return {key: moved(value) for key, value in section.items() if value not in ({}, [])}


def _relative(path: Path, base: Path) -> str:
    return Path(os.path.relpath(path, base.resolve())).as_posix()


def _pairs(section: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {_value(value)}" for key, value in section.items()]


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return ("inf" if value > 0 else "-inf") if math.isinf(value) else repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_value(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list | tuple):
        if value and isinstance(value[0], Mapping):
            return "[\n" + "".join(f"    {_value(entry)},\n" for entry in value) + "]"
        return "[" + ", ".join(_value(entry) for entry in value) + "]"
    # Strings of JSON are strings of TOML, but for DEL.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
