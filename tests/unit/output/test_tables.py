"""Tables of a result: what stands in ``rates.csv`` beside the rate constant."""

import csv
import io
import math
from types import SimpleNamespace

import pytest

from torchref_kinetic_plugin.output import tables
from torchref_kinetic_plugin.results import Estimate, Validation


def rates_of(tmp_path, *estimates):
    """Rows of ``rates.csv`` of a result with these parameters only."""
    result = SimpleNamespace(parameters=estimates, occupancies=(), statistics=(), validation=Validation(), to_json=dict)
    tables.write_tables(tmp_path, result)
    return list(csv.DictReader(io.StringIO((tmp_path / "rates.csv").read_text())))


def estimate(kind="rate_constant", value=2e6, lower=1e6, upper=4e6):
    return Estimate("298K", kind, "B->C", value, "1/s", 0.35, lower, upper, 1e5, 7e5)


def test_time_constants_stand_at_the_end_with_their_intervals(tmp_path):
    (row,) = rates_of(tmp_path, estimate())
    assert list(row)[-4:] == ["std_error", "tau_s", "tau_lower", "tau_upper"]
    assert float(row["tau_s"]) == pytest.approx(5e-7)
    assert float(row["tau_lower"]) == pytest.approx(2.5e-7)
    assert float(row["tau_upper"]) == pytest.approx(1e-6)


def test_a_rate_that_may_be_none_may_last_for_ever(tmp_path):
    (row,) = rates_of(tmp_path, estimate(lower=0.0, upper=math.inf))
    assert float(row["tau_lower"]) == 0.0
    assert math.isinf(float(row["tau_upper"]))


def test_what_is_no_rate_constant_or_not_refined_has_none(tmp_path):
    rows = rates_of(tmp_path, estimate("efficiency", 0.3, 0.2, 0.4), estimate(lower=None, upper=None))
    assert [rows[0][name] for name in ("tau_s", "tau_lower", "tau_upper")] == ["", "", ""]
    assert [rows[1][name] for name in ("tau_s", "tau_lower", "tau_upper")] == ["5e-07", "", ""]
