"""The observed and the model's difference map about a residue: from coefficients to what is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import final

import gemmi
import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.output.map_coefficients import (
    Coefficients,
    Floats,
    MapData,
    difference_map,
    difference_weights,
)
from torchref_kinetic_plugin.plotting.map_view import DrawnModel
from torchref_kinetic_plugin.structures import AtomicStructure, ResidueKey

#: Grid points per d_min.
_SAMPLING = 4.0
#: Beyond the residue's atoms the view reaches so far, and the slab; and the limits of both. A.
_MARGIN, _NARROWEST, _WIDEST = 2.0, 4.0, 7.5
_SLAB_MARGIN, _THINNEST, _THICKEST = 0.8, 1.2, 3.0
#: Steps across the view, and along the depth of the slab, A.
_STEPS, _DEPTH_STEP = 140, 0.25
#: Distance from the atoms within which maps are compared, and step of the comparison, A.
_NEAR, _NEAR_STEP = 2.0, 0.5
#: Longest distance of bonded atoms, A; sulfur has longer bonds.
_BOND, _SULFUR_BOND = 1.75, 2.1


@final
@dataclass(frozen=True, eq=False)
class Frame:
    """Where one looks from.

    Attributes
    ----------
    centre : ndarray
        (3,), A.
    axes : ndarray
        (3, 3), rows: to the right, up, towards the viewer.
    width, depth : float
        Half width and height of the view, and half the depth of the slab, A.
    """

    centre: Floats = field(repr=False)
    axes: Floats = field(repr=False)
    width: float
    depth: float

    @classmethod
    def about(cls, xyz: Floats) -> Frame:
        """Look at atoms (n, 3), A, so that they spread across the view."""
        centre = 0.5 * (xyz.min(axis=0) + xyz.max(axis=0))
        _, _, axes = np.linalg.svd(xyz - xyz.mean(axis=0), full_matrices=True)
        # The sign of a principal axis is arbitrary; this choice does not depend on rounding.
        largest = np.abs(axes).argmax(axis=1)[:, None]
        axes = axes * np.sign(np.take_along_axis(axes, largest, axis=1))
        axes[2] = np.cross(axes[0], axes[1])
        reach = np.abs((xyz - centre) @ axes.T).max(axis=0)
        return cls(
            centre,
            axes,
            float(np.clip(reach[:2].max() + _MARGIN, _NARROWEST, _WIDEST)),
            float(np.clip(reach[2] + _SLAB_MARGIN, _THINNEST, _THICKEST)),
        )

    def seen(self, xyz: Floats) -> Floats:
        """Coordinates (n, 3) in the view: right, up, depth; A."""
        return np.asarray((xyz - self.centre) @ self.axes.T)


def model_difference_map(data: MapData) -> Coefficients:
    """The model's F(t) - F(reference), with the weights, phases and reflections of `difference_map`."""
    weights = difference_weights(*data.difference)
    known = np.isfinite(weights)
    difference = np.abs(data.f_calc) - np.abs(data.f_calc_reference)
    phases = np.exp(1j * np.angle(data.f_calc_reference))
    mean = float(weights[known].mean()) if known.any() else 1.0
    return Coefficients(np.asarray(weights / mean * difference * phases))


def density_of(data: MapData, coefficients: Coefficients) -> gemmi.FloatGrid:
    """The map of coefficients, e/A^3; reflections that take no part are left out."""
    known = np.isfinite(coefficients.values)
    values: NDArray[np.complex64] = np.ascontiguousarray(coefficients.values[known], dtype=np.complex64)
    table = gemmi.ComplexAsuData(data.cell, data.spacegroup, np.ascontiguousarray(data.hkl[known]), values)
    return table.transform_f_phi_to_map(sample_rate=_SAMPLING)


def difference_densities(data: MapData) -> tuple[gemmi.FloatGrid, gemmi.FloatGrid]:
    """The observed difference map and the model's, e/A^3."""
    return density_of(data, difference_map(data)), density_of(data, model_difference_map(data))


def slab(density: gemmi.FloatGrid, frame: Frame) -> Floats:
    """Density of largest size along the depth of a slab, (n, n): rows upwards, columns to the right; e/A^3."""
    layers = 2 * round(frame.depth / _DEPTH_STEP) + 1
    steps = np.array([2.0 * frame.width / (_STEPS - 1)] * 2 + [2.0 * frame.depth / (layers - 1)])
    corner = frame.centre - frame.axes.T @ np.array([frame.width, frame.width, frame.depth])
    values = _sampled(density, corner, frame.axes.T * steps, (_STEPS, _STEPS, layers))
    strongest = np.abs(values).argmax(axis=2)[:, :, None]
    return np.asarray(np.take_along_axis(values, strongest, axis=2)[:, :, 0].T)


def correlation_near(first: gemmi.FloatGrid, second: gemmi.FloatGrid, xyz: Floats) -> float:
    """Correlation of two maps within 2 A of atoms (n, 3), A; NaN where one of them is flat."""
    low, high = xyz.min(axis=0) - _NEAR, xyz.max(axis=0) + _NEAR
    shape = tuple(int(n) for n in np.ceil((high - low) / _NEAR_STEP) + 1)
    places = low + _NEAR_STEP * np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    near = np.zeros(shape, dtype=np.bool_)
    for position in xyz:
        near |= ((places - position) ** 2).sum(axis=-1) <= _NEAR**2
    one, other = (_sampled(each, low, _NEAR_STEP * np.eye(3), shape)[near] for each in (first, second))
    if np.ptp(one) == 0.0 or np.ptp(other) == 0.0:
        return math.nan
    return float(np.corrcoef(one, other)[0, 1])


def drawn_model(structure: AtomicStructure, frame: Frame, label: str) -> DrawnModel:
    """Atoms and bonds of a structure in a view, hydrogens left out."""
    atoms = structure.atoms
    seen = frame.seen(atoms.xyz)
    inside = (np.abs(seen[:, :2]) < frame.width + _BOND).all(axis=1) & (np.abs(seen[:, 2]) < frame.depth + 1.0)
    chosen = np.flatnonzero(inside & ~atoms.hydrogen)
    elements, altlocs = atoms.element[chosen], atoms.altloc[chosen]
    distance = np.linalg.norm(atoms.xyz[chosen][:, None] - atoms.xyz[chosen][None], axis=-1)
    sulfur = (elements == "S")[:, None] | (elements == "S")[None]
    alternatives = (altlocs[:, None] != altlocs[None]) & (altlocs != "")[:, None] & (altlocs != "")[None]
    bonded = np.triu(distance < np.where(sulfur, _SULFUR_BOND, _BOND), k=1) & ~alternatives
    return DrawnModel(label, seen[chosen], tuple(elements.tolist()), np.argwhere(bonded))


def residue_atoms(structure: AtomicStructure, residue: ResidueKey) -> Floats:
    """Coordinates (n, 3) of a residue's atoms but hydrogens, A."""
    atoms = structure.atoms
    chosen = np.array([each == residue for each in atoms.residues]) & ~atoms.hydrogen
    return np.asarray(atoms.xyz[chosen])


def _sampled(density: gemmi.FloatGrid, origin: Floats, steps: Floats, shape: tuple[int, ...]) -> Floats:
    """Density on a grid: columns of ``steps`` (3, 3) are what one step along each index is, A."""
    values = np.zeros(shape, dtype=np.float32)
    density.interpolate_values(values, gemmi.Transform(gemmi.Mat33(steps.tolist()), gemmi.Vec3(*origin)), order=1)
    return values.astype(np.float64)
