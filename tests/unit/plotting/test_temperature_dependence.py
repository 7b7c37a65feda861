"""Rates against 1000/T and occupancies against temperature hold the numbers they should."""

import math

import numpy as np
import pytest

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.occupancies import law_figures, occupancies_kinetics_multiexperiment
from torchref_kinetic_plugin.plotting import RateLine, TimeAxis, occupancy_temperature_figure, rate_law_figure

R, KB, H = 8.31446261815324e-3, 1.380649e-23, 6.62607015e-34
T = np.array([280.0, 300.0, 320.0])


def eyring(t, enthalpy=50.0, entropy=-0.02):
    return KB * t / H * np.exp(entropy / R - enthalpy / (R * t))


def rates(label="A->B", *, barred=True):
    k, dense = eyring(T), np.linspace(278.0, 322.0, 9)
    bars = (0.8 * k, 1.25 * k) if barred else (None, None)
    return RateLine(label, T, k, *bars, dense, eyring(dense), (0.9 * eyring(dense), 1.1 * eyring(dense)))


def test_eyring_lines_are_straight_with_the_enthalpy_as_slope():
    figure = rate_law_figure([rates()], eyring=True)
    (axes,) = figure.axes
    curve, points = axes.lines[0], axes.lines[-1]
    slopes = np.diff(curve.get_ydata()) / np.diff(curve.get_xdata())
    np.testing.assert_allclose(slopes, -50.0 / (1e3 * R), rtol=1e-9)
    np.testing.assert_allclose(points.get_xdata(), 1e3 / T)
    np.testing.assert_allclose(points.get_ydata(), np.log(eyring(T) * H / (KB * T)))
    # Bars are of ln k, so they reach as far as the interval.
    (bars,) = next(c for c in axes.containers if c.has_yerr).lines[2]
    np.testing.assert_allclose(np.ptp(bars.get_segments()[0][:, 1]), math.log(1.25 / 0.8))
    above = axes.child_axes[0]
    assert [tick.get_text() for tick in above.get_xticklabels()] == ["280", "300", "320"]


def test_ln_k_is_drawn_where_the_law_is_not_eyrings():
    figure = rate_law_figure([rates(barred=False)], eyring=False, unit="1/s", title="a title")
    np.testing.assert_allclose(figure.axes[0].lines[-1].get_ydata(), np.log(eyring(T)))
    assert not figure.axes[0].containers
    assert "1/s" in figure.axes[0].get_ylabel()
    assert figure.get_suptitle() == "a title"


def test_many_transitions_have_panels_of_their_own():
    figure = rate_law_figure([rates(f"A->{n}") for n in range(4)], eyring=True)
    assert [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()] == [f"A->{n}" for n in range(4)]
    figure.draw_without_rendering()


def test_wrong_arrays_are_refused():
    with pytest.raises(ValueError, match="rates has shape"):
        RateLine("a", T, T[:2], None, None, T, T)
    with pytest.raises(ValueError, match="the line has shape"):
        RateLine("a", T, T, None, None, T, T[:1])
    with pytest.raises(ValueError, match="no transition to draw"):
        rate_law_figure([], eyring=True)


def model(**options):
    tables = [{"name": f"{t:g} K", "time": ["0.1 us", "1 us", "9 us"], "temperature": t, "time_unit": "us"} for t in T]
    options = {"rate_law": "eyring", "rate_constants": {"A->B": "2 /us"}, "verbose": 0} | options
    return occupancies_kinetics_multiexperiment("A->B", tables, **options)


def drawn(monkeypatch, m, tmp_path, **options):
    """Lines that `plot_rate_laws` hands to the figure, and that it writes one."""
    caught = []
    original = law_figures.rate_law_figure

    def catch(lines, **given):
        caught.append((lines, given))
        return original(lines, **given)

    monkeypatch.setattr(law_figures, "rate_law_figure", catch)
    m.plot_rate_laws(tmp_path / "laws.png", **options)
    assert (tmp_path / "laws.png").stat().st_size > 10_000
    return caught[0]


