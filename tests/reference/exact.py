"""Populations to sixty digits, by other ways than the package: eigenvectors for curves, linear algebra at the end.

The generator is perturbed by relative 1e-45 so that equal eigenvalues part; what that changes is far below
what is compared. Every mode then is an exponential, and its convolution with a Gaussian the exponentially
modified Gaussian (Grushka 1972, Anal. Chem. 44, 1733).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mpmath as mp

Edge = tuple[int, int, object]

#: Relative splitting of equal rates.
_SPLIT = "1e-45"


def generator(n: int, edges: Sequence[Edge], *, split: bool) -> mp.matrix:
    """``K`` of ``dP/dt = K P`` in exact values, each rate moved by its own relative 1e-45 if asked."""
    matrix = mp.zeros(n)
    for number, (source, target, rate) in enumerate(edges):
        value = mp.mpf(rate) * (1 + mp.mpf(_SPLIT) * (number + 1) ** 2 if split else 1)
        matrix[target, source] += value
        matrix[source, source] -= value
    return matrix


def stationary(n: int, edges: Sequence[Edge], after: Sequence[object]) -> list[mp.mpf]:
    """Populations at infinity: the projection onto the null space of ``K`` along its range."""
    matrix = generator(n, edges, split=False)
    right, left = _null_space(matrix), _null_space(matrix.T)
    start = mp.matrix([mp.mpf(v) for v in after])
    gram = mp.matrix(len(left), len(right))
    for i, row in enumerate(left):
        for j, column in enumerate(right):
            gram[i, j] = sum(a * b for a, b in zip(row, column, strict=True))
    overlap = mp.matrix([sum(a * b for a, b in zip(row, start, strict=True)) for row in left])
    weights = mp.lu_solve(gram, overlap)
    return [sum(w * column[i] for w, column in zip(weights, right, strict=True)) for i in range(n)]


def _null_space(matrix: mp.matrix) -> list[list[mp.mpf]]:
    """Basis of the null space by Gauss-Jordan elimination with full pivoting."""
    n = matrix.rows
    work = matrix.copy()
    order = list(range(n))
    size = max((abs(v) for v in matrix), default=mp.mpf(0))
    rank = 0
    for step in range(n):
        pivot, row, col = max(
            ((abs(work[i, j]), i, j) for i in range(step, n) for j in range(step, n)), key=lambda item: item[0]
        )
        if pivot <= size * mp.mpf(10) ** (-mp.mp.dps // 2):
            break
        for j in range(n):
            work[step, j], work[row, j] = work[row, j], work[step, j]
        for i in range(n):
            work[i, step], work[i, col] = work[i, col], work[i, step]
        order[step], order[col] = order[col], order[step]
        head = work[step, step]
        for j in range(n):
            work[step, j] /= head
        for i in range(n):
            if i != step and work[i, step]:
                factor = work[i, step]
                for j in range(n):
                    work[i, j] -= factor * work[step, j]
        rank += 1
    basis = []
    for free in range(rank, n):
        vector = [mp.mpf(0)] * n
        vector[order[free]] = mp.mpf(1)
        for i in range(rank):
            vector[order[i]] = -work[i, free]
        basis.append(vector)
    return basis


class Modes:
    """The modes of one scheme: ``P(t) = sum_m a_m exp(lambda_m t)``.

    ``equal`` is the number of eigenvalues that may coincide; the digits of work pay for their splitting.
    """

    def __init__(
        self, n: int, edges: Sequence[Edge], before: Sequence[object], after: Sequence[object], *, equal: int = 1
    ) -> None:
        self.digits = 160 + 50 * equal
        with mp.workdps(self.digits):
            self.before = [mp.mpf(v) for v in before]
            self.final = stationary(n, edges, after)
            values, vectors = mp.eig(generator(n, edges, split=True))
            start = mp.matrix([mp.mpf(v) for v in after])
            weights = mp.lu_solve(vectors, start)
            self.values = values
            self.modes = [[weights[m] * vectors[i, m] for m in range(n)] for i in range(n)]

    def at(self, time: object, sigma: object = 0) -> list[mp.mpf]:
        """Populations at a time, behind a Gaussian response unless sigma is 0."""
        with mp.workdps(self.digits):
            t, s = mp.mpf(time), mp.mpf(sigma)
            if mp.isinf(t):
                return self.final if t > 0 else self.before
            if s == 0:
                if t < 0:
                    return self.before
                return [
                    mp.re(sum(a * mp.exp(v * t) for a, v in zip(row, self.values, strict=True))) for row in self.modes
                ]
            early = mp.erfc(t / s / mp.sqrt(2)) / 2
            factors = [
                mp.exp(v * t + (v * s) ** 2 / 2) * mp.erfc(-(t / s + v * s) / mp.sqrt(2)) / 2 for v in self.values
            ]
            return [
                p * early + mp.re(sum(a * f for a, f in zip(row, factors, strict=True)))
                for p, row in zip(self.before, self.modes, strict=True)
            ]


def derivative(function: Callable[[mp.mpf], list[mp.mpf]], at: object) -> list[mp.mpf]:
    """Central difference of a vector function, right to about thirty digits."""
    with mp.workdps(160):
        x = mp.mpf(at)
        # The step lies far above the splitting of rates, and its square far below what is compared.
        h = mp.mpf("1e-20") * (abs(x) if x else 1)
        return [(u - d) / (2 * h) for u, d in zip(function(x + h), function(x - h), strict=True)]
