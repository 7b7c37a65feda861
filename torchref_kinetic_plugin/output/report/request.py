"""Sections on what was asked, and on what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from torchref_kinetic_plugin.output.report.blocks import Cell, Column, Section, Table, Terms, section
from torchref_kinetic_plugin.output.report.material import ReportMaterial
from torchref_kinetic_plugin.output.report.numbers import arrows, count, delay_text, fixed, time_text

#: Keys of an experiment that say under which condition it was measured, with what stands behind the value.
_CONDITIONS = {"temperature": " K", "temperature_before": " K before", "concentration": "", "pump_energy": ""}


def asked(material: ReportMaterial) -> Section | None:
    """What was asked: scheme, provider, what is refined, resolution, structures and data."""
    result, asked = material.result, material.asked
    own: Mapping[str, Any] = asked.get(result.provider, {})
    terms: list[tuple[str, tuple[str, ...]]] = [("Occupancies from", (result.provider,))]
    if isinstance(scheme := own.get("scheme"), str):
        said = "the trigger acts once" if own.get("light_activated") else ""
        terms.append(("Scheme", tuple(filter(None, (arrows(scheme.replace(",", ",  ")), said)))))
    if isinstance(mapping := own.get("state_mapping"), Mapping):
        terms.append(("States", (",  ".join(f"{state}: {structure}" for state, structure in mapping.items()),)))
    terms.append(("Refined", (", ".join(result.refined),)))
    terms.append(("Resolution", (_limits(asked.get("refinement", {})),)))
    terms.append(("Structures", tuple(_structures(material))))
    terms += [(f"Experiment {each.get('name', '')}", tuple(_experiment(each))) for each in asked.get("experiment", ())]
    return section("What was asked", [Terms(tuple(terms))])


def data(material: ReportMaterial) -> Section | None:
    """The data table."""
    rows = material.result.datasets
    many = len(material.experiments) > 1
    columns = (
        *([Column("experiment", number=False)] if many else []),
        Column("dataset", number=False),
        Column("delay"),
        Column("file", number=False),
        Column("reflections"),
        Column("resolution", "Å"),
        Column("complete", "%"),
        Column("R to reference"),
        Column("ΔF / σ(ΔF)"),
    )
    cells = tuple(
        (
            *([Cell(row.experiment)] if many else []),
            Cell(row.name),
            Cell("reference" if row.time_s is None else delay_text(row.time_s), row.time_s),
            Cell(PurePath(row.file).name),
            count(row.n_reflections),
            Cell(f"{row.d_max:.1f}–{row.d_min:.2f}", row.d_min),
            fixed(row.completeness, 1, factor=100.0),
            fixed(row.r_reference, 3),
            fixed(row.difference_over_sigma, 2),
        )
        for row in rows
    )
    note = (
        "R to reference: of the scaled amplitudes against those of the first reference. ΔF / σ(ΔF): robust r.m.s. of "
        "the difference to the first reference over its standard deviation; 1 where there is nothing but errors of "
        "measurement."
    )
    table = Table("What was measured.", columns, cells, note, "data-table")
    return section("Data", [table] if rows else [])


def _limits(refinement: Mapping[str, Any]) -> str:
    low, high = refinement.get("d_max"), refinement.get("d_min")
    if low is None and high is None:
        return "all data"
    first = "all low-resolution data" if low is None else f"{low:g} Å"
    return f"{first} to {high:g} Å" if high is not None else f"{first} to the limit of the data"


def _structures(material: ReportMaterial) -> list[str]:
    asked: Mapping[str, Any] = material.asked.get("structures", {})
    files = {state["name"]: state["file"] for state in asked.get("states", ())}
    if not files:
        together = ", ".join(material.result.structures)
        return [f"{together}, of {PurePath(str(asked['file'])).name}"] if "file" in asked else [together]
    return [f"{name}: {PurePath(str(file)).name}" for name, file in files.items()]


def _experiment(experiment: Mapping[str, Any]) -> list[str]:
    conditions = [
        f"{value:g}{tail}" if isinstance(value := experiment[key], float | int) else f"{value}{tail}"
        for key, tail in _CONDITIONS.items()
        if key in experiment
    ]
    references = len(experiment.get("references", ()))
    points = [point["time"] for point in experiment.get("timepoints", ())]
    lines = [", ".join(conditions)] if conditions else []
    if references:
        lines.append(f"{references} dataset{'s' if references > 1 else ''} without the trigger")
    lines.append(f"{len(points)} timepoint{'s' if len(points) > 1 else ''}: {', '.join(map(_time, points))}")
    return lines


def _time(text: object) -> str:
    if text in {"inf", math.inf}:
        return time_text(math.inf)
    return str(text).replace("us", "µs")
