"""Scale of two datasets, and their differences against their sigmas."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.unit.reflections import crystals
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.reflections import Observations, RelativeScale, relative_scale, spread_against_sigma

HKL = crystals.observations(crystals.reflections(d_min=2.2), np.full(len(crystals.reflections(d_min=2.2)), 10.0)).hkl
N = len(HKL)
TRUTH = 5.0 + np.sqrt(crystals.wilson_intensities(crystals.GROUP, HKL, seed=1))
D = crystals.observations(HKL, TRUTH).resolution


def measured(
    seed: int, noise: float, k: float = 1.0, b: float = 0.0, claimed: float = 1.0, name: str = "b.mtz"
) -> Observations:
    """The truth with normal errors, divided by a scale; sigmas as claimed."""
    random = np.random.default_rng(seed)
    factor = 1.0 / RelativeScale(k, b).factors(D)
    values = factor * (TRUTH + random.normal(0.0, noise, N))
    return crystals.observations(HKL, np.abs(values), factor * noise * claimed, path=name)


def test_scale_and_b_are_found() -> None:
    reference = measured(1, 0.5, name="a.mtz")
    got = relative_scale(reference, measured(2, 0.5, k=3.0, b=4.0))
    assert got.k == pytest.approx(3.0, rel=0.01)
    assert got.b == pytest.approx(4.0, abs=0.2)
    exact = relative_scale(reference, measured(1, 0.5, k=0.02, b=-6.0))
    assert (exact.k, exact.b) == (pytest.approx(0.02, rel=1e-7), pytest.approx(-6.0, abs=1e-6))
    # exp(-b s^2), s = 1/(2 d).
    assert RelativeScale(2.0, 8.0).factors(np.array([2.0]))[0] == pytest.approx(2.0 * np.exp(-0.5))


def test_reflections_that_changed_hardly_move_the_scale() -> None:
    reference, other = measured(1, 0.5, name="a.mtz"), measured(2, 0.5, k=3.0, b=4.0)
    values = other.amplitude.copy()
    changed = np.random.default_rng(5).permutation(N)[: N // 20]
    values[changed] *= np.where(np.arange(len(changed)) % 2, 1.5, 0.5)
    odd = crystals.observations(HKL, values, other.sigma.copy())
    got = relative_scale(reference, odd)
    assert got.k == pytest.approx(3.0, rel=0.01)
    assert got.b == pytest.approx(4.0, abs=0.2)
    # The median of |z| is that of the others' at the quantile 0.5 / 0.95: 6 % more.
    assert spread_against_sigma(reference, odd).overall == pytest.approx(1.06, abs=0.05)


@pytest.mark.parametrize(
    ("claimed", "expected", "said"),
    [
        (1.0, 1.0, ""),
        (0.5, 2.0, "; sigmas are too small, or the crystals differ"),
        (2.0, 0.5, "; sigmas are too large"),
    ],
)
def test_spread_tells_whether_sigmas_are_right(claimed: float, expected: float, said: str) -> None:
    reference = measured(1, 0.5, claimed=claimed, name="a.mtz")
    got = spread_against_sigma(reference, measured(2, 0.5, k=3.0, b=4.0, claimed=claimed))
    assert got.overall == pytest.approx(expected, rel=0.05)
    assert got.n_common == N
    assert got.text.startswith(f"differences of 'b.mtz' and 'a.mtz' are {got.overall:.2f} times what their sigmas say")
    assert (said in got.text) if said else got.text.endswith("say")
    assert len(got.shells) == 10
    assert sum(shell.n for shell in got.shells) == N
    assert all(shell.spread == pytest.approx(expected, rel=0.25) for shell in got.shells)
    edges = [(shell.d_max, shell.d_min) for shell in got.shells]
    assert all(high > low for high, low in edges)
    assert all(upper[1] > lower[0] - 1e-9 for upper, lower in itertools.pairwise(edges))


def test_few_reflections_make_few_shells_or_none() -> None:
    reference, other = measured(1, 0.5, name="a.mtz"), measured(2, 0.5)
    low = reference.within(d_min=float(np.sort(D)[-120]))
    assert [shell.n for shell in spread_against_sigma(low, other).shells] == [60, 60]
    with pytest.raises(InputError, match="have 0 common reflections; at least 50"):
        spread_against_sigma(reference.within(d_min=4.0), other.within(d_max=3.5))
    zero = crystals.observations(HKL, np.zeros(N), path="zero.mtz")
    with pytest.raises(InputError, match="'zero.mtz' cannot be scaled to 'a.mtz': amplitudes are zero"):
        relative_scale(reference, zero)
