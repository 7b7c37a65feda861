"""Structure factors of atoms and of bulk solvent by gemmi, on one list of reflections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.errors import InputError, ParameterError

Reals = NDArray[np.float64]
Complexes = NDArray[np.complex128]
Indices = NDArray[np.int32]
Flags = NDArray[np.bool_]

#: Cells of structures that belong to one crystal agree to this relative accuracy; 0.2 % moves F by 5 %.
CELL_TOLERANCE = 1e-5
#: Of the grid of a solvent mask, A, and its points in the largest cells. The crystal has no grid: at 0.5 A the
#: raggedness of the mask's edge is a sixth of the difference that an atom makes which turns into solvent. Finer than
#: that of a refinement, or both would be ragged alike.
MASK_SPACING = 0.2
_LARGEST_MASK = 1e8


@dataclass(frozen=True)
class BulkSolvent:
    """Flat bulk solvent outside the atoms.

    Attributes
    ----------
    k_sol : float
        Density, in electrons per cubic angstrom.
    b_sol : float
        Displacement parameter that smears its edge, in square angstrom.

    Notes
    -----
    The default values are the mean over the Protein Data Bank (Fokine & Urzhumtsev, Acta Cryst. D58, 1387,
    2002).
    """

    k_sol: float = 0.35
    b_sol: float = 46.0

    def __post_init__(self) -> None:
        for name, value in (("k_sol", self.k_sol), ("b_sol", self.b_sol)):
            if not (math.isfinite(value) and value >= 0.0):
                raise ParameterError(f"{name} = {value!r}: a number from 0 up is wanted")


@dataclass(frozen=True)
class Reflections:
    """Unique reflections of one crystal.

    Attributes
    ----------
    cell : gemmi.UnitCell
        The cell, with its symmetry images set up.
    space_group : gemmi.SpaceGroup
        The space group.
    hkl : ndarray
        (n, 3) Miller indices in the asymmetric unit of the CCP4 convention, without systematic absences.
    s_squared : ndarray
        (n,) 1/d^2 in inverse square angstrom.
    centric : ndarray
        (n,) whether the phase is restricted by symmetry.
    epsilon : ndarray
        (n,) factor by which symmetry multiplies the mean intensity.
    """

    cell: gemmi.UnitCell
    space_group: gemmi.SpaceGroup
    hkl: Indices
    s_squared: Reals
    centric: Flags
    epsilon: Reals

    def __len__(self) -> int:
        return len(self.hkl)

    @property
    def scattering_vectors(self) -> Reals:
        """(n, 3) Cartesian scattering vectors, in inverse angstrom."""
        fractionalization = np.array(self.cell.frac.mat.tolist(), dtype=np.float64)
        return self.hkl.astype(np.float64) @ fractionalization


def unique_reflections(
    cell: gemmi.UnitCell, space_group: gemmi.SpaceGroup, *, d_min: float, d_max: float | None = None
) -> Reflections:
    """List the unique reflections between two resolution limits, in angstrom.

    Raises
    ------
    ParameterError
        For limits that are not positive, or that leave no reflection.
    """
    if not (math.isfinite(d_min) and d_min > 0.0):
        raise ParameterError(f"d_min = {d_min!r}: a resolution in angstrom is wanted")
    if d_max is not None and not d_max > d_min:
        raise ParameterError(f"d_max = {d_max!r}: the low-resolution limit lies above d_min = {d_min:g}")
    hkl = np.asarray(gemmi.make_miller_array(cell, space_group, d_min), dtype=np.int32)
    s_squared = np.asarray(cell.calculate_1_d2_array(hkl), dtype=np.float64)
    kept = np.ones(len(hkl), dtype=bool) if d_max is None else s_squared >= d_max**-2
    hkl, s_squared = hkl[kept], s_squared[kept]
    if not len(hkl):
        raise ParameterError(f"no reflection between d_min = {d_min:g} and d_max = {d_max}; widen the limits")
    operations = space_group.operations()
    centric = np.asarray(operations.centric_flag_array(hkl), dtype=bool)
    epsilon = np.asarray(operations.epsilon_factor_without_centering_array(hkl), dtype=np.float64)
    return Reflections(cell, space_group, hkl, s_squared, centric, epsilon)


def common_crystal(structures: Sequence[gemmi.Structure]) -> tuple[gemmi.UnitCell, gemmi.SpaceGroup]:
    """Cell and space group that all structures share.

    Raises
    ------
    InputError
        When there is no structure, one has no cell, no space group or not one model, or they differ.
    """
    if not structures:
        raise InputError("no structure given; a series needs at least one")
    for structure in structures:
        label = repr(structure.name)
        if len(structure) != 1:
            raise InputError(f"structure {label} has {len(structure)} models; one is wanted")
        if not structure.cell.is_crystal():
            raise InputError(f"structure {label} has no unit cell; a CRYST1 record or cell is needed")
        if structure.find_spacegroup() is None:
            raise InputError(f"structure {label} has no known space group ({structure.spacegroup_hm!r})")
    first = structures[0]
    group = first.find_spacegroup()
    assert group is not None
    for structure in structures[1:]:
        other = structure.find_spacegroup()
        if other != group:
            raise InputError(
                f"structure {structure.name!r} is in {structure.spacegroup_hm!r}, {first.name!r} in "
                f"{first.spacegroup_hm!r}; structures of one series share their crystal"
            )
        if not np.allclose(structure.cell.parameters, first.cell.parameters, rtol=CELL_TOLERANCE, atol=0.0):
            raise InputError(
                f"the cells of structures {first.name!r} {first.cell.parameters} and {structure.name!r} "
                f"{structure.cell.parameters} differ; structures of one series share their crystal"
            )
    crystal = gemmi.Structure()
    crystal.cell = gemmi.UnitCell(*first.cell.parameters)
    crystal.spacegroup_hm = group.xhm()
    crystal.setup_cell_images()
    return crystal.cell, group


def atomic_structure_factors(model: gemmi.Model, reflections: Reflections) -> Complexes:
    """Structure factors (n,) of the atoms, in electrons, by direct summation.

    Direct summation has no grid, hence no error of sampling; X-ray form factors of the International Tables
    1992 (C, 6.1.1.4).
    """
    calculator = gemmi.StructureFactorCalculatorX(reflections.cell)
    return np.array(
        [calculator.calculate_sf_from_model(model, miller) for miller in reflections.hkl.tolist()],
        dtype=np.complex128,
    )


def solvent_structure_factors(model: gemmi.Model, reflections: Reflections, solvent: BulkSolvent) -> Complexes:
    """Structure factors (n,) of the bulk solvent around the atoms, in electrons."""
    if solvent.k_sol == 0.0:
        return np.zeros(len(reflections), dtype=np.complex128)
    spacing = max(MASK_SPACING, (reflections.cell.volume / _LARGEST_MASK) ** (1.0 / 3.0))
    grid = solvent_mask(model, reflections.cell, reflections.space_group, spacing=spacing)
    transform = gemmi.transform_map_to_f_phi(grid, half_l=True)
    values = np.asarray(transform.get_value_by_hkl(reflections.hkl), dtype=np.complex128)
    smearing = np.exp(-0.25 * solvent.b_sol * reflections.s_squared)
    return np.asarray(solvent.k_sol * values * smearing, dtype=np.complex128)


def solvent_mask(
    model: gemmi.Model, cell: gemmi.UnitCell, space_group: gemmi.SpaceGroup, *, spacing: float
) -> gemmi.FloatGrid:
    """Grid over the cell that is 1 in bulk solvent and 0 elsewhere; spacing in angstrom."""
    grid = gemmi.FloatGrid()
    grid.set_unit_cell(cell)
    grid.spacegroup = space_group
    grid.set_size_from_spacing(spacing, gemmi.GridSizeRounding.Up)
    gemmi.SolventMasker(gemmi.AtomicRadiiSet.Cctbx).put_mask_on_float_grid(grid, model)
    return grid
