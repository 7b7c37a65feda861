"""Scale, anisotropic B and smooth resolution dependence of datasets, with the symmetry of the crystal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from torchref_kinetic_plugin.bridge.crystal import Crystal, Floats, Indices
from torchref_kinetic_plugin.errors import ParameterError


@final
@dataclass(frozen=True)
class ScaleForm:
    """ln k(h) = a - s^T B s / 4 + sum_n c_n T_(n+1)(x), linear in a, B and c.

    T are Chebyshev polynomials and x is 1/d^2, mapped from the range of the reflections to [-1, 1]; the first two
    of them are a and the trace of B. Without them (``terms = 0``) it is the usual scale and anisotropic B.
    Outside the range x keeps its last value.

    Parameters
    ----------
    crystal : Crystal
        Gives s, the Cartesian scattering vector, |s| = 1/d, and the matrices B that its symmetry allows.
    terms : int
        How many c.
    low, high : float
        Range of 1/d^2.
    """

    crystal: Crystal
    terms: int
    low: float
    high: float

    @classmethod
    def over(cls, crystal: Crystal, hkl: Indices, terms: int) -> ScaleForm:
        """The form for a list of reflections."""
        if terms < 0:
            raise ParameterError(f"resolution_terms = {terms}: must be 0 or more")
        squares = crystal.resolution(hkl) ** -2.0
        if not squares.size:
            return cls(crystal, terms, 0.0, 1.0)
        return cls(crystal, terms, float(squares.min()), float(squares.max()))

    @property
    def n_b(self) -> int:
        """Coefficients of B."""
        return len(self.crystal.symmetric_matrices)

    def design(self, hkl: Indices) -> Floats:
        """Derivatives (H, p) of ln k(h) in a, the coefficients of B, and c."""
        s = self.crystal.scattering_vectors(hkl)
        quadratic = np.einsum("hi,nij,hj->hn", s, self.crystal.symmetric_matrices, s, optimize=True)
        span = max(self.high - self.low, 1e-12)
        x = np.clip(2.0 * ((s**2).sum(axis=1) - self.low) / span - 1.0, -1.0, 1.0)
        chebyshev = np.polynomial.chebyshev.chebvander(x, self.terms + 1)[:, 2:]
        return np.column_stack([np.ones(len(s)), -0.25 * quadratic, chebyshev])


@final
@dataclass(frozen=True)
class AnisotropicScales:
    """k_t(h) of T datasets: what takes the common scale to theirs.

    Attributes
    ----------
    form : ScaleForm
        What k(h) depends on.
    coefficients : ndarray
        (T, p), see `ScaleForm.design`.
    covariance : ndarray
        (T, p, p) of the coefficients, from the scatter of the data; 0 for what was held.
    condition : float
        Condition number of the normal equations, columns scaled to the same length.
    iterations : int
        Steps it took.
    residual : ndarray
        (T,), sum |F - k F0| / sum F after scaling.
    shells : ndarray
        (T, n), ln of the scale that is left over in shells of equal numbers of reflections, from low to high
        resolution: what the form does not describe.
    """

    form: ScaleForm
    coefficients: Floats
    covariance: Floats
    condition: float
    iterations: int
    residual: Floats
    shells: Floats

    def values(self, hkl: Indices) -> Floats:
        """(T, H), the factors."""
        return np.asarray(np.exp(self.log_values(hkl)))

    def log_values(self, hkl: Indices) -> Floats:
        """(T, H), their logarithms."""
        return np.asarray(self.coefficients @ self.form.design(hkl).T)

    @property
    def log_scale(self) -> Floats:
        """(T,), a."""
        return self.coefficients[:, 0]

    @property
    def b(self) -> Floats:
        """(T, 3, 3) anisotropic B, A^2, symmetric, invariant under the point group."""
        chosen = self.coefficients[:, 1 : 1 + self.form.n_b]
        return np.asarray(np.einsum("tn,nij->tij", chosen, self.form.crystal.symmetric_matrices))

    @property
    def b_iso(self) -> Floats:
        """(T,), a third of the trace of B, A^2."""
        return np.asarray(np.trace(self.b, axis1=1, axis2=2) / 3.0)
