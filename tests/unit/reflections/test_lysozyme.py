"""The datasets of the real series, where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from torchref_kinetic_plugin.reflections import (
    Observations,
    best_indexing,
    check_same_crystal,
    completeness,
    merge_grid,
    one_free_set,
    read_observations,
    relative_scale,
    spread_against_sigma,
)

#: Repository data that is not shipped; tests that need it skip when it is absent.
DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "hewl_tjump"
DELAYS = ("20ns", "20us", "200us")
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no {DATA}")


@pytest.fixture(scope="module")
def datasets() -> dict[str, Observations]:
    names = [f"apo_{delay}_{kind}" for delay in DELAYS for kind in ("dark1", "dark2", "light")]
    return {name: read_observations(DATA / f"{name}.mtz") for name in names}


def test_columns_flags_and_crystal(datasets) -> None:
    for name, each in datasets.items():
        assert each.name == name
        assert dict(each.columns) == {"F": "FP", "SIGF": "SIGFP", "free": "FreeR_flag"}
        assert each.spacegroup.xhm() == "P 43 21 2"
        np.testing.assert_allclose(each.cell.parameters, (79.446, 79.446, 38.159, 90.0, 90.0, 90.0), atol=2e-3)
        assert 17_500 < len(each) < 17_800
        assert each.d_min == pytest.approx(1.57, abs=0.01)
        assert (each.free == 1).mean() == pytest.approx(0.051, abs=0.005)
        assert completeness(each).overall.completeness > 0.95
        assert check_same_crystal(datasets["apo_20ns_dark1"], each).text == ""


def test_amplitudes_are_french_wilsons(datasets) -> None:
    for each in datasets.values():
        assert "amplitudes taken for French & Wilson's and inverted to intensities" in each.remarks[-1]
        # Few are weak; the others differ from squares by less than their error.
        strong = each.amplitude > 6.0 * each.sigma
        assert strong.mean() > 0.9
        off = (each.intensity - each.amplitude**2)[strong] / each.intensity_sigma[strong]
        assert np.sqrt((off**2).mean()) < 0.3
        np.testing.assert_allclose(each.intensity_sigma[strong], (2.0 * each.amplitude * each.sigma)[strong], rtol=0.1)
        assert (each.intensity / each.intensity_sigma).min() > -4.0


def test_one_free_set_and_one_grid(datasets) -> None:
    first, *others = datasets.values()
    free_set = one_free_set(first, others, seed=1)
    assert free_set.free.mean() == pytest.approx(0.051, abs=0.005)
    assert not any("otherwise" in remark for remark in free_set.remarks)
    grid = merge_grid([first, *others], free_set)
    assert grid.mask.sum() == sum(len(each) for each in datasets.values())
    assert grid.mask.mean() > 0.98
    np.testing.assert_array_equal(np.isfinite(grid.intensity), grid.mask)


def test_datasets_agree_as_one_crystal(datasets) -> None:
    reference = datasets["apo_20ns_dark1"]
    for name in ("apo_20ns_dark2", "apo_20ns_light"):
        # Nothing else fits the lattice of this point group.
        assert list(best_indexing(reference, datasets[name]).correlations) == ["h,k,l"]
        assert best_indexing(reference, datasets[name]).correlations["h,k,l"] > 0.95
    spread = {
        name: spread_against_sigma(reference, datasets[f"apo_20ns_{name}"]).overall for name in ("dark2", "light")
    }
    # The pulse changes more than a second dark set differs by.
    assert spread["light"] > 1.1 * spread["dark2"]
    assert 0.5 < spread["dark2"] < 1.5
    assert 0.5 < relative_scale(reference, datasets["apo_20ns_light"]).k < 2.0
