"""A result as files: ``result.json``, and as tables what it holds of rates, occupancies, agreement and validation."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

from torchref_kinetic_plugin.files import write_text
from torchref_kinetic_plugin.results import Estimate, RefinementResult

#: Columns of each table; new ones are added at the end, none is renamed.
RATES = (
    "experiment",
    "kind",
    "name",
    "value",
    "unit",
    "std_error_ln",
    "lower",
    "upper",
    "start",
    "std_error",
    "tau_s",
    "tau_lower",
    "tau_upper",
)
OCCUPANCIES = ("experiment", "timepoint", "time_s", "structure", "occupancy", "lower", "upper")
STATISTICS = (
    "experiment",
    "dataset",
    "cycle",
    "n_work",
    "n_free",
    "r_work",
    "r_free",
    "cc_diff_work",
    "cc_diff_free",
)
LEFT_OUT = ("experiment", "timepoint", "n_reflections", "cc_left_out", "cc_included", "log_likelihood")
FREE_OCCUPANCIES = ("experiment", "timepoint", "structure", "occupancy", "std_error")
SCHEME_TESTS = ("experiment", "timepoint", "statistic", "freedom", "p_value")
NULL_TESTS = ("experiment", "dataset", "excited", "std_error")


def write_tables(directory: Path, result: RefinementResult) -> list[Path]:
    """Write the files into a directory, each whole or not at all; tables of validation without a row where none is.

    Raises
    ------
    FileError
        When one cannot be written.
    """
    contents = {
        "rates.csv": as_csv(RATES, ((*astuple(each), *_time_constant(each)) for each in result.parameters)),
        "occupancies.csv": as_csv(
            OCCUPANCIES,
            (
                (o.experiment, o.timepoint, o.time_s, o.structure, o.occupancy, o.lower, o.upper)
                for o in result.occupancies
            ),
        ),
        "statistics.csv": as_csv(STATISTICS, (astuple(each) for each in result.statistics)),
        "left_out.csv": as_csv(LEFT_OUT, (astuple(each) for each in result.validation.left_out)),
        "free_occupancies.csv": as_csv(
            FREE_OCCUPANCIES, (astuple(each) for each in result.validation.free_occupancies)
        ),
        "scheme_tests.csv": as_csv(SCHEME_TESTS, (astuple(each) for each in result.validation.scheme_tests)),
        "null_tests.csv": as_csv(NULL_TESTS, (astuple(each) for each in result.validation.null_tests)),
        # The last: who finds it finds the others.
        "result.json": json.dumps(result.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    }
    for name, text in contents.items():
        write_text(directory / name, text)
    return [directory / name for name in contents]


def _time_constant(each: Estimate) -> tuple[float | None, float | None, float | None]:
    """1/k of a rate constant with its 95 % interval, s."""
    if each.kind != "rate_constant":
        return None, None, None
    if each.upper is None or each.lower is None:
        return 1.0 / each.value, None, None
    return 1.0 / each.value, 1.0 / each.upper, 1.0 / each.lower if each.lower > 0.0 else math.inf


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Text of a table; numbers with ten digits, nothing where there is no value."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return buffer.getvalue()


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)
