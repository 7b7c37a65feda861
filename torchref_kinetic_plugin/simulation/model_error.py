"""What no atomic model holds, the same at every delay: an error that cancels in differences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import gemmi
import numpy as np

from torchref_kinetic_plugin.errors import ParameterError
from torchref_kinetic_plugin.simulation.structure_factors import (
    Complexes,
    Reals,
    Reflections,
    atomic_structure_factors,
    solvent_mask,
)

_GRID_SPACING = 0.7
#: The multiple is looked for up to the size of the structure itself (R about 0.7), to this precision.
_LARGEST = 2.0
_PRECISION = 1e-10


@dataclass(frozen=True)
class ModelError:
    """Weak sites that are in the crystal and in no model.

    In bulk solvent they are partly ordered waters, of positive weight; among the atoms, misfits of either
    sign. Their complex structure factor is one vector, added to every dataset, and sized to an R factor.

    Attributes
    ----------
    r_factor : float
        ``sum ||F + E| - |F|| / sum |F + E|`` of the reference (or of the first dataset, where there is none); 0
        for no error.
    sites : int
        Number of sites in the asymmetric unit.
    b_range : tuple of float
        Displacement parameters between which the sites' are drawn, in square angstrom.
    """

    r_factor: float = 0.16
    sites: int = 400
    b_range: tuple[float, float] = (12.0, 40.0)

    def __post_init__(self) -> None:
        if not 0.0 <= self.r_factor < 0.5:
            raise ParameterError(f"r_factor = {self.r_factor!r}: the model error's R factor lies in [0, 0.5)")
        if self.sites < 1:
            raise ParameterError(f"sites = {self.sites!r}: at least one site is wanted")
        if not 0.0 < self.b_range[0] <= self.b_range[1]:
            raise ParameterError(f"b_range = {self.b_range!r}: two positive numbers in rising order are wanted")

    def structure_factors(
        self,
        model: gemmi.Model,
        reflections: Reflections,
        mixture: Complexes,
        rng: np.random.Generator,
    ) -> Complexes:
        """Structure factors (n,) of the error, in electrons.

        Parameters
        ----------
        model : gemmi.Model
            Tells solvent from atoms.
        reflections : Reflections
            Where they are wanted.
        mixture : ndarray
            (n,) structure factors of the dataset that sets the size.
        rng : Generator
            Source of the sites.
        """
        if self.r_factor == 0.0:
            return np.zeros(len(reflections), dtype=np.complex128)
        shape = atomic_structure_factors(self._sites(model, reflections, rng), reflections)
        # Sized to the mixture first, so that the multiple looked for is of order one.
        shape = shape * np.sqrt(np.mean(np.abs(mixture) ** 2) / np.mean(np.abs(shape) ** 2))

        return np.asarray(self._multiple(mixture, shape) * shape, dtype=np.complex128)

    def _multiple(self, mixture: Complexes, shape: Complexes) -> float:
        """Multiple of a shape that changes the amplitudes by the wanted R factor, by bisection."""
        lower, upper = 0.0, _LARGEST
        while upper - lower > _PRECISION:
            middle = 0.5 * (lower + upper)
            if r_factor(np.abs(mixture + middle * shape), np.abs(mixture)) < self.r_factor:
                lower = middle
            else:
                upper = middle
        return upper

    def _sites(self, model: gemmi.Model, reflections: Reflections, rng: np.random.Generator) -> gemmi.Model:
        mask = solvent_mask(model, reflections.cell, reflections.space_group, spacing=_GRID_SPACING)
        residue = gemmi.Residue()
        residue.name = "ERR"
        for _ in range(self.sites):
            place = gemmi.Fractional(*rng.random(3).tolist())
            atom = gemmi.Atom()
            atom.name = "O"
            atom.element = gemmi.Element("O")
            atom.pos = reflections.cell.orthogonalize(place)
            atom.b_iso = float(rng.uniform(*self.b_range))
            weight = float(rng.standard_normal())
            in_solvent = mask.interpolate_value(place) > 0.5
            atom.occ = abs(weight) if in_solvent else weight
            residue.add_atom(atom)
        chain = gemmi.Chain("E")
        chain.add_residue(residue)
        sites = gemmi.Model(1)
        sites.add_chain(chain)
        return sites


def r_factor(observed: Reals, calculated: Reals) -> float:
    """``sum |observed - calculated| / sum observed`` of amplitudes on one scale; nan for none."""
    total = float(np.sum(observed))
    return float(np.sum(np.abs(observed - calculated))) / total if total > 0.0 else math.nan
