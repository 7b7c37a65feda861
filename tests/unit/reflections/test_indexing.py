"""Ways to index a crystal, told by comparison with a reference."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from tests.unit.reflections import crystals
from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.reflections import (
    Observations,
    alternative_indexing,
    best_indexing,
    spread_against_sigma,
)


def pair(group: str, seed: int = 3) -> tuple[Observations, Observations]:
    """Two measurements of one crystal, the second on another scale."""
    hkl = crystals.reflections(group, d_min=3.0)
    truth = np.sqrt(crystals.wilson_intensities(group, hkl, seed))
    random = np.random.default_rng(seed)
    sigma = 0.05 * truth.mean()
    first = crystals.observations(hkl, truth + 5 * sigma, np.full(len(hkl), sigma), group, "a.mtz")
    noisy = 2.0 * (truth + 5 * sigma + random.normal(0.0, sigma, len(hkl)))
    return first, crystals.observations(hkl, noisy, np.full(len(hkl), 2.0 * sigma), group, "b.mtz")


@pytest.mark.parametrize(
    ("group", "operators"),
    [
        ("P 43", ("k,h,-l",)),
        ("P 3", ("-h,-k,l", "k,h,-l", "-k,-h,-l")),
        ("P 31 2 1", ("-h,-k,l",)),
        ("P 21 21 21", ()),
        ("P 1", ()),
    ],
)
def test_ways_to_index(group: str, operators: tuple[str, ...]) -> None:
    cell, spacegroup = gemmi.UnitCell(*crystals.CELLS[group]), gemmi.SpaceGroup(group)
    found = alternative_indexing(cell, spacegroup)
    assert len(found) == len(operators)
    # Each is one of a coset; the images decide which.
    hkl = np.array([[1, 2, 3], [5, -1, 2]], dtype=np.int32)
    asu, operations = gemmi.ReciprocalAsu(spacegroup), spacegroup.operations()

    def image(triplet: str) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(asu.to_asu(gemmi.Op(triplet).apply_to_hkl(h), operations)[0]) for h in hkl.tolist())

    assert {image(each) for each in found} == {image(each) for each in operators}


@pytest.mark.parametrize("group", ["P 43", "P 3", "P 31 2 1"])
def test_the_other_indexing_is_named_and_undone(group: str) -> None:
    first, second = pair(group)
    right = best_indexing(first, second)
    assert right.best == "h,k,l"
    assert next(iter(right.correlations)) == "h,k,l"
    assert right.correlations["h,k,l"] > 0.98
    # Reflections that an operator leaves where they are correlate in any indexing.
    assert all(abs(value) < 0.5 for name, value in right.correlations.items() if name != "h,k,l")
    for triplet in alternative_indexing(first.cell, first.spacegroup):
        turned = second.reindexed(gemmi.Op(triplet))
        report = best_indexing(first, turned)
        assert report.best != "h,k,l"
        # The same pairs; only shells may divide reflections of equal spacing otherwise.
        assert report.correlations[report.best] == pytest.approx(right.correlations["h,k,l"], abs=0.01)
        assert abs(report.correlations["h,k,l"]) < 0.5
        assert report.n_common[report.best] == len(second)
        assert report.text.endswith(f"; it is indexed otherwise, reindex it as {report.best}")
        mended = turned.reindexed(report.operator)
        np.testing.assert_array_equal(mended.hkl, second.hkl)
        np.testing.assert_array_equal(mended.amplitude, second.amplitude)
        np.testing.assert_array_equal(mended.intensity, second.intensity)
        np.testing.assert_allclose(mended.cell.parameters, second.cell.parameters, atol=1e-4)
        # Differences fall from those of unrelated data to noise: (1 + 1) sigma^2 was allowed, one was drawn.
        assert spread_against_sigma(first, turned).overall > 3.0
        assert spread_against_sigma(first, mended).overall == pytest.approx(np.sqrt(0.5), abs=0.06)


def test_accidental_symmetry_of_the_cell_is_found() -> None:
    """Monoclinic with beta near 90 degrees and P 21 21 21 with a near b."""
    cell = gemmi.UnitCell(30.0, 30.1, 42.0, 90.0, 90.0, 90.0)
    assert len(alternative_indexing(cell, gemmi.SpaceGroup("P 21 21 21"))) == 1
    assert alternative_indexing(cell, gemmi.SpaceGroup("P 21 21 21"), max_obliquity=0.05) == ()


def test_unrelated_data_keep_their_indexing() -> None:
    first, second = pair("P 43", 3)[0], pair("P 43", 8)[0]
    report = best_indexing(first, second)
    assert max(abs(value) for value in report.correlations.values()) < 0.2
    assert report.best == "h,k,l" or report.correlations[report.best] > report.correlations["h,k,l"] + 0.05


def test_too_few_common_reflections_are_refused() -> None:
    first, second = pair("P 21 21 21")
    low, high = first.within(d_min=5.0), second.within(d_max=4.0)
    with pytest.raises(InputError, match="'b.mtz' and 'a.mtz' have 0 common reflections; at least 50"):
        best_indexing(low, high)
