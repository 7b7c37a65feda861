"""What the plugin tells of a refinement: a section of the report, and a table of its history."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from scipy.special import digamma, expit

from torchref_kinetic_plugin.plugins import ReportSection
from torchref_kinetic_plugin.results import Estimate, RefinementResult
from torchref_kinetic_plugin.scheme import format_time

#: Standard errors in half a 95 % interval.
_95 = 1.959963984540054
#: A logarithm that is known no better than this is not determined by the data.
_UNKNOWN = 10.0

TEXT = """\
The second structure is occupied yield exp(-(t / tau)^beta) at a delay t. The mean relaxation time is the area under
exp(-(t / tau)^beta), tau Gamma(1 + 1 / beta). A beta of 1 is one exponential, below 1 a spread of rate constants, above
1 a relaxation that sets in late.

Intervals are 95 %, symmetric in ln tau, ln beta and the logit of the yield. That of the mean relaxation time is the
widest that any correlation of tau and beta can make, to first order."""


def sections(result: RefinementResult) -> list[ReportSection]:
    """One section with the parameters of every experiment; none for a refinement with another provider."""
    if result.provider != "stretched":
        return []
    experiments = dict.fromkeys(each.experiment for each in result.parameters)
    rows = [(experiment, *row) for experiment in experiments for row in _rows(result, experiment)]
    columns = ("experiment", "quantity", "value", "95 % interval")
    return [ReportSection("Stretched exponential relaxation", TEXT, columns, tuple(rows))]


def _rows(result: RefinementResult, experiment: str) -> list[tuple[str, str, str]]:
    tau, beta, excited = (
        result.parameter("parameter", name, experiment) for name in ("ln_tau", "ln_beta", "logit_yield")
    )
    exponent = 1.0 / math.exp(beta.value)
    ln_mean = tau.value + math.lgamma(1.0 + exponent)
    # Of ln(tau Gamma(1 + 1 / beta)) by ln tau and by ln beta.
    half = _half(tau) + abs(exponent * float(digamma(1.0 + exponent))) * _half(beta)

    def time(logarithm: float) -> str:
        return format_time(math.exp(logarithm))

    def number(logarithm: float) -> str:
        return f"{math.exp(logarithm):.3f}"

    def share(logit: float) -> str:
        return f"{expit(logit):.3f}"

    return [
        (quantity, show(value), _interval(value, width, show))
        for quantity, value, width, show in (
            ("tau", tau.value, _half(tau), time),
            ("beta", beta.value, _half(beta), number),
            ("yield", excited.value, _half(excited), share),
            ("mean relaxation time", ln_mean, half, time),
        )
    ]


def _half(estimate: Estimate) -> float:
    """Half the 95 % interval of a raw parameter; 0 for one that was not refined."""
    if estimate.lower is None or estimate.upper is None:
        return 0.0
    return 0.5 * (estimate.upper - estimate.lower)


def _interval(value: float, half: float, show: Any) -> str:
    if half == 0.0:
        return "not refined"
    if not half < _95 * _UNKNOWN:
        return "not determined"
    return f"{show(value - half)} to {show(value + half)}"


#: Name of the table of the history.
HISTORY = "stretched.csv"
COLUMNS = ("stage", "experiment", "tau_s", "beta", "yield")


def begin_history(run: Any) -> None:
    """Write the head of the table and the starting values."""
    if path := _history(run):
        with path.open("w", newline="") as file:
            csv.writer(file).writerow(COLUMNS)
        add_to_history(run, "start")


def add_to_history(run: Any, stage: str) -> None:
    """Append the present parameters of every experiment."""
    if path := _history(run):
        with path.open("a", newline="") as file:
            for name, module in zip(run.provider.names, run.provider.modules_by_experiment, strict=True):
                numbers = (f"{each.item():.6g}" for each in (module.tau, module.beta, module.excited))
                csv.writer(file).writerow((stage, name, *numbers))


def _history(run: Any) -> Path | None:
    """The table's place in the output directory, or None: plugins hear of every refinement, whosoever's provider."""
    if run.provider.provider != "stretched":
        return None
    directory: Path = run.loaded.file.output.directory
    return directory / HISTORY
