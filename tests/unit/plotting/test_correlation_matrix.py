"""The picture of a correlation matrix, with few and with many rows."""

import itertools

import numpy as np
import pytest
from matplotlib.transforms import Bbox

from torchref_kinetic_plugin.plotting import correlation_figure


def figure_of(n, **changes):
    random = np.random.default_rng(1)
    rows = random.normal(size=(n, n + 4))
    size = np.linalg.norm(rows, axis=1)
    matrix = rows @ rows.T / np.outer(size, size)
    errors = 10.0 ** random.uniform(-2.0, -0.5, n)
    options = {"matrix": matrix, "std_errors": errors, "sandwich": 1.2 * errors} | changes
    labels = [f"298K: k(S{number}->S{number + 1})" for number in range(n)]
    figure = correlation_figure(labels, title="A $1 title", **options)
    figure.canvas.draw()
    return figure, options["matrix"]


@pytest.mark.parametrize("n", [1, 2, 25])
def test_every_correlation_can_be_read(n):
    figure, matrix = figure_of(n)
    axes = figure.axes[0]
    texts = {tuple(map(int, text.get_position())): text for text in axes.texts}
    assert len(texts) == n * n
    for (column, row), text in texts.items():
        expected = 1.0 if row == column else matrix[row, column]
        assert float(text.get_text().replace("\u2212", "-")) == pytest.approx(expected, abs=0.005)
    # A number fits into its field, and a label beside the next.
    field = axes.get_window_extent().width / n
    widest = max(text.get_window_extent().width for text in axes.texts)
    assert widest < field
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        boxes = [tick.get_window_extent() for tick in ticks]
        assert not any(Bbox.intersection(one, other) for one, other in itertools.pairwise(boxes))
    page = figure.bbox
    assert all(page.x0 <= tick.get_window_extent().x0 for tick in axes.get_yticklabels())


def test_errors_of_both_kinds_stand_in_their_rows():
    errors = np.array([0.02, 0.3])
    figure, _ = figure_of(2, std_errors=errors, sandwich=2.0 * errors)
    curvature, sandwich = figure.axes[1].lines
    np.testing.assert_allclose(curvature.get_xdata(), errors)
    np.testing.assert_allclose(sandwich.get_xdata(), 2.0 * errors)
    np.testing.assert_allclose(curvature.get_ydata(), [0.0, 1.0])
    low, high = figure.axes[1].get_xlim()
    assert low < 0.02
    assert high > 0.6


def test_what_is_not_determined_is_said():
    matrix = np.array([[1.0, np.nan], [np.nan, 1.0]])
    figure, _ = figure_of(2, matrix=matrix, std_errors=np.array([0.1, np.inf]), sandwich=np.array([0.1, np.inf]))
    assert [text.get_text() for text in figure.axes[1].texts] == ["not determined"]
    assert {text.get_text() for text in figure.axes[0].texts} == {"1"}


def test_many_rows_have_colours_only():
    figure, _ = figure_of(40)
    assert not figure.axes[0].texts
