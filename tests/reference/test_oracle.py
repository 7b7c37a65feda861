"""The oracle against closed forms, numerical quadrature and itself; everything to at least 30 digits."""

import pytest
from mpmath import mp, mpc, mpf

from tests.reference.oracle import convolved_populations, derivative, populations

TOLERANCE = mpf(10) ** -30
DELAYS = [-30, -12, -5, -1, 0, 1, 4, 12, 23, 30]


@pytest.fixture(autouse=True)
def _precision():
    with mp.workdps(100):
        yield


def close(found, expected, tolerance=TOLERANCE, floor=0):
    """Relative agreement of every entry of one row, of those below `floor` relative to it."""
    assert len(found) == len(expected)
    for value, true in zip(found, expected, strict=True):
        assert abs(value - true) <= tolerance * max(abs(true), floor), (mp.nstr(value, 40), mp.nstr(true, 40))


def emg(value, t, sigma):
    """Exponentially modified Gaussian of exp(value s), at 160 digits."""
    with mp.workdps(160):
        t, sigma = mpf(t), mpf(sigma)
        tail = mp.erfc(-(t / sigma + value * sigma) / mp.sqrt(2))
        return mp.exp(value * t + (value * sigma) ** 2 / 2) * tail / 2


def first(n):
    return [1] + [0] * (n - 1)


@pytest.mark.parametrize("rate", [1e-3, 0.7, 1e15])
@pytest.mark.parametrize("time", [1e-15, 3e-4, 1.0, 1e3])
def test_exponential(rate, time):
    row = populations([(0, 1, rate)], [1, 0], [1, 0], [time])[0]
    close(row, [mp.exp(-mpf(rate) * mpf(time)), -mp.expm1(-mpf(rate) * mpf(time))])


@pytest.mark.parametrize("n", [3, 12])
def test_equal_rates_give_erlang(n):
    rate = 2e5
    edges = [(i, i + 1, rate) for i in range(n - 1)]
    for time in (1e-12, 1e-6, 3e-5, 1e-3):
        x = mpf(rate) * mpf(time)
        expected = [mp.exp(-x) * x**i / mp.factorial(i) for i in range(n - 1)]
        close(
            populations(edges, first(n), first(n), [time])[0], [*expected, mp.gammainc(n - 1, 0, x, regularized=True)]
        )


def test_closed_cycle_with_complex_eigenvalues():
    rate, turn = mpf("1e7"), mp.expjpi(mpf(2) / 3)
    times = [0, 1e-12, 3e-8, 2e-7, 5e-6]
    rows = populations([(0, 1, rate), (1, 2, rate), (2, 0, rate)], first(3), first(3), times)
    for time, row in zip(times, rows, strict=True):
        terms = [[mp.exp(rate * (turn**-m - 1) * mpf(time)) * turn ** (m * i) / 3 for m in range(3)] for i in range(3)]
        if time:
            close(row, [mp.re(mp.fsum(term)) for term in terms])
        else:
            assert row == [1, 0, 0]


def test_closed_cycle_with_response():
    rate, turn = mpf("1e7"), mp.expjpi(mpf(2) / 3)
    edges = [(0, 1, rate), (1, 2, rate), (2, 0, rate)]
    for sigma in (1e-9, 1e-7, 1e-6):
        times = [sigma * delay for delay in DELAYS]
        rows = convolved_populations(edges, first(3), first(3), times, sigma)
        for time, row in zip(times, rows, strict=True):
            shapes = [emg(rate * (turn**-m - 1), time, sigma) for m in range(3)]
            parts = [mp.re(mp.fsum(shapes[m] * turn ** (m * i) / 3 for m in range(3))) for i in range(3)]
            parts[0] += emg(0, -mpf(time), sigma)
            close(row, parts)


@pytest.mark.parametrize(("forth", "back"), [(3.0, 5.0), (1e15, 1e-3), (1e-3, 1e15)])
def test_reversible_pair(forth, back):
    total = mpf(forth) + mpf(back)
    for time in (1e-15, 0.1, 1e3):
        made = mpf(forth) / total * -mp.expm1(-total * mpf(time))
        close(populations([(0, 1, forth), (1, 0, back)], [0, 1], [1, 0], [time])[0], [1 - made, made])
    close(populations([(0, 1, forth), (1, 0, back)], [0, 1], [1, 0], [mp.inf])[0], [back / total, forth / total])


