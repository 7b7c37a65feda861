"""Observations made of arrays: what is refused, and that all arrays stay together."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from tests.unit.reflections import crystals
from torchref_kinetic_plugin.errors import InputError, ShapeError
from torchref_kinetic_plugin.reflections import Observations, from_amplitudes
from torchref_kinetic_plugin.reflections.observations import changed_cell, transformed

HKL = crystals.reflections("P 3", d_min=4.0)
N = len(HKL)
#: Different numbers for every array, in the order of HKL.
F = 10.0 + np.arange(N)


def made(order: np.ndarray | None = None, **changes: object) -> Observations:
    rows = np.arange(N) if order is None else order
    arrays = {
        "hkl": HKL[rows],
        "amplitude": F[rows],
        "sigma": 1.0 + 0.001 * F[rows],
        "intensity": 100.0 - F[rows],
        "intensity_sigma": 2.0 + F[rows],
    }
    return Observations(
        path="made.mtz",
        cell=gemmi.UnitCell(*crystals.CELLS["P 3"]),
        spacegroup=gemmi.SpaceGroup("P 3"),
        flags=None,
        columns={"F": "F", "SIGF": "SIGF"},
        kind="amplitude",
        wavelength=None,
        remarks=(),
        **{**arrays, **changes},  # type: ignore[arg-type]
    )


def together(each: Observations) -> None:
    np.testing.assert_allclose(each.sigma, 1.0 + 0.001 * each.amplitude)
    np.testing.assert_allclose(each.intensity, 100.0 - each.amplitude)
    np.testing.assert_allclose(each.intensity_sigma, 2.0 + each.amplitude)
    assert not any(array.flags.writeable for array in (each.hkl, each.amplitude, each.sigma, each.intensity))


def test_arrays_are_sorted_together() -> None:
    order = np.random.default_rng(1).permutation(N)
    each = made(order)
    together(each)
    assert (np.diff(each.keys) > 0).all()
    expected = dict(zip(map(tuple, HKL.tolist()), F, strict=True))
    assert [expected[tuple(h)] for h in each.hkl.tolist()] == each.amplitude.tolist()


def test_within_and_reindexed_carry_all_arrays() -> None:
    each = made()
    inner = each.within(d_min=5.0)
    together(inner)
    assert 50 <= len(inner) < N
    turned = each.reindexed(gemmi.Op("k,h,-l"))
    together(turned)
    assert turned.remarks[-1] == "reindexed as k,h,-l"
    assert sorted(turned.amplitude) == sorted(each.amplitude)
    # P 3 is its own image; a reflection of the other indexing has the same amplitude.
    place = dict(zip(turned.keys.tolist(), turned.amplitude, strict=True))
    assert [place[key] for key in each.images(gemmi.Op("k,h,-l")).tolist()] == each.amplitude.tolist()
    back = turned.reindexed(gemmi.Op("k,h,-l"))
    np.testing.assert_array_equal(back.amplitude, each.amplitude)
    np.testing.assert_array_equal(back.intensity, each.intensity)


def test_intensities_left_out_are_made_of_the_amplitudes() -> None:
    each = crystals.observations(HKL, F, group="P 3")
    expected = from_amplitudes(each.amplitude, each.sigma, each.epsilon, each.resolution, each.centric)
    np.testing.assert_array_equal(each.intensity, expected.intensity)
    np.testing.assert_array_equal(each.intensity_sigma, expected.sigma)
    assert each.remarks == (expected.text,)
    # Chosen reflections keep theirs: they are not made again with another mean.
    inner = each.within(d_min=5.0)
    np.testing.assert_array_equal(inner.intensity, each.intensity[each.resolution >= 5.0])
    assert inner.remarks[0] == expected.text
    assert len(inner.remarks) == 2


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"amplitude": F[:-1]}, ShapeError, "amplitude .* do not fit together"),
        ({"intensity": F[:-1]}, ShapeError, "intensity .* do not fit together"),
        ({"intensity": np.empty(0)}, ShapeError, r"intensity \(0,\), intensity_sigma"),
        ({"hkl": HKL[:, :2]}, ShapeError, "hkl .* do not fit together"),
        ({"intensity": np.full(N, np.nan)}, InputError, "intensity has to be finite"),
        ({"intensity_sigma": np.zeros(N)}, InputError, "intensity_sigma finite and above zero"),
        ({"sigma": -F}, InputError, "sigma finite and above zero"),
        ({"amplitude": 1e31 * F}, InputError, "beyond 1e.30"),
        ({"sigma": 1e-33 * F}, InputError, "below its inverse"),
        ({"hkl": np.concatenate([HKL[1:2], HKL[1:]])}, InputError, "1 reflections more than once"),
    ],
)
def test_impossible_arrays_are_refused(changes: dict[str, np.ndarray], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        made(**changes)
    assert "made.mtz" in str(caught.value)


@pytest.mark.parametrize("triplet", ["k,h,-l", "-h,-k,l", "h+k,-k,-l"])
def test_spacings_survive_a_change_of_indices(triplet: str) -> None:
    cell = gemmi.UnitCell(20.0, 23.0, 27.0, 82.0, 95.0, 101.0)
    operator = gemmi.Op(triplet)
    image = transformed(HKL, operator)
    assert image[7].tolist() == list(operator.apply_to_hkl(HKL[7].tolist()))
    after = gemmi.UnitCell(*changed_cell(cell, operator))
    np.testing.assert_allclose(after.calculate_d_array(image), cell.calculate_d_array(HKL), rtol=1e-10)
    with pytest.raises(InputError, match="does not give whole indices"):
        transformed(HKL, gemmi.Op("h/2,k,l"))
