"""A campaign as files: ``summary.csv``, ``campaign.json`` and the page ``campaign.html``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torchref_kinetic_plugin.files import write_text
from torchref_kinetic_plugin.output.campaign_figure import ComparedParameter, compared_parameters
from torchref_kinetic_plugin.output.campaign_page import RUN_REPORT, campaign_html
from torchref_kinetic_plugin.output.tables import as_csv
from torchref_kinetic_plugin.results import CampaignResult, CampaignRun

#: First columns of the table; axes and parameters follow. New ones are added after these, none is renamed.
SUMMARY = (
    "run",
    "name",
    "directory",
    "status",
    "error",
    "seconds",
    "converged",
    "n_parameters",
    "n_work",
    "n_free",
    "r_work",
    "r_free",
    "cc_diff_free",
    "log_likelihood_work",
    "log_likelihood_free",
    "draws",
)


def write_campaign(directory: Path, result: CampaignResult) -> None:
    """Write the files into the directory of a campaign, each whole or not at all.

    Raises
    ------
    FileError
        When one cannot be written.
    """
    parameters = compared_parameters(result)
    several = len({each.experiment for each in parameters}) > 1
    columns = [*SUMMARY, *(f"axis {axis}" for axis in result.axes)]
    for each in parameters:
        where = f"{each.experiment} " if several else ""
        name = f"{where}{each.kind} {each.name}" + (f" ({each.unit})" if each.unit else "")
        columns += [name, f"{name} lower", f"{name} upper", f"{name} drawn lower", f"{name} drawn upper"]
    rows = ([*_first(result, run), *_axes(result, run), *_values(parameters, run)] for run in result.runs)
    write_text(directory / "summary.csv", as_csv(columns, rows))
    reports = frozenset(run.number for run in result.runs if (directory / run.directory / RUN_REPORT).is_file())
    write_text(directory / "campaign.html", campaign_html(result, reports))
    # Last, so that who finds it finds everything.
    text = json.dumps(result.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(directory / "campaign.json", text + "\n")


def _first(result: CampaignResult, run: CampaignRun) -> Iterator[Any]:
    error = next((each.error for each in result.failures if (each.number, each.draw) == (run.number, 0)), "")
    yield from (run.number, run.name, run.directory, run.status, " ".join(error.split()), run.seconds)
    found = run.outcome
    if found is None:
        yield from [None] * (len(SUMMARY) - 6)
        return
    yield from (found.converged, found.n_parameters, found.n_observations_work, found.n_observations_free)
    yield from (found.r_work, found.r_free, found.cc_diff_free)
    yield from (found.log_likelihood_work, found.log_likelihood_free, found.n_draws)


def _axes(result: CampaignResult, run: CampaignRun) -> Iterator[str]:
    yield from (run.axes.get(axis, "") for axis in result.axes)


def _values(parameters: tuple[ComparedParameter, ...], run: CampaignRun) -> Iterator[float | None]:
    for each in parameters:
        estimate, spread = each.of(run), each.spread_in(run)
        yield from (None, None, None) if estimate is None else (estimate.value, estimate.lower, estimate.upper)
        yield from (None, None) if spread is None else (spread.lower, spread.upper)
