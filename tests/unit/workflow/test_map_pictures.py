"""Which residues are shown, and of which timepoint."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.output.report_material import bare
from tests.unit.refinement.small_joint import EXAMPLE
from torchref_kinetic_plugin.results import OccupancyEstimate
from torchref_kinetic_plugin.structures import load_files, residue_differences
from torchref_kinetic_plugin.workflow.loading import load_refinement
from torchref_kinetic_plugin.workflow.map_files import map_data_of
from torchref_kinetic_plugin.workflow.map_pictures import write_map_views
from torchref_kinetic_plugin.workflow.refining import prepare

PEAKS = {"I1": "50_ns", "I2": "20_us"}


@pytest.fixture(scope="module")
def run():
    """The example at low resolution, nothing fitted yet."""
    return prepare(load_refinement(EXAMPLE / "refinement.toml", overrides={"refinement.d_min": 3.0}))


def result_with(peaks):
    """A result in which each structure has 0.2, and more at its own timepoint."""
    names = ("10_ns", "50_ns", "200_ns", "20_us")
    rows = [
        OccupancyEstimate("298K", point, 1e-8, structure, 0.4 if peaks.get(structure) == point else 0.2, None, None)
        for point in names
        for structure in ("dark", "I1", "I2")
    ]
    return replace(bare(), structures=("dark", "I1", "I2"), occupancies=tuple(rows))


def test_the_residues_that_moved_most_where_their_structure_is_most_occupied(run, tmp_path):
    views = write_map_views(run, result_with(PEAKS), tmp_path)
    assert {(each.structure, each.timepoint, each.occupancy) for each in views} == {
        ("I1", "50_ns", 0.4),
        ("I2", "20_us", 0.4),
    }
    structures = load_files({name: EXAMPLE / f"{name.lower()}.pdb" for name in ("dark", "I1", "I2")}).structures
    for structure in structures[1:]:
        own = [each for each in views if each.structure == structure.name]
        furthest = max(residue_differences(structure, structures[0]), key=lambda each: np.nan_to_num(each.rms))
        assert own[0].residue == str(furthest.residue)
        assert own[0].rms_shift == pytest.approx(furthest.rms, abs=0.01)
        assert len(own) == 2
        assert own[1].rms_shift < own[0].rms_shift
    assert sorted(path.name for path in (tmp_path / "views").iterdir()) == [each.file[6:] for each in views]
    assert all(each.level > 0.0 and -1.0 <= each.correlation <= 1.0 for each in views)


def test_pictures_of_an_earlier_run_go_and_other_files_stay(run, tmp_path):
    (tmp_path / "views").mkdir()
    for name in ("07_I9_A-GLY-1.png", "mine.png"):
        (tmp_path / "views" / name).touch()
    views = write_map_views(run, result_with(PEAKS), tmp_path)
    names = {path.name for path in (tmp_path / "views").iterdir()}
    assert names == {"mine.png", *(each.file[6:] for each in views)}


def test_a_structure_that_is_nowhere_is_not_shown(run, tmp_path):
    result = result_with(PEAKS)
    rows = [replace(each, occupancy=0.0) if each.structure == "I1" else each for each in result.occupancies]
    views = write_map_views(run, replace(result, occupancies=tuple(rows)), tmp_path)
    assert {each.structure for each in views} == {"I2"}


def test_map_data_are_those_of_the_timepoints(run):
    data = map_data_of(run, 0)
    grid = run.models[0].data.grid
    assert len(data) == 8
    for row, each in enumerate(data, start=1):
        np.testing.assert_array_equal(np.isfinite(each.f_obs), grid.mask[row])
        np.testing.assert_array_equal(np.isfinite(each.f_obs_reference), grid.mask[0])
    occupancies = run.provider()[0].detach().numpy()
    np.testing.assert_allclose([each.excited_fraction for each in data], 1.0 - occupancies[0], atol=1e-12)
