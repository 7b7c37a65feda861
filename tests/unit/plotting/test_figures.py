"""Pictures hold what they should: values, ticks, labels, nothing on top of another."""

import math

import numpy as np
import pytest
import torch

from torchref_kinetic_plugin.occupancies import (
    occupancies_kinetics,
    occupancies_kinetics_multiexperiment,
    occupancy_unrestrained,
)
from torchref_kinetic_plugin.plotting import DrawnTransition, TimeAxis, TimeCourses, occupancy_figure, scheme_figure
from torchref_kinetic_plugin.plotting.style import COLOURS, MARKERS, plain

SERIES = np.array([-10.0, 0.0, 1.0, 1e3, 1e6, math.inf])


def photocycle(**options):
    return occupancies_kinetics(
        "A->B,B->C,C->A", ["-10 ns", "1 ns", "1 us", "1 ms"],
        rate_constants={"A->B": math.inf, "B->C": "1/(500 ns)", "C->A": "1/(300 us)"}, efficiencies={"A->B": 0.3},
        light_activated=True, time_unit="ns", verbose=0, **options,
    )  # fmt: skip


def test_axis_puts_what_was_before_the_trigger_left_of_the_decades_and_infinity_right():
    axis = TimeAxis.of(SERIES, logarithmic=True)
    places = axis.place(SERIES)
    assert (np.diff(places) > 0).all()
    np.testing.assert_allclose(places[2:5], [0.0, 3.0, 6.0])
    left, right = axis.limits
    assert left < places[0]
    assert places[-1] < right
    assert axis.place(np.array([-math.inf]))[0] < places[0] + 1e-9


def test_linear_axis_keeps_delays_as_they_are():
    axis = TimeAxis.of(np.array([-3.0, 5.0]), logarithmic=False)
    np.testing.assert_allclose(axis.place(np.array([-3.0, 5.0])), [-3.0, 5.0])


@pytest.mark.parametrize("delays", [[3.0], [-3.0, -1.0], [0.0], [math.inf], [2.0, 2.0], [-math.inf, 1.0]])
@pytest.mark.parametrize("logarithmic", [True, False])
def test_any_series_has_an_axis_that_holds_it(delays, logarithmic):
    axis = TimeAxis.of(np.array(delays), logarithmic=logarithmic)
    left, right = axis.limits
    places = axis.place(np.array(delays))
    assert left <= places.min()
    assert places.max() <= right
    assert all(np.isfinite(part).all() for part in axis.dense())


def test_ticks_carry_units_and_signs():
    axis = TimeAxis.of(SERIES, logarithmic=True)
    courses = TimeCourses(["a"], SERIES, np.linspace(0, 1, 6)[None], axis)
    figure = occupancy_figure([("", courses)], figsize=(10, 6), time_unit="ns", side_panel=["A->B  500 ns"])
    labels = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert labels == ["−10 ns", "0", "1 ns", "10 ns", "100 ns", "1 µs", "10 µs", "100 µs", "1 ms", "∞"]
    assert figure.legends[0].get_title().get_text() == "A->B  500 ns"


def test_curves_and_markers_have_the_models_values():
    delays = np.array([1.0, 10.0])
    axis = TimeAxis.of(delays, logarithmic=True)
    smooth = tuple(np.stack([0.1 * np.ones_like(d), 0.9 * np.ones_like(d)]) for d in axis.dense())
    courses = TimeCourses(["x", "$y_1$"], delays, np.array([[0.2, 0.3], [0.8, 0.7]]), axis, smooth)
    figure = occupancy_figure([("", courses)], figsize=(10, 6))
    lines = figure.axes[0].get_lines()
    np.testing.assert_allclose(lines[0].get_ydata(), 0.1)
    np.testing.assert_allclose(lines[1].get_ydata(), [0.2, 0.3])
    np.testing.assert_allclose(lines[1].get_xdata(), [0.0, 1.0])
    assert lines[0].get_color() == lines[1].get_color() != lines[2].get_color()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["x", r"\$y_1\$"]


