"""The campaign file: one refinement file and what is varied of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self, final

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from torchref_kinetic_plugin.config.loading import read_table
from torchref_kinetic_plugin.config.problems import ConfigError, Problem, validation_problems
from torchref_kinetic_plugin.config.section import Section, repeated
from torchref_kinetic_plugin.config.values import Directory, ExistingFile, Name, Positive, Title, Whole
from torchref_kinetic_plugin.errors import InputError, closest_match

#: Keys that have an axis of their own.
_OWN_AXES = {"refinement.d_min": "d_min", "refinement.seed": "seeds", "kinetics.scheme": "schemes"}
#: Keys whose value the campaign chooses.
_OF_THE_CAMPAIGN = ("output.directory", "title", "schemes")


def _schemes(value: object) -> object:
    """A list of flow charts, or a table of names to flow charts or sections, as a table of names to sections."""
    if isinstance(value, list):
        if wrong := [entry for entry in value if not isinstance(entry, str)]:
            raise InputError(
                f"{wrong[0]!r}: a flow chart in quotes is wanted; a scheme with keys of its own is a table "
                "[schemes.NAME]"
            )
        if twice := repeated(value):
            raise InputError(f"{twice[0]!r} is there twice")
        return {text: {"scheme": text} for text in value}
    if isinstance(value, Mapping):
        found = {name: {"scheme": entry} if isinstance(entry, str) else entry for name, entry in value.items()}
        if wrong := [name for name, entry in found.items() if not isinstance(entry, dict) or not entry]:
            raise InputError(f"{', '.join(wrong)}: a flow chart in quotes, or a table of keys of [kinetics], is wanted")
        return found
    raise InputError(f"{value!r}: a list of flow charts, or a table of named schemes, is wanted")


def _keys(value: object) -> object:
    """A table of keys of the refinement file, nested or dotted, with the path of each key."""
    if not isinstance(value, dict):
        raise InputError(f"{value!r}: a table of keys of the refinement file is wanted")
    found = dict(_leaves(value, ()))
    for path in found:
        key = ".".join(path)
        if key in _OF_THE_CAMPAIGN:
            raise InputError(f"{key}: the campaign chooses it; leave it out")
        if path[0] == "experiment":
            raise InputError(f"{key}: experiments are a list, and cannot be changed key by key; write another file")
    return found


def _leaves(table: Mapping[str, Any], path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    found = []
    for key, value in table.items():
        # A transition is one key, whatever it holds; what has a dot in quotes is a path.
        own = (*path, *key.split("."))
        found += _leaves(value, own) if isinstance(value, dict) and value else [(own, value)]
    return found


Schemes = Annotated[dict[str, dict[str, Any]], BeforeValidator(_schemes)]
Keys = Annotated[dict[tuple[str, ...], Any], BeforeValidator(_keys)]
Draws = Annotated[Whole, Field(ge=0)]


@final
class Run(Section):
    """One ``[[run]]`` beside the table of the axes."""

    name: Name = Field(description="What the summary calls it.")
    scheme: str | None = Field(default=None, description="One of schemes, or a flow chart.")
    d_min: Positive | None = Field(default=None, description="High-resolution limit, A.")
    seed: Annotated[Whole, Field(ge=0)] | None = Field(default=None, description="Of everything that is drawn.")
    start_factor: Positive | None = Field(default=None, description="Of the starting rate constants.")
    keys: Keys = Field(alias="set", default={}, description="Keys of the refinement file to values.")


@final
class CampaignFile(Section):
    """A whole campaign file.

    Attributes
    ----------
    path : Path
        The file itself.
    """

    title: Title = Field(default="", description="For the summary.")
    refinement: ExistingFile = Field(description="The refinement file that all runs are made of.")
    directory: Directory = Field(default=Path("campaign"), description="Where everything is written.")
    schemes: Schemes = Field(
        default={}, description="Flow charts, or named schemes with what else of [kinetics] belongs to them."
    )
    d_min: list[Positive] = Field(default=[], description="High-resolution limits, A.")
    seeds: list[Annotated[Whole, Field(ge=0)]] = Field(
        default=[], description="Seeds of everything that is drawn, starting points among it."
    )
    start_factors: list[Positive] = Field(
        default=[], description="What the finite starting rate constants are multiplied by."
    )
    bootstraps: Draws = Field(default=0, description="Draws of the data that each run is refitted to.")
    keys: Keys = Field(alias="set", default={}, description="Keys of the refinement file to values, in all runs.")
    vary: Keys = Field(default={}, description="Keys of the refinement file to lists of values, an axis each.")
    runs: tuple[Run, ...] = Field(alias="run", default=(), description="Runs beside the table of the axes.")
    path: Path = Field(default=Path(), description="Set by the program.")

    @field_validator("d_min", "seeds", "start_factors")
    @classmethod
    def _different(cls, value: list[float]) -> list[float]:
        if twice := repeated([f"{each:g}" for each in value]):
            raise InputError(f"{', '.join(twice)} is there twice")
        return value

    @field_validator("bootstraps")
    @classmethod
    def _enough(cls, value: int) -> int:
        if value == 1:
            raise InputError("one draw says nothing of the spread; at least 2 are wanted, or 0")
        return value

    @field_validator("vary")
    @classmethod
    def _lists(cls, value: dict[tuple[str, ...], Any]) -> dict[tuple[str, ...], Any]:
        for path, values in value.items():
            key = ".".join(path)
            if key in _OWN_AXES:
                raise InputError(f"{key}: the axis {_OWN_AXES[key]} is for it")
            if not isinstance(values, list) or not values:
                raise InputError(f"{key} = {values!r}: a list of values is wanted; what holds for all runs goes to set")
            if twice := repeated([repr(each) for each in values]):
                raise InputError(f"{key}: {twice[0]} is there twice")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if twice := repeated([run.name for run in self.runs]):
            raise InputError(f"two runs are called {', '.join(twice)}; each has a name of its own")
        if both := [".".join(path) for path in self.vary if path in self.keys]:
            raise InputError(f"{both[0]} stands in set and in vary; one of them is wanted")
        return self


def read_campaign_file(path: str | os.PathLike[str]) -> tuple[CampaignFile | None, list[Problem]]:
    """Read a campaign file, and say what is wrong with it.

    Returns
    -------
    file : CampaignFile or None
        With paths resolved, and without the keys that are wrong; None where too little is left.
    problems : list of Problem
        All that the file alone shows.

    Raises
    ------
    FileError
        When it cannot be read.
    ConfigError
        When it is no TOML.
    """
    source = Path(path).absolute()
    known = [field.alias or name for name, field in CampaignFile.model_fields.items() if name != "path"]
    table = read_table(source)
    problems = [
        Problem("", f"unknown key {key!r}{closest_match(key, known)}; allowed: {', '.join(known)}")
        for key in table
        if key not in known
    ]
    table = {key: value for key, value in table.items() if key in known}
    found, wrong = _validated(table, source)
    if wrong is not None:
        problems += validation_problems(wrong, model=CampaignFile)
        places = {str(each["loc"][0]) for each in wrong.errors() if each["loc"]}
        found, _ = _validated({key: value for key, value in table.items() if key not in places}, source)
    return found, problems


def _validated(table: Mapping[str, Any], source: Path) -> tuple[CampaignFile | None, ValidationError | None]:
    try:
        found = CampaignFile.model_validate(table, context={"base": source.parent})
    except ValidationError as error:
        return None, error
    return found.model_copy(update={"path": source, "directory": source.parent / found.directory}), None


def require_no_problems(source: Path, problems: list[Problem]) -> None:
    """Refuse a file with everything that is wrong with it.

    Raises
    ------
    ConfigError
        Where there is a problem.
    """
    if problems:
        raise ConfigError(repr(str(source)), problems)
