"""Section on what the intervals are worth: correlations, profiles, resampling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from torchref_kinetic_plugin.output.profile_figure import profile_figure
from torchref_kinetic_plugin.output.report.blocks import Block, Bullets, Cell, Column, Picture, Section, Table, section
from torchref_kinetic_plugin.output.report.material import ReportMaterial
from torchref_kinetic_plugin.output.report.mechanism import kind_text
from torchref_kinetic_plugin.output.report.numbers import NONE, arrows, count, fixed, unit_text, with_interval
from torchref_kinetic_plugin.output.report.pictures import drawn
from torchref_kinetic_plugin.output.resampling_figures import bootstrap_figure
from torchref_kinetic_plugin.plotting.heat_map import heat_map_figure
from torchref_kinetic_plugin.results import BootstrapEstimate, Correlations, Estimate, Profile

Analysed = Profile | BootstrapEstimate


def uncertainty(material: ReportMaterial) -> Section | None:
    """Correlations of the parameters, profile likelihoods, bootstrap."""
    blocks: list[Block] = []
    if (correlations := material.result.correlations) is not None and correlations.labels:
        blocks += [_correlation_picture(correlations), _errors(correlations)]
    if material.profiles:
        blocks += _profiles(material)
    if material.bootstrap:
        blocks += _bootstrap(material)
    return section("Uncertainty", blocks)


def _correlation_picture(correlations: Correlations) -> Picture:
    names = [arrows(label) for label in correlations.labels]
    size = 0.62 if len(names) < 10 else 0.45

    return drawn(
        lambda: heat_map_figure(
            np.array(correlations.matrix),
            names,
            names,
            label="correlation",
            limits=(-1.0, 1.0),
            middle=0.0,
            cell=(max(size, 0.5), 0.42),
        ),
        alternative="Correlations of the refined parameters",
        caption="Correlations of the refined parameters, all others and the scales eliminated. Near ±1 the data "
        "determine a combination of two parameters, not each.",
    )


def _errors(correlations: Correlations) -> Table:
    columns = (
        Column("parameter", number=False),
        Column("standard error, curvature"),
        Column("standard error, sandwich"),
        Column("ratio"),
    )
    rows = []
    for label, plain, robust in zip(correlations.labels, correlations.std_errors, correlations.sandwich, strict=True):
        ratio = robust / plain if plain > 0.0 else float("nan")
        rows.append((Cell(arrows(label)), fixed(plain, 4), fixed(robust, 4), fixed(ratio, 2)))
    note = (
        "Of ln k, of the logit of fractions, of the value of energies. The sandwich, from curvature and scatter of the "
        "scores, holds also where the likelihood's own assumptions do not; a ratio far from 1 says that they do not."
    )
    return Table("Two kinds of standard errors.", columns, tuple(rows), note, "standard-errors")


def _profiles(material: ReportMaterial) -> list[Block]:
    profiles = material.profiles
    titles = _titles(material, profiles)
    picture = drawn(
        lambda: profile_figure(profiles, _by_curvature(material, profiles), _labels(titles, profiles)),
        alternative="Profile likelihoods",
        caption="Profile likelihoods: log-likelihood lost where a parameter is held at a value and all others are "
        "refined anew; dashed, what the curvature alone says. Dotted: 1.92, the loss at the ends of a 95 % interval.",
    )
    note = "An interval is open on a side where the profile does not fall by 1.92."
    table = _compared(material, profiles, "Intervals from profiles beside those of the curvature.", note, "profiles")
    remarks = tuple(
        f"{title}: {remark}" for title, profile in zip(titles, profiles, strict=True) for remark in profile.remarks
    )
    return [picture, table, *([Bullets(remarks)] if remarks else [])]


def _bootstrap(material: ReportMaterial) -> list[Block]:
    estimates = material.bootstrap
    titles = _titles(material, estimates)
    picture = drawn(
        lambda: bootstrap_figure(estimates, _by_curvature(material, estimates), _labels(titles, estimates)),
        alternative="Values from resampled data",
        caption="Parameters from resampled data, and the normal curve of the curvature. Bars: 95 % intervals, of the "
        "percentiles and of the curvature; vertical line: from the data themselves.",
    )
    caption = "Intervals from resampling beside those of the curvature."
    return [picture, _compared(material, estimates, caption, "", "bootstrap")]


def _compared(material: ReportMaterial, rows: Sequence[Analysed], caption: str, note: str, anchor: str) -> Table:
    many = len(material.experiments) > 1
    counted = any(isinstance(each, BootstrapEstimate) for each in rows)
    columns = (
        *([Column("experiment", number=False)] if many else []),
        Column("parameter", number=False),
        Column("", number=False),
        Column("value"),
        Column("95 % interval"),
        Column("by curvature"),
        *([Column("resamplings")] if counted else []),
    )
    cells = []
    for each, own in zip(rows, _by_curvature(material, rows), strict=True):
        value, interval = with_interval(each.value, *_ends(each), each.unit)
        beside = Cell(NONE) if own is None else with_interval(own.value, own.lower, own.upper, own.unit)[1]
        cells.append(
            (
                *([Cell(each.experiment)] if many else []),
                Cell(kind_text(each.kind)),
                Cell(arrows(each.name)),
                value,
                interval,
                beside,
                *([count(len(each.values))] if isinstance(each, BootstrapEstimate) else []),
            )
        )
    return Table(caption, columns, tuple(cells), note, anchor)


def _by_curvature(material: ReportMaterial, rows: Sequence[Analysed]) -> list[Estimate | None]:
    known = {(each.experiment, each.kind, each.name): each for each in material.result.parameters}
    return [known.get((each.experiment, each.kind, each.name)) for each in rows]


def _labels(titles: Sequence[str], rows: Sequence[Analysed]) -> list[str]:
    return [
        title + (f" ({unit_text(each.unit)})" if each.unit else "") for title, each in zip(titles, rows, strict=True)
    ]


def _ends(each: Analysed) -> tuple[float, float]:
    """Ends of an interval, infinite where it is open."""
    return (
        float("-inf") if each.lower is None else each.lower,
        float("inf") if each.upper is None else each.upper,
    )


def _titles(material: ReportMaterial, rows: Sequence[Analysed]) -> list[str]:
    many = len(material.experiments) > 1
    return [(f"{each.experiment}: " if many else "") + f"{kind_text(each.kind)} {arrows(each.name)}" for each in rows]