def test_wrong_shapes_are_refused():
    axis = TimeAxis.of(SERIES, logarithmic=True)
    with pytest.raises(ValueError, match=r"measured has shape \(1, 2\)"):
        TimeCourses(["a"], SERIES, np.zeros((1, 2)), axis)
    with pytest.raises(ValueError, match=r"target has shape \(2, 6\)"):
        TimeCourses(["a"], SERIES, np.zeros((1, 6)), axis, target=np.zeros((2, 6)))


def test_styles_are_distinct():
    assert len(set(COLOURS)) == len(COLOURS)
    assert len(set(MARKERS)) == 12
    assert plain("a_$b$") == r"a_\$b\$"


@pytest.mark.parametrize(
    ("states", "arrows"),
    [
        ("A B C", "A>B B>C"),
        ("A B C", "A>B B>C C>A"),
        ("A B C D E", "A>B A>C B>D C>D D>B"),
        ("A B C out", "A>B B>A B>C C>B C>A C>out"),
        ("A B C D E F G H I J K L", "A>B B>C C>D D>E E>F F>G G>H H>I I>J J>K K>L"),
        ("A B C D", "A>B B>C C>D D>A A>C"),
    ],
)
def test_drawing_keeps_nodes_apart_and_labels_off_them(states, arrows):
    names = states.split()
    transitions = [DrawnTransition(*arrow.split(">"), "147 µs\n30 %") for arrow in arrows.split()]
    figure = scheme_figure(names, transitions, initial=names[0])
    figure.canvas.draw()
    (axes,) = figure.axes
    circles = [p for p in axes.patches if hasattr(p, "radius")]
    assert len(circles) == len(names)
    centres = np.array([c.center for c in circles])
    gaps = np.linalg.norm(centres[:, None] - centres[None], axis=-1) + 9 * np.eye(len(names))
    assert gaps.min() > 2.5 * circles[0].radius
    boxes = [t.get_window_extent() for t in axes.texts if t.get_text() not in names]
    assert len(boxes) == len(transitions)
    scale = axes.transData.transform([[1, 0], [0, 0]])
    radius = (scale[0, 0] - scale[1, 0]) * circles[0].radius
    for box in boxes:
        for centre in axes.transData.transform(centres):
            nearest = np.clip(centre, [box.x0, box.y0], [box.x1, box.y1])
            assert np.linalg.norm(nearest - centre) > radius
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:number])


def test_every_plot_of_the_models_is_written(tmp_path):
    m = photocycle(structure_names=["dark", "I_1", "$I2"])
    target = m().detach()
    m.plot_occupancies(tmp_path / "a.png")
    m.plot_occupancies(tmp_path / "b.svg", log_scale=False, show_kinetic_states=True, title="t")
    m.plot_comparison(target, tmp_path / "c.pdf")
    m.plot_scheme(tmp_path / "d.png")
    occupancy_unrestrained(2, [-1.0, 1.0, 3.0]).plot_occupancies(tmp_path / "e.png", log_scale=True)
    experiments = [{"time": [0.1, 1.0]}, {"time": [-1.0, 2.0, 5.0]}]
    occupancies_kinetics_multiexperiment("A->B", experiments, verbose=0).plot_occupancies(tmp_path / "f.png")
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    for path in tmp_path.iterdir():
        assert path.read_bytes().startswith(starts[path.suffix[1:]]), path
    assert len(list(tmp_path.iterdir())) == 6


def test_a_state_and_its_inactive_copy_are_one_curve():
    from torchref_kinetic_plugin.occupancies.figures import _courses

    courses = _courses(photocycle(), log_scale=True, kinetic_states=True)
    assert courses.labels == ("A", "B", "C")
    np.testing.assert_allclose(courses.measured.sum(0), 1.0)
    torch.testing.assert_close(torch.from_numpy(courses.measured), photocycle()().detach())
