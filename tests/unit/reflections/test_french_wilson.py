"""Amplitudes from intensities against quadrature, published values and limits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.special import gamma

from tests.unit.reflections import crystals
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.reflections import french_wilson, mean_intensity


def quadrature(intensity: float, sigma: float, mean: float, centric: bool) -> tuple[float, float]:
    """Posterior mean and deviation of the amplitude, integrated over the amplitude itself."""
    with mpmath.workdps(30):

        def density(f: mpmath.mpf) -> mpmath.mpf:
            prior = mpmath.exp(-(f**2) / (2 * mean)) if centric else f * mpmath.exp(-(f**2) / mean)
            return prior * mpmath.exp(-((f**2 - intensity) ** 2) / (2 * sigma**2))

        top = mpmath.sqrt(max(intensity, 0.0) + 14 * sigma)
        middle = mpmath.sqrt(max(intensity - sigma**2 / mean, 0.0))
        width = sigma / (2 * middle) if middle > 0 else top / 10
        points = {mpmath.mpf(0), top}
        points |= {middle + k * width for k in (-9, -5, -2, 0, 2, 5, 9)} | {top * k / 8 for k in range(1, 8)}
        limits = sorted(p for p in points if 0 <= p <= top)
        scale = density(max(limits, key=density))
        moments = [mpmath.quad(lambda f, n=n: f**n * density(f) / scale, limits) for n in range(3)]
        first, second = moments[1] / moments[0], moments[2] / moments[0]
        return float(first), float(mpmath.sqrt(second - first**2))


@pytest.mark.parametrize("centric", [False, True])
@pytest.mark.parametrize("mean", [0.05, 1.0, 30.0])
@pytest.mark.parametrize("ratio", [-6.0, -3.0, -0.5, 0.0, 1.0, 4.0, 9.9, 12.0, 40.0])
def test_agrees_with_quadrature(ratio: float, mean: float, centric: bool) -> None:
    sigma = 2.5
    expected = quadrature(ratio * sigma, sigma, mean * sigma, centric)
    got = french_wilson(*(np.array([value]) for value in (ratio * sigma, sigma, mean * sigma)), np.array([centric]))
    assert got[0][0] == pytest.approx(expected[0], rel=1e-8)
    assert got[1][0] == pytest.approx(expected[1], rel=1e-6)


@pytest.mark.parametrize(
    ("centric", "h", "amplitude", "deviation"),
    # French & Wilson (1978), tables 1 and 2, as cctbx and CCP4 hold them; h = (I - sigma^2/S) / sigma. The published
    # centric amplitudes below h = 2 are up to 1.4 % too small (0.578 at 0, where it is 0.5814 exactly).
    [
        (False, -4.0, 0.423, 0.2154),
        (False, 0.0, 0.822, 0.349),
        (False, 2.0, 1.388, 0.358),
        (True, 4.0, 1.945, 0.272),
        (True, 3.0, 1.632, 0.349),
    ],
)
def test_published_values(centric: bool, h: float, amplitude: float, deviation: float) -> None:
    mean = 1e9
    got = french_wilson(np.array([h]), np.ones(1), np.array([mean]), np.array([centric]))
    assert got[0][0] == pytest.approx(amplitude, abs=6e-4)
    assert got[1][0] == pytest.approx(deviation, abs=6e-4)


def test_zero_is_known_in_closed_form() -> None:
    """Without prior and with I = 0 the moments of F are ratios of gamma functions of exp(-F^4/2)."""
    zero, one = np.zeros(2), np.ones(2)
    amplitude, error = french_wilson(zero, one, np.full(2, 1e300), np.array([False, True]))
    for index, power in enumerate((0.5, 0.25)):
        first, second = (2.0 ** (n / 4.0) * gamma(power + n / 4.0) / gamma(power) for n in (1, 2))
        assert amplitude[index] == pytest.approx(first, rel=1e-12)
        assert error[index] == pytest.approx(np.sqrt(second - first**2), rel=1e-11)


@pytest.mark.parametrize("centric", [False, True])
def test_strong_reflections_are_square_roots(centric: bool) -> None:
    intensity = np.array([1e4, 1e6, 1e8, 1e12])
    flag = np.full(4, centric)
    amplitude, error = french_wilson(intensity, np.full(4, 20.0), np.full(4, 1e5), flag)
    np.testing.assert_allclose(amplitude, np.sqrt(intensity), rtol=1e-5)
    np.testing.assert_allclose(error, 20.0 / (2.0 * np.sqrt(intensity)), rtol=1e-4)


def test_without_information_the_prior_remains() -> None:
    mean = np.full(2, 50.0)
    amplitude, error = french_wilson(np.zeros(2), np.full(2, 1e5), mean, np.array([False, True]))
    np.testing.assert_allclose(amplitude, [np.sqrt(np.pi * 50.0) / 2.0, np.sqrt(2.0 * 50.0 / np.pi)], rtol=1e-5)
    np.testing.assert_allclose(error, [np.sqrt(50.0 * (1 - np.pi / 4)), np.sqrt(50.0 * (1 - 2 / np.pi))], rtol=1e-4)


@pytest.mark.parametrize("centric", [False, True])
@pytest.mark.parametrize("x", [-10.0, 10.0, 300.0])
def test_series_join_the_functions(centric: bool, x: float) -> None:
    intensity = x + np.array([-1e-7, 1e-7])
    for values in french_wilson(intensity, np.ones(2), np.full(2, 1e12), np.full(2, centric)):
        assert values[0] == pytest.approx(values[1], rel=2e-5)


def test_scale_of_the_intensities_does_not_matter() -> None:
    random = np.random.default_rng(1)
    intensity, sigma = random.normal(2.0, 4.0, 100), random.uniform(0.5, 3.0, 100)
    mean, centric = random.uniform(0.5, 5.0, 100), random.uniform(size=100) < 0.3
    once = french_wilson(intensity, sigma, mean, centric)
    # A power of two, so that nothing is rounded.
    scaled = french_wilson(4.0**7 * intensity, 4.0**7 * sigma, 4.0**7 * mean, centric)
    np.testing.assert_array_equal(scaled[0], 2.0**7 * once[0])
    np.testing.assert_array_equal(scaled[1], 2.0**7 * once[1])
    assert (once[0] > 0.0).all()
    assert (once[1] > 0.0).all()


@pytest.mark.parametrize(
    ("sigma", "mean", "message"),
    [(0.0, 1.0, "above zero"), (1.0, -1.0, "above zero"), (np.nan, 1.0, "finite")],
)
def test_impossible_values_are_refused(sigma: float, mean: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        french_wilson(np.ones(1), np.array([sigma]), np.array([mean]), np.array([False]))


def test_mean_intensity_follows_resolution() -> None:
    hkl = crystals.reflections(d_min=1.8)
    d = 1.0 / np.sqrt(np.sum((hkl / np.array(crystals.CELL[:3])) ** 2, axis=1))
    intensity = crystals.wilson_intensities(crystals.GROUP, hkl, seed=2)
    # Noise much larger than the weak reflections, and negative values.
    noisy = intensity + np.random.default_rng(3).normal(0.0, 60.0, len(hkl))
    estimated = mean_intensity(noisy, np.ones(len(hkl)), d)
    truth = 1000.0 * np.exp(-15.0 / (2.0 * d**2))
    ratio = estimated.values / truth
    assert abs(np.log(ratio)).mean() < 0.08
    assert np.log(ratio).mean() == pytest.approx(0.0, abs=0.03)
    assert estimated.n_without_signal == 0
    multiplied = mean_intensity(3.0 * noisy, np.full(len(hkl), 3.0), d)
    np.testing.assert_allclose(multiplied.values, 3.0 * estimated.values)


def test_mean_intensity_falls_on_where_signal_ends() -> None:
    random = np.random.default_rng(4)
    d = 1.0 / np.sqrt(np.linspace(0.01, 0.4, 6000))
    truth = 1000.0 * np.exp(-30.0 / d**2)
    noisy = truth * random.exponential(1.0, len(d)) + random.normal(0.0, 20.0, len(d))
    estimated = mean_intensity(noisy, np.ones(len(d)), d)
    assert 1000 < estimated.n_without_signal < 5000
    assert (estimated.values > 0.0).all()
    assert np.log(estimated.values[-1] / truth[-1]) == pytest.approx(0.0, abs=2.5)
    with pytest.raises(InputError, match="no signal"):
        mean_intensity(random.normal(0.0, 1.0, 150) - 0.5, np.ones(150), d[:150])
