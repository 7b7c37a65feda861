"""Section on the mechanism: the scheme with its time constants, and the parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from torchref_kinetic_plugin.output.report.blocks import Block, Cell, Column, Picture, Section, Table, section
from torchref_kinetic_plugin.output.report.material import ReportMaterial
from torchref_kinetic_plugin.output.report.numbers import arrows, with_interval
from torchref_kinetic_plugin.output.report.pictures import drawn, from_file
from torchref_kinetic_plugin.plotting import DrawnTransition, scheme_figure
from torchref_kinetic_plugin.results import ALL_EXPERIMENTS, SIGNED_KINDS, Estimate
from torchref_kinetic_plugin.scheme import parse_flow_chart

_KINDS = {
    "efficiency": "yield",
    "parameter": "raw parameter",
    "activation_gibbs_energy": "activation Gibbs energy",
    "second_order_rate_constant": "second-order rate constant",
}
#: Kinds that say how rates depend on temperature, and the picture of it among the plots, with its width on the page.
_LAWS = frozenset({"activation_energy", "activation_enthalpy"})
_LAW_PICTURE, _LAW_WIDTH = "plots/rate_laws.svg", 620


def mechanism(material: ReportMaterial) -> Section | None:
    """Drawings of the scheme, one for each experiment, the table of all parameters, and laws of temperature."""
    blocks: list[Block] = [*_drawings(material)]
    shown = [each for each in material.result.parameters if not _says_nothing(each)]
    if shown:
        blocks.append(_table(material, shown))
    if any(each.kind in _LAWS for each in shown):
        picture = from_file(
            material.directory / _LAW_PICTURE,
            alternative="Rate constants against reciprocal temperature",
            caption="Rate constants against reciprocal temperature, the law with its 95 % band.",
            width=_LAW_WIDTH,
        )
        blocks += [] if picture is None else [picture]
    return section("Mechanism", blocks)


def kind_text(kind: str) -> str:
    """A kind of parameter in words."""
    return _KINDS.get(kind, kind.replace("_", " "))


def time_constant(each: Estimate) -> tuple[float, float | None, float | None]:
    """The time constant 1/k of a rate constant, s, and its interval: that of k, inverted."""
    tau = math.inf if each.value == 0.0 else 1.0 / each.value
    if each.lower is None or each.upper is None:
        return tau, None, None
    return tau, 1.0 / each.upper if each.upper else math.inf, 1.0 / each.lower if each.lower else math.inf


def undetermined(each: Estimate) -> bool:
    """Whether it was refined and the data do not determine it."""
    spread = each.std_error if each.kind in SIGNED_KINDS else each.std_error_ln
    return each.refined and spread is not None and not math.isfinite(spread)


def _shown(each: Estimate, value: float, lower: float | None, upper: float | None, unit: str) -> tuple[Cell, Cell]:
    """A value that belongs to an estimate, with its interval, or the words that there is none."""
    if undetermined(each):
        return with_interval(value, None, None, unit)[0], Cell("not determined")
    return with_interval(value, lower, upper, unit)


def _says_nothing(each: Estimate) -> bool:
    """Whether nobody asked for it: a yield of 1 that was not refined."""
    return each.kind == "efficiency" and not each.refined and each.value == 1.0


def _table(material: ReportMaterial, rows: Sequence[Estimate]) -> Table:
    many = len(material.experiments) > 1
    columns = (
        *([Column("experiment", number=False)] if many else []),
        Column("parameter", number=False),
        Column("", number=False),
        Column("value"),
        Column("95 % interval"),
        Column("τ = 1/k"),
        Column("its interval"),
        Column("start"),
    )
    cells = []
    for each in rows:
        value, interval = _shown(each, each.value, each.lower, each.upper, each.unit)
        tau, tau_interval = Cell(""), Cell("")
        if each.kind == "rate_constant":
            tau, tau_interval = _shown(each, *time_constant(each), "s")
        start, _ = with_interval(each.start, None, None, each.unit)
        where = [Cell("all" if each.experiment == ALL_EXPERIMENTS else each.experiment)] if many else []
        cells.append(
            (*where, Cell(kind_text(each.kind)), Cell(arrows(each.name)), value, interval, tau, tau_interval, start)
        )
    note = (
        "Intervals hold 95 %: symmetric in ln k for rate constants, in the logit for yields. The yield of a "
        "transition is the fraction of what leaves the source that arrives; those fixed at 1 are not listed."
    )
    return Table("Rate constants, yields and other parameters.", columns, tuple(cells), note, "parameters")


def _drawings(material: ReportMaterial) -> list[Picture]:
    own: Mapping[str, Any] = material.asked.get(material.result.provider, {})
    if material.result.provider != "kinetics" or not isinstance(text := own.get("scheme"), str):
        return []
    chart = parse_flow_chart(text)
    many = len(material.experiments) > 1
    pictures = []
    for experiment in material.experiments:
        known = {
            (each.kind, each.name): each
            for each in material.result.parameters
            if each.experiment in {experiment, ALL_EXPERIMENTS}
        }
        transitions = [
            DrawnTransition(step.source, step.target, _label(step.name, known)) for step in chart.transitions
        ]
        initial = str(own.get("initial_state", chart.states[0]))

        def draw(transitions: list[DrawnTransition] = transitions, initial: str = initial) -> Figure:
            return scheme_figure(chart.states, transitions, initial=initial)

        where = f", {experiment}" if many else ""
        caption = (
            f"The scheme{where}: time constants, yields below 100 %, and their 95 % intervals. {initial} is filled: "
        )
        caption += "the state before the trigger."
        spoken = "; ".join(f"{arrows(each.source + '->' + each.target)}: {each.label}" for each in transitions)
        pictures.append(drawn(draw, alternative=f"Kinetic scheme{where}. {spoken}", caption=caption, trimmed=True))
    return pictures


def _label(name: str, known: Mapping[tuple[str, str], Estimate]) -> str:
    rate, fraction = known.get(("rate_constant", name)), known.get(("efficiency", name))
    lines = ["by the trigger"]
    if rate is not None:
        value, interval = _shown(rate, *time_constant(rate), "s")
        lines = [value.text, interval.text]
    if fraction is not None and not _says_nothing(fraction):
        ends = [None if end is None else 100.0 * end for end in (fraction.lower, fraction.upper)]
        value, interval = _shown(fraction, 100.0 * fraction.value, ends[0], ends[1], "%")
        lines += [value.text, interval.text if fraction.refined else ""]
    return "\n".join(filter(None, lines))
