"""High-precision kinetic populations, independent of the package, to judge its float64 arithmetic.

Rates are taken as the exact numbers they are. Nothing here is fast or differentiable. Numbers come back as
`mpmath.mpf` of the asked digits: work on them inside ``mpmath.mp.workdps(...)``, or 15 digits remain.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from mpmath import mp, mpc, mpf

Edges = Iterable[tuple[int, int, "float | mpf"]]
Matrix = list[list[Fraction]]


def populations(
    edges: Edges, before: Sequence[mpf], after: Sequence[mpf], times: Sequence[mpf], *, digits: int = 60
) -> list[list[mpf]]:
    """Populations P(t) = exp(K t) after for t >= 0 and `before` for t < 0, shape (n_times, n_states).

    Source of the formulae: `_propagate`, and `stationary` for t = inf.

    Parameters
    ----------
    edges
        (source, target, rate) with rate >= 0; parallel edges add up, zero rates and loops do nothing.
    before, after : shape (n_states,)
        State for t < 0, and just after the trigger.
    times : shape (n_times,)
        Any order, signs and repeats; +inf and -inf are allowed.
    digits
        Right relative digits of every entry, however small, for non-negative `after`.
    """
    rates, initial, start, instants = _inputs(edges, before, after, times)
    working = digits + 10
    with mp.workdps(working):
        waiting = [t for t in instants if t >= 0 and mp.isfinite(t)]
        found = iter(_propagate(rates, [_number(value) for value in start], waiting, working))
        ends = {False: initial, True: stationary(rates, start)}
        rows = [next(found) if t >= 0 and mp.isfinite(t) else [_number(v) for v in ends[t > 0]] for t in instants]
    with mp.workdps(digits):
        return [[+value for value in row] for row in rows]


def convolved_populations(
    edges: Edges, before: Sequence[mpf], after: Sequence[mpf], times: Sequence[mpf], sigma: mpf, *, digits: int = 60
) -> list[list[mpf]]:
    """Populations convolved exactly with a Gaussian of standard deviation `sigma`, shape (n_times, n_states).

    The part after the trigger, G(t), is the inverse Laplace transform of exp(z^2 sigma^2 / 2) (z - K)^-1 after. On a
    vertical line right of all poles its integrand decays as a Gaussian and the trapezoidal rule converges
    exponentially (Trefethen and Weideman 2014), so that neither eigenvalues nor their separation matter. Beyond
    t = cut sigma, where the response has passed but for 10^-(2 digits), G obeys G' = K G and is propagated.

    Parameters
    ----------
    edges, before, after, times
        As in `populations`.
    sigma
        Standard deviation, in the unit of the times; 0 gives `populations`. Tails are right for abs(t) / sigma < 1e60.
    digits
        Right relative digits of entries of the part after the trigger above 10^-digits of its sum (which is
        erfc(-t / (sigma sqrt 2)) / 2 times that of `after`); of smaller ones 2 `digits` absolute digits on that scale.
    """
    edges, width = list(edges), _fraction(sigma)
    rates, initial, start, instants = _inputs(edges, before, after, times)
    if width < 0:
        raise ValueError(f"sigma is {sigma}, it must not be negative")
    if width == 0:
        return populations(edges, before, after, times, digits=digits)
    accuracy = 2 * digits + 5
    with mp.workdps(accuracy + 60):
        unit, cut = _number(width), int(mp.sqrt(2 * accuracy * mp.log(10))) + 1
        delays = [_number(_fraction(t) / width) if mp.isfinite(t) else t for t in instants]
        inner = sorted({min(delay, mpf(cut)) for delay in delays if mp.isfinite(delay)})
        outer = [t for t, delay in zip(instants, delays, strict=True) if cut < delay < mp.inf]
        scaled = [[rate * width for rate in row] for row in rates]
        early = dict(zip(inner, _after_response(scaled, start, inner, cut, accuracy), strict=True))
        spans = [t - cut * unit for t in outer]
        late = dict(zip(outer, _propagate(rates, early[mpf(cut)], spans, accuracy) if outer else [], strict=True))
        limit, known = [_number(v) for v in stationary(rates, start)], [_number(v) for v in initial]
        rows = []
        for t, delay in zip(instants, delays, strict=True):
            if mp.isinf(t):
                rows.append(limit if t > 0 else known)
                continue
            share, part = mp.erfc(delay / mp.sqrt(2)) / 2, late[t] if t in late else early[delay]
            rows.append([share * a + b for a, b in zip(known, part, strict=True)])
    with mp.workdps(digits):
        return [[+value for value in row] for row in rows]


def derivative(
    function_of_scalar: Callable[[mpf], Sequence[mpf]], at: mpf, *, digits: int = 60, relative_step: float = 1e-12
) -> list[mpf]:
    """Derivative of a vector-valued function of one number, shape (n,), from central differences.

    Three steps h, h/2, h/4 with Richardson's extrapolation leave an error of order h^6; the function must be right to
    `digits` digits, of which the difference costs as many as `relative_step` has (48 remain by default).
    """
    with mp.workdps(digits + 10):
        centre = _number(_fraction(at))
        step = (abs(centre) or mpf(1)) * mpf(relative_step)
        table = []
        for h in (step, step / 2, step / 4):
            pairs = zip(function_of_scalar(centre + h), function_of_scalar(centre - h), strict=True)
            table.append([(up - down) / (2 * h) for up, down in pairs])
        return [(64 * fine - 20 * middle + coarse) / 45 for coarse, middle, fine in zip(*table, strict=True)]


def stationary(rates: Matrix, start: Sequence[Fraction]) -> list[Fraction]:
    """State reached from `start` at t = inf, shape (n_states,), in exact rational arithmetic.

    States that can be left for good are eliminated, each handing what it holds and receives to its targets; in a
    closed class, state reduction (Grassmann, Taksar and Heyman 1985) gives the stationary proportions.
    `rates` has shape (n_states, n_states): ``rates[source][target]``, zero on the diagonal.
    """
    flow, mass, states = [list(row) for row in rates], list(start), range(len(start))
    reached = [[bool(rate) or i == j for j, rate in enumerate(row)] for i, row in enumerate(rates)]
    for k, i, j in itertools.product(states, repeat=3):
        reached[i][j] = reached[i][j] or (reached[i][k] and reached[k][j])
    transient = [i for i in states if any(reached[i][j] and not reached[j][i] for j in states)]
    closed = {tuple(j for j in states if reached[i][j]) for i in states if i not in transient}

    def eliminate(k: int, alive: Sequence[int]) -> Fraction:
        total = sum((flow[k][j] for j in alive), Fraction(0))
        for i, j in itertools.permutations(alive, 2):
            flow[i][j] += flow[i][k] * flow[k][j] / total
        return total

    alive = [*states]
    for k in transient:
        alive.remove(k)
        total = eliminate(k, alive)
        for j in alive:
            mass[j] += mass[k] * flow[k][j] / total
        mass[k] = Fraction(0)
    for members in closed:
        held = sum((mass[i] for i in members), Fraction(0))
        totals = {members[m]: eliminate(members[m], members[:m]) for m in range(len(members) - 1, 0, -1)}
        share = {members[0]: Fraction(1)}
        for k in members[1:]:
            share[k] = sum((value * flow[i][k] for i, value in share.items()), Fraction(0)) / totals[k]
        for k in members:
            mass[k] = held * share[k] / sum(share.values())
    return mass


def _propagate(rates: Matrix, start: list[mpf], times: list[mpf], digits: int) -> list[list[mpf]]:
    """exp(K t) start for finite t >= 0, shape (n_times, n_states), each entry right to `digits` relative digits.

    Uniformization (Jensen 1953): with d the largest exit rate, exp(K t) = exp(-d t) exp((K + d I) t), where no term
    is negative, so neither the series nor its repeated squaring cancels. Relative errors grow at most by d t,
    for which digits are added. A series cut at n - 1 + m terms leaves out less than the tail of exp(d h) beyond m,
    relative to each entry (split every walk into a simple path and its loops).
    """
    states, exits, longest = range(len(start)), _exits(rates), max(times, default=mpf(0))
    fastest = max(exits)
    n_squarings = max(0, int(mp.ceil(mp.log(_number(fastest) * longest, 2)))) if fastest and longest else 0
    with mp.workdps(digits + 15 + n_squarings // 3):
        decay, step = _number(fastest), mp.ldexp(longest, -n_squarings)
        fixed = [[rates[j][i] if i != j else fastest - exits[i] for j in states] for i in states]
        uniform = [[_number(value) for value in row] for row in fixed]

        def advance(vector: list[mpf], span: mpf) -> list[mpf]:
            """Propagate by `span`, decay * span <= 1, with the positive series."""
            total, term, bound, order = list(vector), list(vector), mpf(1), 0
            while bound > mp.ldexp(1, -mp.prec) or order < len(vector):
                order += 1
                term = [value * span / order for value in _apply(uniform, term)]
                total = [a + b for a, b in zip(total, term, strict=True)]
                bound *= decay * span / max(1, order - len(vector) + 1) if order >= len(vector) else 1
            return [value * mp.exp(-decay * span) for value in total]

        columns = [advance([mpf(i == j) for i in states], step) for j in states]
        powers = [columns]  # each power as its columns
        for _ in range(n_squarings):
            rows = [*zip(*powers[-1], strict=True)]
            powers.append([_apply(rows, column) for column in powers[-1]])
        result = []
        for t in times:
            n_steps = int(mp.floor(t / step)) if step else 0
            row = advance(start, t - n_steps * step)
            for bit, power in enumerate(powers):
                if n_steps >> bit & 1:
                    row = _apply([*zip(*power, strict=True)], row)
            result.append(row)
        return result


def _after_response(rates: Matrix, start: list[Fraction], delays: list[mpf], cut: int, digits: int) -> list[list[mpf]]:
    """Part after the trigger, with sigma as the unit of time, for delays <= cut = sqrt(2 R), R = digits ln 10.

    With z = s + i y and y = 2 pi j / period, the rule returns, by Poisson's summation, the sum over m of
    exp(-m s period) G(t + m period). With s = max(-t, cut / 4) and period = 2.6 cut every m != 0 adds less than exp(-R)
    relative to erfc(-t / sqrt 2) / 2, which bounds G: for t = cut, s period = 0.65 cut^2 and
    (period - t)^2 / 2 - s period = 0.63 cut^2; at t = -s, the saddle point, more. So do the terms left out beyond
    y = 1.35 cut. Cancellation costs at most s t + s^2 / 2 = 0.29 cut^2.
    """
    fastest = _number(1 + max(_exits(rates)))
    result: list[list[mpf]] = []
    with mp.workdps(int(1.6 * digits) + 20 + int(mp.log10(fastest))):
        default, pitch = mpf(cut) / 4, 2 * mp.pi / (mpf(26) / 10 * cut)
        exits, flow = [_number(total) for total in _exits(rates)], [[_number(rate) for rate in row] for row in rates]
        vector = [_number(value) for value in start]
        lines: dict[mpf, list[tuple[mpf, list[mpc]]]] = {}
        for delay in delays:
            abscissa = max(-delay, default)
            if abscissa not in lines:
                heights = [j * pitch for j in range(int(mpf(135) / 100 * cut / pitch) + 1)]
                lines[abscissa] = [(y, _resolvent(flow, exits, vector, mpc(abscissa, y))) for y in heights]
            rest = abscissa + delay
            weights = [mp.exp(mpc(-y * y / 2, y * rest)) * (2 if y else 1) for y, _ in lines[abscissa]]
            scale = pitch / (2 * mp.pi) * mp.exp(abscissa * (rest + delay) / 2)
            columns = zip(*(values for _, values in lines[abscissa]), strict=True)
            result.append([scale * mp.re(mp.fdot(weights, column)) for column in columns])
    return result


def _resolvent(flow: list[list[mpf]], exits: list[mpf], start: list[mpf], z: mpc) -> list[mpc]:
    """(z - K)^-1 start, shape (n_states,), by elimination of one state after the other; Re z > 0 needs no pivots."""
    states, right = range(len(start)), [mpc(value) for value in start]
    matrix = [[-flow[j][i] if i != j else z + exits[i] for j in states] for i in states]
    for k in states:
        later = [j for j in states[k + 1 :] if matrix[k][j]]
        for i in states[k + 1 :]:
            if matrix[i][k]:
                ratio = matrix[i][k] / matrix[k][k]
                right[i] -= ratio * right[k]
                for j in later:
                    matrix[i][j] -= ratio * matrix[k][j]
    for k in reversed(states):
        known = mp.fsum(matrix[k][j] * right[j] for j in states[k + 1 :] if matrix[k][j])
        right[k] = (right[k] - known) / matrix[k][k]
    return right


def _exits(rates: Matrix) -> list[Fraction]:
    return [sum(row, Fraction(0)) for row in rates]


def _apply(matrix: Sequence[Sequence[mpf]], vector: Sequence[mpf]) -> list[mpf]:
    return [mp.fdot(row, vector) for row in matrix]


def _fraction(value: float | mpf) -> Fraction:
    """The exact value of a finite float, integer, fraction or mpf."""
    if not isinstance(value, mpf):
        return Fraction(value)
    if not mp.isfinite(value):
        raise ValueError(f"{value} is not finite")
    sign, mantissa, exponent, _ = value._mpf_
    return Fraction(-int(mantissa) if sign else int(mantissa)) * Fraction(2) ** int(exponent)


def _number(value: Fraction) -> mpf:
    return mpf(value.numerator) / value.denominator


def _inputs(
    edges: Edges, before: Sequence[mpf], after: Sequence[mpf], times: Sequence[mpf]
) -> tuple[Matrix, list[Fraction], list[Fraction], list[mpf]]:
    """Exact rates[source][target], exact populations before and after, times as unrounded mpf."""
    if len(before) != len(after):
        raise ValueError(f"{len(before)} populations before and {len(after)} after the trigger")
    rates = [[Fraction(0)] * len(after) for _ in after]
    for source, target, rate in edges:
        exact = _fraction(rate)
        if exact < 0 or min(source, target) < 0:
            raise ValueError(f"the edge {source} -> {target} with rate {rate} has a negative entry")
        if source != target:
            rates[source][target] += exact
    if any(mp.isnan(t) for t in times):
        raise ValueError("a time is not a number")
    with mp.workdps(60):  # holds any float; an mpf is passed on as it is
        instants = [t if isinstance(t, mpf) else mpf(t) for t in times]
    return rates, [_fraction(value) for value in before], [_fraction(value) for value in after], instants
