"""Figures of the report hold the numbers that they should."""

import dataclasses

import numpy as np
import pytest

from tests.unit.output.report_material import TIMES, bare, full
from torchref_kinetic_plugin.output.cycle_figures import history_figure
from torchref_kinetic_plugin.output.occupancy_band_figure import null_floor, occupancy_band_figure
from torchref_kinetic_plugin.output.profile_figure import profile_figure
from torchref_kinetic_plugin.output.r_history_figure import r_history_figure
from torchref_kinetic_plugin.output.resampling_figures import bootstrap_figure
from torchref_kinetic_plugin.results import NullTest, Validation


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_curves_bands_points_and_floor():
    result, _ = full()
    figure = occupancy_band_figure(result, "cold")
    (axes,) = figure.axes
    assert labels(figure) == ["dark", "I1", "fitted freely", "null test"]
    curve = next(each for each in result.curves if each.structure == "I1")
    places = np.log10(curve.times_s)
    low, high = axes.get_xlim()
    shown = (places >= low) & (places <= high)
    assert 20 < shown.sum() < len(places)
    drawn = [line for line in axes.lines if len(line.get_xdata()) == shown.sum()]
    np.testing.assert_allclose(drawn[1].get_xdata(), places[shown])
    np.testing.assert_allclose(drawn[1].get_ydata(), np.array(curve.occupancy)[shown])
    bands = [each for each in axes.collections if "FillBetween" in type(each).__name__]
    assert len(bands) == 2
    vertices = bands[1].get_paths()[0].vertices
    assert vertices[:, 1].min() == pytest.approx(np.array(curve.lower)[shown].min())
    assert vertices[:, 1].max() == pytest.approx(np.array(curve.upper)[shown].max())
    floor = 0.012 + 1.959963984540054 * 0.004
    assert null_floor(result, "cold") == pytest.approx(floor)
    assert any(patch.get_height() == pytest.approx(floor) for patch in axes.patches)


def test_free_occupancies_are_points_of_their_own():
    result, _ = full()
    (axes,) = occupancy_band_figure(result, "cold").axes
    values = [each.occupancy for each in result.validation.free_occupancies]
    bars = [each for each in axes.containers if each.has_yerr]
    (free,) = [each for each in bars if each.lines[0] is not None]
    np.testing.assert_allclose(free.lines[0].get_ydata().astype(float), values)
    half = [segment[1, 1] - segment[0, 1] for segment in free.lines[2][0].get_segments()]
    np.testing.assert_allclose(half, 2 * 1.959963984540054 * 0.008)


def test_without_curves_points_are_joined_and_there_is_no_floor():
    figure = occupancy_band_figure(bare(), "cold")
    (axes,) = figure.axes
    assert labels(figure) == ["dark", "I1"]
    assert null_floor(bare(), "cold") is None
    joined = [line for line in axes.lines if line.get_linestyle() == ":" and len(line.get_xdata()) == len(TIMES)]
    assert len(joined) == 2


def test_the_floor_is_the_largest_of_the_experiments_own():
    tests = (NullTest("cold", "a", 0.01, 0.001), NullTest("cold", "b", -0.02, 0.003), NullTest("warm", "c", 0.5, 0.1))
    result = dataclasses.replace(bare(), validation=Validation(null_tests=tests))
    assert null_floor(result, "cold") == pytest.approx(0.01 + 1.959963984540054 * 0.001)


def test_r_by_cycle_and_its_mean():
    result, _ = full()
    (axes,) = r_history_figure(result).axes
    means = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    work = [[each.r_work for each in result.statistics if each.cycle == cycle] for cycle in (0, 1)]
    np.testing.assert_allclose(means["R-work"].get_ydata(), np.mean(work, axis=1))
    assert set(means) == {"R-work", "R-free"}
    assert len(axes.lines) == 2 * 4 + 2


def test_a_dataset_that_comes_to_have_a_correlation_does_not_move_the_mean():
    result, _ = full()
    rows = [
        dataclasses.replace(each, cc_diff_free=None if (each.dataset, each.cycle) == ("1_us", 0) else each.cc_diff_free)
        for each in result.statistics
    ]
    rows = [
        dataclasses.replace(each, cc_diff_free=-0.9) if (each.dataset, each.cycle) == ("1_us", 1) else each
        for each in rows
    ]
    figure = history_figure(dataclasses.replace(result, statistics=tuple(rows)))
    np.testing.assert_allclose(figure.axes[3].lines[0].get_ydata(), [0.38, 0.38])


def test_profiles_and_resampled_values():
    result, (profiles, bootstrap) = full()
    own = result.parameter(profiles[0].kind, profiles[0].name, profiles[0].experiment)
    figure = profile_figure(profiles, [None] * len(profiles), ["k (s⁻¹)"] * len(profiles))
    axes = figure.axes[0]
    points = next(line for line in axes.lines if line.get_marker() == "o")
    np.testing.assert_allclose(points.get_ydata(), [point.drop for point in profiles[0].points if point.drop <= 4.5])
    assert axes.get_xlabel() == "k (s⁻¹)"
    assert not [line for line in axes.lines if line.get_label() == "covariance"]
    figure = profile_figure(profiles[:1], [own], ["k"])
    (parabola,) = [line for line in figure.axes[0].lines if line.get_label() == "covariance"]
    assert parabola.get_ydata().min() < 0.01
    figure = bootstrap_figure(bootstrap, [None], ["yield"])
    axes = figure.axes[0]
    widths = [patch.get_width() for patch in axes.patches]
    assert sum(patch.get_height() for patch in axes.patches) * widths[0] == pytest.approx(1.0)


def test_a_profile_over_decades_has_a_logarithmic_axis():
    _, (profiles, _) = full()
    wide = dataclasses.replace(
        profiles[0],
        points=tuple(
            dataclasses.replace(point, value=point.value * 10.0**n, drop=0.1 * n)
            for n, point in enumerate(profiles[0].points)
        ),
    )
    figure = profile_figure([wide] * 4, [None] * 4, ["k"] * 4)
    assert [axes.get_xscale() for axes in figure.axes[:4]] == ["log"] * 4
    assert [axes.get_visible() for axes in figure.axes] == [True] * 4 + [False] * 2
