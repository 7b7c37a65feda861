"""A result that was written is read back as it was."""

import dataclasses
import json
import math

import pytest

from tests.unit.output.report_material import bare, full
from torchref_kinetic_plugin.errors import FileError
from torchref_kinetic_plugin.output.tables import write_tables
from torchref_kinetic_plugin.results import Profile, RefinementResult, ResidueShift, read_list, read_result


@pytest.mark.parametrize("result", [bare(), full()[0]], ids=["bare", "full"])
def test_a_result_comes_back_equal(result, tmp_path):
    write_tables(tmp_path, result)
    assert read_result(tmp_path / "result.json") == result


def test_numbers_that_json_has_not_come_back(tmp_path):
    write_tables(tmp_path, full()[0])
    again = read_result(tmp_path / "result.json")
    assert math.isnan(again.shifts[1].std_error)
    width = again.parameter("response", "width")
    assert (width.std_error_ln, width.upper, width.lower) == (math.inf, math.inf, 0.0)
    assert again.parameter("efficiency", "B->A").lower is None


def test_every_field_of_a_result_is_tried_above():
    empty = {name for name, value in vars(full()[0]).items() if value in ((), {}, None, "")}
    assert empty == set()
    assert {field.name for field in dataclasses.fields(RefinementResult)} == set(vars(full()[0]))


def test_a_result_of_an_earlier_version_lacks_what_is_new(tmp_path):
    table = bare().to_json()
    for name in ("datasets", "residuals", "curves", "map_views", "validation", "correlations"):
        del table[name]
    (tmp_path / "result.json").write_text(json.dumps(table))
    assert read_result(tmp_path / "result.json") == bare()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 99}, "has schema 99; this version reads 1"),
        ({"titel": ""}, r"RefinementResult has no 'titel' \(did you mean 'title'\?\)"),
        ({"seed": "one"}, "seed: 'one' where int is wanted"),
        ({"seed": True}, "seed: True where int is wanted"),
        ({"seconds": "fast"}, "seconds: 'fast' where float is wanted"),
        ({"converged": 1}, "converged: 1 where bool is wanted"),
        ({"statistics": {}}, "statistics: a list is wanted"),
        ({"versions": []}, "versions: a table is wanted"),
        ({"statistics": [1]}, r"statistics\[0\]: DatasetStatistics is wanted"),
        ({"shifts": [{"structure": "I1"}]}, r"shifts\[0\]: 'residue' of ResidueShift is missing"),
    ],
)
def test_what_is_no_result_is_refused_with_its_place(tmp_path, change, message):
    (tmp_path / "result.json").write_text(json.dumps(bare().to_json() | change))
    with pytest.raises(FileError, match=message):
        read_result(tmp_path / "result.json")


@pytest.mark.parametrize(
    ("text", "message"), [("[1", "is no JSON"), ("[]", "it has no schema number"), ("{}", "it has no schema number")]
)
def test_what_is_no_json_is_refused(tmp_path, text, message):
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(FileError, match=message):
        read_result(tmp_path / "result.json")


def test_lists(tmp_path):
    profiles = full()[1][0]
    (tmp_path / "profiles.json").write_text(json.dumps([dataclasses.asdict(each) for each in profiles]))
    assert read_list(tmp_path / "profiles.json", Profile) == profiles
    (tmp_path / "profiles.json").write_text('[{"value": 1}]')
    with pytest.raises(FileError, match=r"no list of Profile: \[0\]: 'experiment' of Profile is missing"):
        read_list(tmp_path / "profiles.json", Profile)
    (tmp_path / "profiles.json").write_text('{"value": 1}')
    with pytest.raises(FileError, match="is no list"):
        read_list(tmp_path / "profiles.json", ResidueShift)
