"""From a campaign file to its runs, each with a refinement file of its own and an address."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from torchref_kinetic_plugin.campaign.address import Digests, address_of
from torchref_kinetic_plugin.campaign.axes import Choice, Row, axes_of, size_of, table_of
from torchref_kinetic_plugin.campaign.requests import Requests, problems_of
from torchref_kinetic_plugin.config import ConfigError, Problem, RefinementFile
from torchref_kinetic_plugin.config.campaign import CampaignFile, read_campaign_file, require_no_problems
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.workflow.loaded import input_files

#: Runs of a table, at most: a slip in an axis should not fill a disk.
LARGEST = 10_000
#: Digits of the address in a directory's name.
_DIGITS = 16
#: Problems of runs that are told one by one.
_TOLD = 20


@final
@dataclass(frozen=True)
class PlannedRun:
    """One run of the table.

    Attributes
    ----------
    number : int
        In the table, from 1.
    row : Row
        Its place in the table.
    request : RefinementFile
        What is refined.
    address : str
        What it is computed from.
    inputs : tuple of (file, digest)
        Every file that it names, with the SHA-256 of its content.
    """

    number: int
    row: Row
    request: RefinementFile
    address: str
    inputs: tuple[tuple[str, str], ...]

    @property
    def directory_name(self) -> str:
        """Of its directory among the runs."""
        return self.address[:_DIGITS]


@final
@dataclass(frozen=True)
class Plan:
    """A campaign as it is asked for.

    Attributes
    ----------
    file : CampaignFile
        What was read.
    directory : Path
        Where everything is written.
    axes : tuple of str
        Columns of the table.
    runs : tuple of PlannedRun
        In the order of the table.
    builtin_only : bool
        Whether installed plugins are left out.
    """

    file: CampaignFile
    directory: Path
    axes: tuple[str, ...]
    runs: tuple[PlannedRun, ...]
    builtin_only: bool


def plan_campaign(
    path: str | os.PathLike[str], *, output: str | os.PathLike[str] | None = None, builtin_only: bool = False
) -> Plan:
    """Read a campaign file and draw up its table.

    Parameters
    ----------
    path : path
        The campaign file.
    output : path, optional
        Directory that stands in for the file's.
    builtin_only : bool
        Whether installed plugins are left out.

    Raises
    ------
    InputError
        With everything that is wrong with the file, or with the refinement file that it names.
    """
    plugins = PluginManager(builtin_only=builtin_only)
    file, problems = read_campaign_file(path)
    source = Path(path)
    if file is None:
        raise ConfigError(repr(str(source)), problems)
    try:
        # Alone first: what is wrong with it is no fault of the campaign file.
        Requests(file.refinement, {}, plugins)
    except InputError as error:
        require_no_problems(source, problems)
        raise InputError(f"{str(source)!r}: refinement: {error}") from error
    if (size := size_of(file)) > LARGEST:
        problems.append(Problem("", f"the table has {size:,} runs; at most {LARGEST:,} are allowed"))
        require_no_problems(source, problems)
    requests, wrong = _choices_tried(file, plugins)
    problems += wrong
    require_no_problems(source, problems)
    assert requests is not None
    runs, wrong = _runs(file, requests, plugins)
    require_no_problems(source, wrong)
    columns = dict.fromkeys(axis for run in runs for axis in run.row.labels)
    directory = file.directory if output is None else Path(output).absolute()
    return Plan(file, directory, tuple(columns), tuple(runs), builtin_only)


def _choices_tried(file: CampaignFile, plugins: PluginManager) -> tuple[Requests | None, list[Problem]]:
    """Each choice on its own, so that a wrong one is told once and at its place."""
    try:
        requests = Requests(file.refinement, file.keys, plugins)
    except InputError as error:
        return None, problems_of("set", error)
    problems: list[Problem] = []
    axes = axes_of(file)
    for number, axis in enumerate(axes):
        others = [each[0] for each in (*axes[:number], *axes[number + 1 :])]
        for choice in axis:
            alone = _refused(requests, [choice])
            # A choice may need one of another axis, as a rate needs the scheme that has it.
            if alone is not None and _refused(requests, [choice, *others]) is not None:
                problems += problems_of(choice.place, alone)
    for number, row in enumerate((row for row in table_of(file) if row.name), 1):
        if (refused := _refused(requests, row.choices)) is not None:
            problems += problems_of(f"run[{number}]", refused)
    return requests, problems


def _refused(requests: Requests, choices: Sequence[Choice]) -> InputError | None:
    try:
        requests.of(choices)
    except InputError as error:
        return error
    return None


def _runs(file: CampaignFile, requests: Requests, plugins: PluginManager) -> tuple[list[PlannedRun], list[Problem]]:
    digests = Digests()
    runs: list[PlannedRun] = []
    refused: dict[str, list[str]] = {}
    for number, row in enumerate(table_of(file), 1):
        try:
            request = requests.of(row.choices)
        except InputError as error:
            for problem in problems_of("", error):
                refused.setdefault(str(problem), []).append(f"run {number} ({row.text})")
            continue
        inputs = tuple((str(each), digests.of(each)) for each in input_files(request))
        runs.append(PlannedRun(number, row, request, address_of(request, plugins, digests), inputs))
    problems = [Problem(_first_of(places), message) for message, places in refused.items()] + _same(runs)
    if len(problems) > _TOLD:
        problems = [*problems[:_TOLD], Problem("", f"and {len(problems) - _TOLD} more")]
    return runs, problems


def _first_of(places: Sequence[str]) -> str:
    others = len(places) - 1
    return places[0] + (f" and {others} other{'s' if others > 1 else ''}" if others else "")


def _same(runs: Sequence[PlannedRun]) -> list[Problem]:
    """Runs that are one: they would be computed once and look like two."""
    counts = Counter(run.address for run in runs)
    first: dict[str, PlannedRun] = {}
    found = []
    for run in runs:
        if counts[run.address] > 1 and first.setdefault(run.address, run) is not run:
            other = first[run.address]
            found.append(
                Problem(
                    f"run {run.number} ({run.row.text})",
                    f"is the same refinement as run {other.number} ({other.row.text})",
                )
            )
    return found