@pytest.mark.parametrize(("one", "two"), [(1e6, 3e4), (1e15, 1e-3), (1.0, 1.0 + 2**-52), (1e-3, 1e12)])
def test_bateman(one, two):
    k, q = mpf(one), mpf(two)
    for time in (1e-14, 1e-5, 1.0):
        t = mpf(time)
        a, b = mp.exp(-k * t), k / (q - k) * (mp.exp(-k * t) - mp.exp(-q * t))
        with mp.workdps(160):
            c = 1 - (q * mp.exp(-k * t) - k * mp.exp(-q * t)) / (q - k)
        close(populations([(0, 1, one), (1, 2, two)], first(3), first(3), [time])[0], [a, b, c])


def test_infinity():
    branch = [(0, 1, 2.0), (1, 0, 1.0), (1, 2, 3.0), (0, 3, 1.0), (4, 3, 0.0)]
    # from 0: to 2 with x = 2/3 * (3/4 + x/4), so x = 3/5
    close(
        populations(branch, first(5), [mpf(1) / 2, 0, 0, 0, mpf(1) / 2], [mp.inf])[0],
        [0, 0, mpf(3) / 10, mpf(1) / 5, 0.5],
    )
    assert populations(branch, first(5), first(5), [-mp.inf, -1e-300, 0])[0] == first(5)
    cycle = [(0, 1, 1e15), (1, 2, 1e-3), (2, 0, 7.0), (3, 0, 1.0)]
    times = [1 / mpf(1e15), 1 / mpf(1e-3), 1 / mpf(7)]
    limit = [*(time / mp.fsum(times) for time in times), 0]
    close(populations(cycle, first(4), [0, 0, 0, 1], [float("inf")])[0], limit)
    close(convolved_populations(cycle, first(4), [0, 0, 0, 1], [mp.inf], 1e-9)[0], limit)
    late = populations([(0, 1, 1e15), (1, 2, 1.0), (2, 0, 7.0)], first(3), first(3), [1e3, mp.inf])
    close(late[0], late[1])


@pytest.mark.parametrize("ratio", [1e-18, 1e-3, 1.0, 1e3, 1e18])
def test_response_of_one_step(ratio):
    rate, sigma = mpf(10) ** 9, mpf(ratio) / 10**9
    times = [delay * sigma for delay in DELAYS]
    rows = convolved_populations([(0, 1, rate)], [0.25, 0.75], [1, 0], times, sigma)
    for time, row in zip(times, rows, strict=True):
        with mp.workdps(200):
            left, below, above = (
                emg(-rate, time, sigma) if ratio < 100 else far(time, rate, sigma),
                emg(0, -time, sigma),
                emg(0, time, sigma),
            )
            close(row, [below / 4 + left, below * 3 / 4 + above - left], floor=mpf(10) ** -90 if time > 0 else 0)


def far(time, rate, sigma):
    """The same for rate * sigma >> 1 and t / sigma: asymptotic series of erfc."""
    gap = rate * sigma - time / sigma
    terms = [mpf(1)]
    while abs(terms[-1]) > mpf(10) ** -150:
        terms.append(-terms[-1] * (2 * len(terms) - 1) / gap**2)
    return mp.exp(-((time / sigma) ** 2) / 2) / (mp.sqrt(2 * mp.pi) * gap) * mp.fsum(terms)


def test_response_far_away():
    row = convolved_populations([(0, 1, 3.0)], [1, 0], [0.5, 0.5], [-1e25, 1e25, -mp.inf], 1e-5)
    assert abs(row[0][0] - 1) < TOLERANCE
    assert 0 < row[0][1] < mpf(10) ** -1000
    close(row[1][1:], [1])
    assert row[2] == [1, 0]


