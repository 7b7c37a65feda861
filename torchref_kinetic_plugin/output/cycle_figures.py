"""How a joint refinement went, and what moved."""

from __future__ import annotations

import math
import re

from matplotlib.figure import Figure

from torchref_kinetic_plugin.plotting.style import colour, new_figure, plain
from torchref_kinetic_plugin.results import SIGNED_KINDS, RefinementResult


def history_figure(result: RefinementResult) -> Figure:
    """Draw, cycle by cycle, likelihoods, restraints, R-free, correlation of differences, and kinetic parameters."""
    figure = new_figure((7.0, 10.5))
    likelihood, restraints, r_free, correlation, kinetics = panels = figure.subplots(5, 1, sharex=True)
    cycles = result.cycles
    numbers = [cycle.number for cycle in cycles]
    for place, (name, values) in enumerate(
        (
            ("validation", [cycle.log_likelihood_validation for cycle in cycles]),
            ("free", [cycle.log_likelihood_free for cycle in cycles]),
        )
    ):
        likelihood.plot(numbers, [v - values[0] for v in values], marker="o", color=colour(place), label=name)
    likelihood.set_ylabel("ln L, less the first")
    names = [name for name in cycles[0].terms if name not in {"data", "kinetics"}]
    for place, name in enumerate(names):
        values = [cycle.terms[name] for cycle in cycles]
        restraints.plot(numbers, values, marker="os^"[place // 7 % 3], color=colour(place), label=name)
    restraints.set_ylabel("restraints")
    restraints.set_yscale("symlog", linthresh=1.0)
    shown = [s for s in result.statistics if s.cycle in {0, *numbers}]
    times = sorted({each.cycle for each in shown})
    for axes, pick in ((r_free, "r_free"), (correlation, "cc_diff_free")):
        # Of datasets that have a value in every cycle: else the mean moves when one comes to have it.
        lacking = {(each.experiment, each.dataset) for each in shown if getattr(each, pick) is None}
        kept = [each for each in shown if (each.experiment, each.dataset) not in lacking]
        means = [_mean([getattr(each, pick) for each in kept if each.cycle == time]) for time in times]
        axes.plot(times, means, marker="o", color=colour(0), label="mean over datasets")
    r_free.set_ylabel("R-free")
    correlation.set_ylabel("correlation of\ndifferences, free")
    # Energies may pass through 0, where a ratio means nothing.
    positive = [p for p in result.parameters if p.refined and p.kind not in SIGNED_KINDS]
    starts = {f"{p.experiment} {p.kind} {p.name}": p for p in positive}
    for place, (name, parameter) in enumerate(starts.items()):
        values = [cycle.parameters[name] / parameter.value for cycle in cycles]
        label = plain(f"{parameter.kind.replace('_', ' ')} {parameter.name}")
        if len({p.experiment for p in positive}) > 1:
            label = plain(f"{parameter.experiment}: ") + label
        kinetics.plot(numbers, values, marker="o", color=colour(place), label=label)
    kinetics.axhline(1.0, color="#666666", linewidth=0.8)
    kinetics.set_ylabel("over the final value")
    kinetics.set_xlabel("cycle")
    kinetics.set_xticks([0, *numbers])
    for axes in panels:
        axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    likelihood.set_title(plain(result.title))
    return figure


def shifts_figure(result: RefinementResult) -> Figure:
    """Draw the r.m.s. displacement of each residue that moves against the reference, with its standard error."""
    forms = list(dict.fromkeys((each.experiment, each.structure) for each in result.shifts))
    several = len({experiment for experiment, _ in forms}) > 1
    residues = sorted({each.residue for each in result.shifts}, key=_order)
    figure = new_figure((max(6.0, 1.5 + 0.28 * len(residues)), 2.0 + 1.8 * len(forms)))
    panels = figure.subplots(len(forms), 1, sharex=True, squeeze=False)[:, 0]
    for axes, form in zip(panels, forms, strict=True):
        own = {each.residue: each for each in result.shifts if (each.experiment, each.structure) == form}
        places = [place for place, residue in enumerate(residues) if residue in own]
        rows = [own[residues[place]] for place in places]
        axes.bar(places, [each.rms for each in rows], color=colour(result.structures.index(form[1])), width=0.7)
        errors = [0.0 if math.isnan(each.std_error) else math.sqrt(3.0) * each.std_error for each in rows]
        axes.errorbar(places, [each.rms for each in rows], yerr=errors, fmt="none", color="#333333", linewidth=0.8)
        axes.set_ylabel(f"{plain(', '.join(form if several else form[1:]))}\nr.m.s. shift, Å")
        axes.set_ylim(bottom=0.0)
    panels[-1].set_xticks(range(len(residues)), [plain(residue) for residue in residues], rotation=90)
    panels[0].set_title(plain(result.title) + "\ndisplacement against the reference", fontsize="medium")
    return figure


def _mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else math.nan


def _order(residue: str) -> tuple[str, int, str]:
    """Chain, number and text of a residue as `ResidueKey` writes it."""
    chain, _, rest = residue.partition("/")
    number = re.search(r"(-?\d+)[A-Za-z]*$", rest)
    return chain, int(number.group(1)) if number else 0, rest
