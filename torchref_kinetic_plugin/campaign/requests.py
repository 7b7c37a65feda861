"""The refinement file of each run: the campaign's one, with what the run's choices change of it."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from torchref_kinetic_plugin.campaign.axes import Choice, Key
from torchref_kinetic_plugin.config import ConfigError, Problem, RefinementFile, read_refinement_file
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.plugins.alternative_schemes import alternative_section, structures_of
from torchref_kinetic_plugin.plugins.kinetics_values import number_of
from torchref_kinetic_plugin.scheme.amounts import is_second_order
from torchref_kinetic_plugin.workflow.loading import section_problems

#: The provider whose section has a scheme.
_KINETICS = "kinetics"


@final
@dataclass(frozen=True)
class Requests:
    """Makes refinement files of runs.

    Attributes
    ----------
    base : Path
        The refinement file of the campaign; absolute, and so is every path that it names.
    keys : mapping
        What the campaign changes of it in all runs.
    plugins : PluginManager
        Knows the providers.
    """

    base: Path
    keys: Mapping[Key, Any]
    plugins: PluginManager
    common: RefinementFile = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "common", self._read(self.keys))

    def of(self, choices: Sequence[Choice]) -> RefinementFile:
        """The refinement file of a run.

        Raises
        ------
        InputError
            With what the choices make wrong of it.
        """
        keys = dict(self.keys)
        for choice in choices:
            if choice.scheme is not None:
                keys = self._with_scheme(choice.scheme)
        for choice in choices:
            keys |= choice.keys
        found = self._read(keys)
        for choice in choices:
            if choice.factor is not None:
                found = self._read({**keys, (_KINETICS,): _with_factor(self._section(found), choice.factor)})
        return found

    def _read(self, keys: Mapping[Key, Any]) -> RefinementFile:
        return read_refinement_file(
            self.base,
            providers=self.plugins.provider_names(),
            check_section=lambda name, section: section_problems(self.plugins, name, section),
            overrides=keys,
        )

    def _section(self, file: RefinementFile) -> dict[str, Any]:
        if file.refinement.occupancy != _KINETICS:
            raise InputError(
                f"occupancy is {file.refinement.occupancy!r}; schemes and starting rate constants are of the provider "
                f"{_KINETICS!r}"
            )
        return copy.deepcopy(file.provider_section)

    def _with_scheme(self, scheme: Mapping[str, Any]) -> dict[Key, Any]:
        """Keys that put another scheme in the place of the file's, with the structures that its states have."""
        own = {key: value for key, value in scheme.items() if key != "scheme"}
        section = self._section(self.common)
        if "state_mapping" in own:
            # What the other scheme says of structures, it may need for states of its own.
            section["state_mapping"] = {**section.get("state_mapping", {}), **own["state_mapping"]}
        if "scheme" in scheme:
            section = alternative_section(section, scheme["scheme"])
        kept = {key: value for key, value in own.items() if key != "state_mapping"}
        section = {**section, **kept}
        return {**self.keys, (_KINETICS,): section, **self._structures(structures_of(section))}

    def _structures(self, used: set[str]) -> dict[Key, Any]:
        """Keys that leave out structures that no state has."""
        file = self.common
        if used.issuperset(file.structures.names):
            return {}
        table = file.structures.model_dump(exclude_none=True, mode="json")
        if "states" in table:
            table["states"] = [each for each in table["states"] if each["name"] in used]
        for key in ("models", "moving"):
            if key in table:
                table[key] = {name: value for name, value in table[key].items() if name in used}
        if "altlocs" in table:
            table["altlocs"] = {letter: name for letter, name in table["altlocs"].items() if name in used}
        experiments = file.model_dump(by_alias=True, exclude_none=True, mode="json")["experiment"]
        for each in experiments:
            each["states"] = [state for state in each["states"] if state["name"] in used]
        return {("structures",): table, ("experiment",): experiments}


def problems_of(place: str, error: InputError) -> list[Problem]:
    """What a choice makes wrong, at its place in the campaign file.

    Parameters
    ----------
    place : str
        Where the choice stands.
    error : InputError
        What `Requests.of` raised.
    """
    if not isinstance(error, ConfigError):
        return [Problem(place, str(error))]
    key = place.split("[", 1)[0]
    return [
        Problem(place, problem.message if problem.place and key.endswith(f".{problem.place}") else str(problem))
        for problem in error.problems
    ]


def _with_factor(section: dict[str, Any], factor: float) -> dict[str, Any]:
    """A section whose finite starting rate constants are larger by a factor."""
    tables = [section, *section.get("experiments", {}).values()]
    count = 0
    for table in tables:
        rates = table.get("rate_constants", {})
        for name, text in rates.items():
            number = number_of("inf" if text == math.inf else text)
            if 0.0 < number < math.inf:
                rates[name] = f"{number * factor!r} {'/(M s)' if is_second_order(text) else '/s'}"
                count += 1
    if not count:
        raise InputError(
            "there is no finite rate constant to multiply: rates that are left out start where the delays can see "
            "them; give rate_constants in the refinement file, or in the scheme's own table"
        )
    return section
