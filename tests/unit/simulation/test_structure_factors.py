from __future__ import annotations

import gemmi
import numpy as np
import pytest

from tests.unit.simulation.conftest import OCCUPANCIES, crystal, simulate
from torchref_kinetic_plugin.errors import InputError, ParameterError
from torchref_kinetic_plugin.simulation import BulkSolvent, ModelError, ScalingSpread
from torchref_kinetic_plugin.simulation.scaling import symmetrized
from torchref_kinetic_plugin.simulation.structure_factors import (
    MASK_SPACING,
    common_crystal,
    solvent_mask,
    solvent_structure_factors,
    unique_reflections,
)


def summed_directly(structure: gemmi.Structure, hkl: np.ndarray) -> np.ndarray:
    """Structure factors by a sum over atoms and symmetry operations, in numpy alone."""
    cell = structure.cell
    fractionalization = np.array(cell.frac.mat.tolist())
    s = hkl @ fractionalization
    stol2 = (s**2).sum(axis=1) / 4.0
    total = np.zeros(len(hkl), dtype=complex)
    # P 21 21 21, from the International Tables.
    signs = np.array([[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]])
    shifts = np.array([[0, 0, 0], [0.5, 0, 0.5], [0, 0.5, 0.5], [0.5, 0.5, 0]])
    for atom in structure[0][0][0]:
        table = atom.element.it92
        a, b = np.array(table.a), np.array(table.b)
        factor = (a * np.exp(-b * stol2[:, None])).sum(axis=1) + table.c
        factor = factor * np.exp(-atom.b_iso * stol2) * atom.occ
        place = fractionalization @ np.array(atom.pos.tolist())
        for sign, shift in zip(signs, shifts, strict=True):
            total += factor * np.exp(2j * np.pi * (hkl @ (sign * place + shift)))
    return total


def test_a_series_without_faults_is_the_occupancy_weighted_sum(structures):
    series = simulate(
        structures,
        solvent=BulkSolvent(k_sol=0.0),
        scaling=ScalingSpread(ln_scale=0.0, b=0.0, anisotropy=0.0),
        error=ModelError(r_factor=0.0),
    )
    components = np.stack([summed_directly(s, series.reflections.hkl.astype(float)) for s in structures])
    for number, dataset in enumerate(series.datasets):
        expected = np.abs(OCCUPANCIES[:, number] @ components)
        # gemmi holds form factors in single precision, which shows relative to the strongest terms.
        np.testing.assert_allclose(np.sqrt(dataset.true_intensity), expected, rtol=1e-6, atol=1e-6 * expected.mean())


def test_all_unique_reflections_are_listed_once():
    structure = crystal(1)
    cell, group = common_crystal([structure])
    reflections = unique_reflections(cell, group, d_min=2.0, d_max=10.0)
    d = reflections.s_squared**-0.5
    assert d.min() >= 2.0
    assert d.max() <= 10.0
    h = np.arange(-13, 14)
    grid = np.array(np.meshgrid(h, h, h)).reshape(3, -1).T
    inside = ((grid / np.array(structure.cell.parameters[:3])) ** 2).sum(axis=1)
    sphere = {tuple(np.abs(x)) for x in grid[(inside <= 0.25) & (inside >= 0.01)]}
    axial = {x for x in sphere if sorted(x)[:2] == [0, 0] and sum(x) % 2}
    assert {tuple(np.abs(x)) for x in reflections.hkl.tolist()} == sphere - axial
    assert len(reflections) == len(sphere - axial)
    assert reflections.centric.sum() == (reflections.hkl == 0).any(axis=1).sum()


def test_the_solvent_is_the_transform_of_its_mask():
    structure = crystal(1)
    cell, group = common_crystal([structure])
    reflections = unique_reflections(cell, group, d_min=4.0)
    values = solvent_structure_factors(structure[0], reflections, BulkSolvent(0.4, 50.0))
    mask = np.array(solvent_mask(structure[0], cell, group, spacing=MASK_SPACING), copy=True)
    transform = np.conj(np.fft.fftn(mask.astype(np.float64))) * cell.volume / mask.size
    direct = transform[tuple(reflections.hkl.T)]
    smeared = 0.4 * direct * np.exp(-50.0 * reflections.s_squared / 4.0)
    np.testing.assert_allclose(values, smeared, atol=1e-4 * np.abs(smeared).max())


@pytest.mark.parametrize("symbol", ["P 21 21 21", "P 43 21 2", "P 1 21 1", "P 63 2 2"])
def test_equivalent_reflections_have_equal_anisotropy(symbol):
    group = gemmi.SpaceGroup(symbol)
    angle = 120.0 if "63" in symbol else (105.0 if "1 21 1" in symbol else 90.0)
    monoclinic = "1 21 1" in symbol
    cell = gemmi.UnitCell(40, 40, 60, 90, angle if monoclinic else 90, 90 if monoclinic else angle)
    element = np.random.default_rng(0).standard_normal((3, 3))
    tensor = symmetrized(element + element.T, cell, group)
    fractional = np.array(cell.frac.mat.tolist())
    values = []
    for operation in group.operations().sym_ops:
        s = np.array(operation.apply_to_hkl([3, 2, 5])) @ fractional
        values.append(s @ tensor @ s)
    np.testing.assert_allclose(values, values[0], rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: setattr(s, "spacegroup_hm", "P 1 21 1"), "space|share their crystal"),
        (lambda s: setattr(s, "cell", gemmi.UnitCell(19.1, 22, 25, 90, 90, 90)), "cells of structures"),
        (lambda s: setattr(s, "cell", gemmi.UnitCell()), "no unit cell"),
        (lambda s: setattr(s, "spacegroup_hm", "nonsense"), "no known space group"),
        (lambda s: s.add_model(s[0].clone()), "2 models"),
    ],
)
def test_structures_of_different_crystals_are_refused(change, words):
    other = crystal(2, name="other")
    change(other)
    with pytest.raises(InputError, match=words):
        common_crystal([crystal(1), other])


def test_impossible_limits_are_refused():
    cell, group = common_crystal([crystal(1)])
    for limits in ({"d_min": 0.0}, {"d_min": 2.0, "d_max": 1.0}, {"d_min": 60.0}):
        with pytest.raises(ParameterError):
            unique_reflections(cell, group, **limits)
    with pytest.raises(ParameterError, match="k_sol"):
        BulkSolvent(k_sol=-1.0)
    with pytest.raises(InputError, match="no structure"):
        common_crystal([])
