"""Scale and anisotropic displacement by which datasets differ."""

from __future__ import annotations

import math
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.errors import ParameterError
from torchref_kinetic_plugin.simulation.structure_factors import Reals, Reflections

#: Places of (B11, B22, B33, B12, B13, B23) in the matrix.
_PLACES = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


@dataclass(frozen=True)
class DatasetScaling:
    """Factor ``scale * exp(-s B s / 4)`` between absolute and measured amplitudes.

    Attributes
    ----------
    scale : float
        Measured units per electron.
    b_cart : tuple of float
        (B11, B22, B33, B12, B13, B23) in Cartesian axes, in square angstrom.
    """

    scale: float
    b_cart: tuple[float, float, float, float, float, float]

    def factors(self, reflections: Reflections) -> Reals:
        """(n,) factor of each reflection's amplitude."""
        s = reflections.scattering_vectors
        exponent = np.einsum("ni,ij,nj->n", s, _matrix(self.b_cart), s)
        return np.asarray(self.scale * np.exp(-0.25 * exponent), dtype=np.float64)


@dataclass(frozen=True)
class ScalingSpread:
    """How much scale and displacement vary between datasets.

    Attributes
    ----------
    scale : float
        Mean scale.
    ln_scale : float
        Standard deviation of the logarithm of the scale.
    b : float
        Standard deviation of the isotropic B, in square angstrom.
    anisotropy : float
        Standard deviation of each element of the anisotropic B, before the crystal's symmetry is imposed, in
        square angstrom.
    """

    scale: float = 1.0
    ln_scale: float = 0.25
    b: float = 2.0
    anisotropy: float = 1.5

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0.0):
            raise ParameterError(f"scale = {self.scale!r}: a positive number is wanted")
        for name, value in (("ln_scale", self.ln_scale), ("b", self.b), ("anisotropy", self.anisotropy)):
            if not (math.isfinite(value) and value >= 0.0):
                raise ParameterError(f"spread {name} = {value!r}: a number from 0 up is wanted")

    def draw(self, reflections: Reflections, rng: np.random.Generator) -> DatasetScaling:
        """Draw the scaling of one dataset."""
        scale = self.scale * math.exp(self.ln_scale * rng.standard_normal())
        isotropic = self.b * rng.standard_normal()
        element = self.anisotropy * rng.standard_normal((3, 3))
        matrix = symmetrized((element + element.T) / 2.0, reflections.cell, reflections.space_group)
        # The trace is the isotropic part, drawn on its own.
        matrix += np.eye(3) * (isotropic - np.trace(matrix) / 3.0)
        b11, b22, b33, b12, b13, b23 = (float(matrix[place]) for place in _PLACES)
        return DatasetScaling(float(scale), (b11, b22, b33, b12, b13, b23))


def symmetrized(
    matrix: NDArray[np.float64], cell: gemmi.UnitCell, space_group: gemmi.SpaceGroup
) -> NDArray[np.float64]:
    """Mean of a Cartesian tensor over the crystal's rotations: equivalent reflections get equal factors."""
    orthogonal = np.array(cell.orth.mat.tolist())
    fractional = np.array(cell.frac.mat.tolist())
    rotations = [
        orthogonal @ (np.array(operation.rot, dtype=np.float64) / operation.DEN) @ fractional
        for operation in space_group.operations().sym_ops
    ]
    return np.asarray(np.mean([r @ matrix @ r.T for r in rotations], axis=0), dtype=np.float64)


def _matrix(b_cart: tuple[float, ...]) -> Reals:
    matrix = np.zeros((3, 3))
    for value, (row, column) in zip(b_cart, _PLACES, strict=True):
        matrix[row, column] = matrix[column, row] = value
    return matrix
