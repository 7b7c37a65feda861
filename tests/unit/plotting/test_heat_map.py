"""Tables of numbers as coloured cells, and maps with structures in them."""

import numpy as np
import pytest

from torchref_kinetic_plugin.plotting.heat_map import heat_map_figure
from torchref_kinetic_plugin.plotting.map_view import GAINED, LOST, DrawnModel, map_view_figure

VALUES = np.array([[0.1, 0.2, np.nan], [-0.4, 1.0, 0.35]])


def written(figure):
    return {(text.get_position(), text.get_text()) for text in figure.axes[0].texts}


def test_every_number_is_written_where_it_stands():
    figure = heat_map_figure(VALUES, ["a", "b$"], ["x", "y", "z"], label="l", limits=(-1.0, 1.0), middle=0.0)
    assert written(figure) == {
        ((0, 0), "0.10"),
        ((1, 0), "0.20"),
        ((0, 1), "−0.40"),
        ((1, 1), "1.00"),
        ((2, 1), "0.35"),
    }
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", r"b\$"]
    np.testing.assert_array_equal(axes.images[0].get_array().filled(np.nan), VALUES)
    figure.draw_without_rendering()


def test_text_is_light_on_dark_cells_only():
    figure = heat_map_figure(np.array([[0.0, 1.0]]), ["a"], ["x", "y"], label="l", limits=(0.0, 1.0), decimals=0)
    assert [text.get_color() for text in figure.axes[0].texts] == ["#1f2430", "white"]


def test_large_tables_are_not_written_into():
    figure = heat_map_figure(np.zeros((40, 20)), ["r"] * 40, ["c"] * 20, label="l", limits=(0.0, 1.0))
    assert written(figure) == set()


def test_wrong_names_are_refused():
    with pytest.raises(ValueError, match=r"values have shape \(2, 3\), not \(2, 2\)"):
        heat_map_figure(VALUES, ["a", "b"], ["x", "y"], label="l", limits=(0.0, 1.0))


def test_density_gained_and_lost_is_contoured_at_the_same_levels_in_both_maps():
    y, x = np.mgrid[-4:4:81j, -4:4:81j]
    blob = np.exp(-((x - 1) ** 2 + y**2)) - np.exp(-((x + 1) ** 2 + y**2))
    atoms = DrawnModel(
        "dark", np.array([[-1.0, 0.0, 0.0], [0.4, 0.0, 0.0], [3.0, 3.0, 0.0]]), ("C", "O", "C"), np.array([[0, 1]])
    )
    figure = map_view_figure([("a", blob), ("b", 0.01 * blob)], [(atoms, "#333333")], half_width=4.0, level=0.3)
    observed, model = figure.axes
    lines = [each for each in observed.collections if getattr(each, "filled", None) is False]
    assert [each.levels.tolist() for each in lines] == [pytest.approx([0.3, 0.45, 0.6, 0.9])] * 2
    assert [tuple(each.get_edgecolor()[0][:3]) for each in lines] == [rgb(GAINED), rgb(LOST)]
    gained, lost = (np.concatenate([path.vertices for path in each.get_paths()]) for each in lines)
    assert gained[:, 0].min() > 0.0 > lost[:, 0].max()
    # The second map has nothing so strong.
    assert not [each for each in model.collections if hasattr(each, "levels")]
    (bonds,) = [each for each in model.collections if hasattr(each, "get_segments")]
    np.testing.assert_allclose(bonds.get_segments()[0], [[-1.0, 0.0], [0.4, 0.0]])
    figure.draw_without_rendering()


def rgb(colour):
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