def test_response_against_quadrature():
    k, q, sigma = mpf(2), mpf(2), mpf("0.3")  # defective
    before, after = [0.5, 0.5, 0], [0.75, 0, 0.25]

    def state(s):
        a, b = mp.exp(-k * s), k * s * mp.exp(-k * s)
        return [mpf(3) / 4 * a, mpf(3) / 4 * b, 1 - mpf(3) / 4 * (a + b)]

    for time in ("-1.1", "0.2", "2.5"):
        t = mpf(time)
        row = convolved_populations([(0, 1, k), (1, 2, q)], before, after, [t], sigma)[0]
        with mp.workdps(45):
            points = [0, *(p for p in (t - 7 * sigma, t - 3 * sigma, t, t + 3 * sigma) if p > 0), t + 16 * sigma]
            for i in range(3):
                part = mp.quad(lambda s, i=i, t=t: mp.npdf(t - s, 0, sigma) * state(s)[i], points)
                close([row[i]], [part + before[i] * mp.erfc(t / sigma / mp.sqrt(2)) / 2])


def test_response_of_equal_rates_is_the_limit_of_unequal():
    chain = [(i, i + 1, mpf(10) ** 6) for i in range(4)]
    split = [(i, i + 1, mpf(10) ** 6 * (1 + i * mpf(10) ** -50)) for i in range(4)]
    for sigma in (1e-9, 1e-6, 1e-3):
        times = [delay * sigma for delay in (-6, 0, 2, 25)]
        for one, two in zip(
            *(convolved_populations(e, first(5), first(5), times, sigma) for e in (chain, split)), strict=True
        ):
            assert all(abs(a - b) <= mpf(10) ** -45 for a, b in zip(one, two, strict=True))


def test_stiff_network_of_twelve_states():
    edges = [(i, (i + 1) % 11, 10.0 ** (15 - 1.8 * i)) for i in range(11)] + [(4, 1, 1e12), (2, 7, 0.0)]
    times = [-1.0, 0, 1e-15, 1e-9, 1e-3, 1e3, mp.inf]
    after = [*first(11), 0.5]
    rows = populations(edges, after, after, times)
    # a narrow response changes P by sigma^2 P'' / 2; its sum is kept whatever it is
    narrow = convolved_populations(edges, after, after, times[2:], mpf(10) ** -50)
    for row, other in zip(rows[2:], narrow, strict=True):
        assert all(abs(a - b) <= mpf(10) ** -55 for a, b in zip(row, other, strict=True))
    for sigma in (1e-12, 1e3):
        rows += convolved_populations(edges, after, after, times, sigma)
    for row in rows:
        assert abs(mp.fsum(row) - 1.5) < mpf(10) ** -40
        assert min(row) >= 0
        assert row[11] == 0.5 or abs(row[11] - 0.5) < mpf(10) ** -55


def test_times_are_independent():
    edges, times = [(0, 1, 1e3), (1, 0, 2.0), (1, 2, 50.0)], [3e-3, -1e-3, 3e-3, 1.0, 0.0]
    for together, alone in (
        (
            populations(edges, first(3), first(3), times),
            [populations(edges, first(3), first(3), [t])[0] for t in times],
        ),
        (
            convolved_populations(edges, first(3), first(3), times, 1e-3),
            [convolved_populations(edges, first(3), first(3), [t], 1e-3)[0] for t in times],
        ),
    ):
        for one, two in zip(together, alone, strict=True):
            close(one, two, mpf(10) ** -55)


def test_derivative():
    close(derivative(lambda x: [mp.exp(x), mp.sin(3 * x)], mpf("0.7")), [mp.exp(mpf("0.7")), 3 * mp.cos(mpf("2.1"))])
    close(derivative(lambda x: [mp.exp(x)], 0), [1])
    rate, time = mpf(10) ** 6, mpf("2e-6")
    close(
        derivative(lambda k: populations([(0, 1, k)], [1, 0], [1, 0], [time])[0], rate),
        [-time * mp.exp(-2), time * mp.exp(-2)],
    )


def test_wrong_input_is_refused():
    for edges, after, times in (
        ([(0, 1, -1.0)], [1, 0], [1]),
        ([(0, 1, mp.inf)], [1, 0], [1]),
        ([], [1], [1]),
        ([], [1, 0], [mp.nan]),
    ):
        with pytest.raises((ValueError, OverflowError)):
            populations(edges, [1, 0], after, times)
    with pytest.raises(ValueError, match="negative"):
        convolved_populations([], [1], [1], [1], -1)
    assert mpc(convolved_populations([], [1], [1], [1], 0)[0][0]) == 1
