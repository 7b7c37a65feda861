"""The real temperature-jump series of lysozyme, where the data are."""

import json
from pathlib import Path

import pytest

from torchref_kinetic_plugin import check, refine

DATA = Path(__file__).parents[3] / "shared" / "data" / "hewl_tjump"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no {DATA}")


def write_file(directory, *, timepoints="light", d_min=None):
    """A refinement file of three delays; ``dark2`` in place of ``light`` is the null test."""
    data = DATA.as_posix()
    limit = "" if d_min is None else f"d_min = {d_min}\n"
    path = directory / "refinement.toml"
    path.write_text(
        f"""
title = "Lysozyme, temperature jump"
[refinement]
occupancy = "kinetics"
{limit}[structures]
states = [
    {{name = "laser_off", file = "{data}/laser_off.pdb"}},
    {{name = "light_20ns", file = "{data}/light_20ns.pdb"}},
    {{name = "light_200us", file = "{data}/light_200us.pdb"}},
]
[[experiment]]
name = "apo"
references = ["{data}/apo_20ns_dark1.mtz", "{data}/apo_20us_dark1.mtz", "{data}/apo_200us_dark1.mtz"]
timepoints = [
    {{time = "20 ns", file = "{data}/apo_20ns_{timepoints}.mtz"}},
    {{time = "20 us", file = "{data}/apo_20us_{timepoints}.mtz"}},
    {{time = "200 us", file = "{data}/apo_200us_{timepoints}.mtz"}},
]
[kinetics]
scheme = "off->hot,hot->relaxed,relaxed->off"
light_activated = true
state_mapping = {{off = "laser_off", hot = "light_20ns", relaxed = "light_200us"}}
rate_constants = {{"off->hot" = "inf"}}
efficiencies = {{"off->hot" = 0.3}}
refine_efficiencies = ["off->hot"]
[output]
directory = "refined"
maps = false
plots = false
"""
    )
    return path


def test_check_finds_what_is_odd_about_the_files(tmp_path):
    report = check(write_file(tmp_path, d_min=2.2))
    warnings = "\n".join(report.warnings)
    assert "named the other way round than in laser_off" in warnings
    assert "no restraints for ACT" in warnings
    assert "cell differs" in "\n".join(report.notes)
    assert [row.time_s for row in report.datasets][:3] == [None, None, None]
    references = [row for row in report.datasets if row.time_s is None][1:]
    timepoints = [row for row in report.datasets if row.time_s is not None]
    # The sets differ from the reference by more than their errors where the laser was on.
    assert all(0.7 < row.difference_over_sigma < 1.4 for row in references)
    assert timepoints[0].difference_over_sigma > max(row.difference_over_sigma for row in references)


def test_it_refines_to_the_end(tmp_path):
    result = refine(write_file(tmp_path, d_min=2.0))
    assert {each.dataset for each in result.statistics} >= {"apo_20ns_dark1", "20_ns", "20_us", "200_us"}
    last = {each.dataset: each for each in result.statistics if each.cycle == 1}
    assert all(0.13 < each.r_work < 0.18 for each in last.values())
    assert all(each.r_free < 0.20 for each in last.values())
    assert 0.0 < result.parameter("efficiency", "off->hot").value < 0.1
    assert json.loads((tmp_path / "refined" / "result.json").read_text())["structures"][0] == "laser_off"


@pytest.mark.slow
@pytest.mark.parametrize("timepoints", ["light", "dark2"])
def test_full_resolution_and_the_null_test(tmp_path, timepoints):
    """Prints what comes out; at 1.57 A R of laser_off alone is as the framework's own scaling has it."""
    result = refine(write_file(tmp_path, timepoints=timepoints))
    print(f"\n{timepoints}: {result.seconds:.0f} s, {len(result.steps)} steps, converged {result.converged}")
    for each in result.parameters:
        print(each)
    for each in result.occupancies:
        print(each.timepoint, each.structure, f"{each.occupancy:.4f}", each.lower, each.upper)
    for row in result.statistics:
        print(row)
    if timepoints != "light":
        return
    first = next(row for row in result.statistics if row.dataset == "apo_20ns_dark1" and row.cycle == 0)
    assert first.r_work < 0.1655
    assert first.r_free < 0.1810
