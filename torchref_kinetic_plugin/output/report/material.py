"""What a report is made of, and where it lies in an output directory."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from torchref_kinetic_plugin.errors import FileError
from torchref_kinetic_plugin.files import read_bytes, write_text
from torchref_kinetic_plugin.plugins import ReportSection
from torchref_kinetic_plugin.results import (
    BootstrapEstimate,
    Estimate,
    Profile,
    RefinementResult,
    read_list,
    read_result,
)

#: Names of the files in an output directory.
RESULT, REQUEST, SECTIONS = "result.json", "refinement.toml", "sections.json"
PROFILES, BOOTSTRAP = "profiles.json", "bootstrap.json"
#: Standard errors by which a profile's or bootstrap's value may differ from that of the result that it belongs to.
_SAME = 0.2


@final
@dataclass(frozen=True, eq=False)
class ReportMaterial:
    """Everything that a report shows.

    Attributes
    ----------
    result : RefinementResult
        What was found.
    request : str
        The refinement file as it was understood, TOML.
    directory : Path
        Where the pictures are.
    sections : tuple of ReportSection
        Of plugins.
    profiles : tuple of Profile
        Made after the refinement.
    bootstrap : tuple of BootstrapEstimate
        Likewise.
    remarks : tuple of str
        What a reader of the report has to know beside the result's own remarks.
    """

    result: RefinementResult
    request: str
    directory: Path
    sections: tuple[ReportSection, ...] = ()
    profiles: tuple[Profile, ...] = ()
    bootstrap: tuple[BootstrapEstimate, ...] = ()
    remarks: tuple[str, ...] = ()
    asked: Mapping[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "asked", tomllib.loads(self.request))

    @property
    def experiments(self) -> tuple[str, ...]:
        """Names of the experiments, in the order of the refinement file."""
        return tuple(dict.fromkeys(each.experiment for each in self.result.statistics))

    @property
    def last_cycle(self) -> int:
        """Number of the last cycle, that of the result."""
        return max((each.cycle for each in self.result.statistics), default=0)


def material_of(result: RefinementResult, directory: Path) -> ReportMaterial:
    """What a refinement that has just ended shows; what was made of an earlier result stays out.

    Raises
    ------
    FileError
        When a file of the output directory cannot be read.
    """
    return ReportMaterial(result, _request(directory), directory, _sections(directory))


def read_material(directory: Path) -> ReportMaterial:
    """What a finished output directory has to show, profiles and bootstrap among it where they are there.

    Raises
    ------
    FileError
        When it has no result, or a file of it cannot be read.
    """
    if not (directory / RESULT).is_file():
        raise FileError(f"{str(directory)!r} has no {RESULT}; a report is made of the output directory of a refinement")
    result = read_result(directory / RESULT)
    remarks: list[str] = []
    profiles: tuple[Profile, ...] = ()
    bootstrap: tuple[BootstrapEstimate, ...] = ()
    if (directory / PROFILES).is_file():
        profiles = read_list(directory / PROFILES, Profile, key="profiles")
    if (directory / BOOTSTRAP).is_file():
        bootstrap = read_list(directory / BOOTSTRAP, BootstrapEstimate, key="estimates")
    if strangers := _of_another_result(result, profiles):
        remarks.append(f"{PROFILES} belongs to another result ({', '.join(strangers)}) and is not shown")
        profiles = ()
    if strangers := _of_another_result(result, bootstrap):
        remarks.append(f"{BOOTSTRAP} belongs to another result ({', '.join(strangers)}) and is not shown")
        bootstrap = ()
    return ReportMaterial(
        result, _request(directory), directory, _sections(directory), profiles, bootstrap, tuple(remarks)
    )


def write_sections_for_report(sections: Sequence[ReportSection], directory: Path) -> None:
    """Keep what plugins add, so that the report can be made again; remove what an earlier run left.

    Raises
    ------
    FileError
        When the file cannot be written.
    """
    if sections:
        text = json.dumps([dataclasses.asdict(each) for each in sections], indent=1, ensure_ascii=False)
        write_text(directory / SECTIONS, text + "\n")
    else:
        (directory / SECTIONS).unlink(missing_ok=True)


def _request(directory: Path) -> str:
    return read_bytes(directory / REQUEST).decode()


def _sections(directory: Path) -> tuple[ReportSection, ...]:
    return read_list(directory / SECTIONS, ReportSection) if (directory / SECTIONS).is_file() else ()


def _of_another_result(result: RefinementResult, rows: Sequence[Profile | BootstrapEstimate]) -> list[str]:
    """Names of those whose best value is not that of the result."""
    known = {(each.experiment, each.kind, each.name): each for each in result.parameters}
    return [row.name for row in rows if not _belongs(row, known.get((row.experiment, row.kind, row.name)))]


def _belongs(row: Profile | BootstrapEstimate, estimate: Estimate | None) -> bool:
    if estimate is None:
        return False
    allowed = 1e-6 * abs(estimate.value)
    if estimate.std_error is not None:
        allowed = max(allowed, _SAME * estimate.std_error)
    return abs(row.value - estimate.value) <= allowed
