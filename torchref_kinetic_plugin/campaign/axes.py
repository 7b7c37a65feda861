"""The axes of a campaign: each value as what it changes of the refinement file, and their product."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, final

from torchref_kinetic_plugin.config.campaign import CampaignFile, Run

#: Columns of the table that are not keys of the refinement file.
SCHEME, D_MIN, SEED, START_FACTOR, RUN = "scheme", "d_min", "seed", "start_factor", "run"
#: Characters of a value in a table, at most.
_LONGEST = 48

Key = tuple[str, ...]


@final
@dataclass(frozen=True)
class Choice:
    """One value of one axis.

    Attributes
    ----------
    axis : str
        Column of the table.
    label : str
        The value as the table has it.
    place : str
        Where it stands in the campaign file.
    keys : mapping
        Keys of the refinement file, part by part, to values.
    scheme : mapping or None
        Keys of ``[kinetics]`` of another scheme.
    factor : float or None
        Of the starting rate constants.
    """

    axis: str
    label: str
    place: str
    keys: Mapping[Key, Any] = field(default_factory=dict)
    scheme: Mapping[str, Any] | None = None
    factor: float | None = None


@final
@dataclass(frozen=True)
class Row:
    """One run of the table, by its choices; ``name`` is that of a run beside the axes."""

    choices: tuple[Choice, ...]
    name: str = ""

    @property
    def labels(self) -> dict[str, str]:
        """Column to value."""
        named = {RUN: self.name} if self.name else {}
        return {**named, **{choice.axis: choice.label for choice in self.choices if choice.axis}}

    @property
    def text(self) -> str:
        """The run in one line."""
        if self.name:
            return self.name
        return ", ".join(f"{axis} {label}" for axis, label in self.labels.items()) or "the refinement file as it is"


def axes_of(file: CampaignFile) -> list[list[Choice]]:
    """The axes that the file has, in the order of the table's columns."""
    axes = [
        [_scheme(name, section, f"schemes.{name}") for name, section in file.schemes.items()],
        [_d_min(value, f"d_min[{number}]") for number, value in enumerate(file.d_min, 1)],
        [_seed(value, f"seeds[{number}]") for number, value in enumerate(file.seeds, 1)],
        [_factor(value, f"start_factors[{number}]") for number, value in enumerate(file.start_factors, 1)],
    ]
    for path, values in file.vary.items():
        key = ".".join(path)
        axes.append(
            [
                Choice(key, shown(value), f"vary.{key}[{number}]", {path: value})
                for number, value in enumerate(values, 1)
            ]
        )
    return [axis for axis in axes if axis]


def table_of(file: CampaignFile) -> Iterator[Row]:
    """All runs: the product of the axes, the last one changing fastest, and the runs beside it.

    A file without axes and without runs has one run, the refinement file as it is.
    """
    axes = axes_of(file)
    if axes or not file.runs:
        yield from (Row(choices) for choices in itertools.product(*axes))
    for number, run in enumerate(file.runs, 1):
        yield Row(tuple(_choices(file, run, f"run[{number}]")), run.name)


def size_of(file: CampaignFile) -> int:
    """Number of runs of the table, without drawing it up."""
    axes = axes_of(file)
    product = 1 if axes or not file.runs else 0
    for axis in axes:
        product *= len(axis)
    return product + len(file.runs)


def _choices(file: CampaignFile, run: Run, place: str) -> Iterator[Choice]:
    if run.scheme is not None:
        section = file.schemes.get(run.scheme, {"scheme": run.scheme})
        yield _scheme(run.scheme, section, f"{place}.scheme")
    for path, value in run.keys.items():
        key = ".".join(path)
        yield Choice(key if path in file.vary else "", shown(value), f"{place}.set.{key}", {path: value})
    if run.d_min is not None:
        yield _d_min(run.d_min, f"{place}.d_min")
    if run.seed is not None:
        yield _seed(run.seed, f"{place}.seed")
    if run.start_factor is not None:
        yield _factor(run.start_factor, f"{place}.start_factor")


def _scheme(name: str, section: Mapping[str, Any], place: str) -> Choice:
    return Choice(SCHEME, name, place, scheme=section)


def _d_min(value: float, place: str) -> Choice:
    return Choice(D_MIN, f"{value:g}", place, {("refinement", "d_min"): value})


def _seed(value: int, place: str) -> Choice:
    return Choice(SEED, str(value), place, {("refinement", "seed"): value})


def _factor(value: float, place: str) -> Choice:
    return Choice(START_FACTOR, f"{value:g}", place, factor=value)


def shown(value: object) -> str:
    """A value as the table has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        text = ", ".join(shown(each) for each in value) or "none"
    elif isinstance(value, Mapping):
        text = ", ".join(f"{key} = {shown(each)}" for key, each in value.items()) or "none"
    else:
        text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