def test_a_models_laws_are_drawn_per_second_with_their_bands(monkeypatch, tmp_path):
    m = model()
    covariance = np.diag([0.04, 0.0])
    (line,), given = drawn(monkeypatch, m, tmp_path, covariance=covariance)
    assert given["eyring"]
    expected = [m.joint.laws["A->B"].rate(t).item() * 1e6 for t in T]
    np.testing.assert_allclose(line.rates, expected)
    np.testing.assert_allclose(line.upper / line.rates, math.exp(1.959963984540054 * 0.2))
    np.testing.assert_allclose(line.band[1] / line.line, math.exp(1.959963984540054 * 0.2))
    assert line.line_temperatures.min() < 280.0
    assert line.line_temperatures.max() > 320.0
    assert line.label == "A->B  (ΔH‡ = 50.0 ± 0.0 kJ/mol)"


def test_separate_values_stand_in_for_the_models(monkeypatch, tmp_path):
    separate = {"A->B": {"280 K": (1e5, 5e4, 2e5), "320 K": (4e6, 3e6, 5e6)}}
    (line,), _ = drawn(monkeypatch, model(rate_law="arrhenius"), tmp_path, separate=separate)
    np.testing.assert_allclose(line.temperatures, [280.0, 320.0])
    np.testing.assert_allclose(line.lower, [5e4, 3e6])
    assert line.band is None


@pytest.mark.parametrize(
    ("options", "drawing", "message"),
    [
        ({"rate_law": None}, {}, "no rate constant follows a law of temperature"),
        ({}, {"covariance": np.eye(3)}, "covariance has shape (3, 3); (2, 2) is wanted"),
        ({}, {"separate": {"A->C": {}}}, "unknown transition with a law 'A->C'"),
        ({}, {"separate": {"A->B": {"28 K": (1.0, 1.0, 1.0)}}}, "unknown experiment '28 K'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, options, drawing, message):
    with pytest.raises(InputError) as caught:
        model(**options).plot_rate_laws(tmp_path / "laws.png", **drawing)
    assert message in str(caught.value)


def test_stationary_occupancies_against_temperature():
    figure = occupancy_temperature_figure(["a", "b"], T, np.array([[0.2, 0.3, 0.4], [0.8, 0.7, 0.6]]), None)
    np.testing.assert_allclose(figure.axes[0].lines[1].get_ydata(), [0.8, 0.7, 0.6])


def test_static_experiments_are_drawn_against_temperature(monkeypatch, tmp_path):
    caught = []
    original = law_figures.occupancy_temperature_figure
    monkeypatch.setattr(
        law_figures, "occupancy_temperature_figure", lambda *a, **k: caught.append((a, k)) or original(*a, **k)
    )
    tables = [{"name": f"{t:g} K", "time": [math.inf], "temperature": t} for t in T]
    m = occupancies_kinetics_multiexperiment(
        "A<->B", tables, equilibrium="all", reaction_enthalpies={"A<->B": 40.0}, verbose=0
    )
    m.plot_occupancies(tmp_path / "static.png")
    m.plot_occupancies(tmp_path / "states.png", show_kinetic_states=True)
    (labels, temperatures, measured, smooth), options = caught[0]
    assert labels == ("structure 0 (A)", "structure 1 (B)")
    np.testing.assert_allclose(temperatures, T)
    k = np.exp(-40.0 / R * (1.0 / smooth[0] - 1.0 / m.joint.reference))
    np.testing.assert_allclose(smooth[1][1], k / (1.0 + k), rtol=1e-10)
    np.testing.assert_allclose(measured.sum(0), 1.0)
    assert options["side_panel"] == ["A<->B  K 1", "  ΔH 40.0 kJ/mol", ""]
    assert caught[1][0][0] == ("A", "B")


def test_a_static_experiment_beside_a_series_shows_infinity_only(tmp_path):
    axis = TimeAxis.of(np.array([math.inf]), logarithmic=True)
    assert axis.dense() == ()
    tables = [
        {"name": "static", "time": [math.inf], "temperature": 280.0},
        {"name": "series", "time": [0.1, 1.0, 10.0], "temperature": 300.0},
    ]
    m = occupancies_kinetics_multiexperiment("A<->B", tables, equilibrium="all", verbose=0)
    m.plot_occupancies(tmp_path / "both.png")
    assert (tmp_path / "both.png").stat().st_size > 10_000
