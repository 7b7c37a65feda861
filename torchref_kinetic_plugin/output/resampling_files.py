"""Profiles, bootstrap and starts as files: JSON, CSV, figures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from torchref_kinetic_plugin.files import make_inner_directory, write_text
from torchref_kinetic_plugin.output.panels import labels_of
from torchref_kinetic_plugin.output.profile_figure import profile_figure
from torchref_kinetic_plugin.output.resampling_figures import bootstrap_figure, waterfall_figure
from torchref_kinetic_plugin.output.tables import as_csv
from torchref_kinetic_plugin.plotting import save
from torchref_kinetic_plugin.results import BootstrapReport, ProfileReport, StartReport

#: Columns of each table; new ones are added at the end, none is renamed.
PROFILES = ("experiment", "kind", "name", "unit", "best", "lower", "upper", "value", "drop")
BOOTSTRAP = ("experiment", "kind", "name", "unit", "value", "lower", "upper", "std_error_ln", "draw", "drawn")
STARTS = ("start", "objective", "converged", "minimum", "experiment", "kind", "name", "unit", "started", "value")


def write_profiles(directory: Path, report: ProfileReport) -> None:
    """Write ``profiles.json``, ``profiles.csv`` (a row for each point) and ``plots/profiles``.

    Raises
    ------
    FileError
        When one cannot be written.
    """
    rows = (
        (each.experiment, each.kind, each.name, each.unit, each.value, each.lower, each.upper, point.value, point.drop)
        for each in report.profiles
        for point in each.points
    )
    figure = profile_figure(report.profiles, report.by_curvature, labels_of(report.profiles), report.title)
    _write(directory, "profiles", report.to_json(), as_csv(PROFILES, rows), "profiles", figure)


def write_bootstrap(directory: Path, report: BootstrapReport) -> None:
    """Write ``bootstrap.json``, ``bootstrap.csv`` (a row for each draw) and ``plots/bootstrap``; errors as above."""
    rows = (
        (*identity, each.value, each.lower, each.upper, each.std_error_ln, number, value)
        for each in report.estimates
        for identity in [(each.experiment, each.kind, each.name, each.unit)]
        for number, value in zip(report.numbers, each.values, strict=True)
    )
    kind = "intensities drawn from the model" if report.parametric else "reflections drawn from the data"
    title = f"{report.title}: {len(report.numbers)} times {kind}"
    figure = bootstrap_figure(report.estimates, report.by_curvature, labels_of(report.estimates), title)
    _write(directory, "bootstrap", report.to_json(), as_csv(BOOTSTRAP, rows), "bootstrap", figure)


def write_starts(directory: Path, report: StartReport) -> None:
    """Write ``starts.json``, ``starts.csv`` (a row for each parameter) and ``plots/waterfall``; errors as above."""

    def rows() -> Iterator[tuple[Any, ...]]:
        for each in report.outcomes:
            for parameter, start, value in zip(report.parameters, each.start, each.values, strict=True):
                identity = parameter.experiment, parameter.kind, parameter.name, parameter.unit
                yield each.number, each.objective, each.converged, each.minimum, *identity, start, value

    _write(directory, "starts", report.to_json(), as_csv(STARTS, rows()), "waterfall", waterfall_figure(report))


def _write(directory: Path, name: str, content: dict[str, Any], table: str, plot: str, figure: Figure) -> None:
    plots = directory / "plots"
    make_inner_directory(plots)
    for suffix in (".png", ".svg"):
        save(figure, plots / f"{plot}{suffix}")
    write_text(directory / f"{name}.csv", table)
    # Last, so that who finds it finds everything.
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(directory / f"{name}.json", text + "\n")
