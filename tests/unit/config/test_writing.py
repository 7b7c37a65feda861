"""Refinement files as text: read again they say the same."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from torchref_kinetic_plugin.config import (
    ConfigError,
    RefinementFile,
    read_refinement_file,
    resolved_toml,
    starting_file,
    time_in_name,
)

EXAMPLE = Path(__file__).parents[3] / "example_data" / "photocycle" / "refinement.toml"

FULL = {
    "title": 'title = "a \\"quoted\\" \\\\ title of 5 \\u00b5s"\nschemes = ["A->B", "A->B, B->A"]',
    "refinement": (
        '[refinement]\noccupancy = "kinetics"\nd_min = 1.8\nd_max = 30\ncycles = 2\nseed = 7\nstarts = 1\n'
        'refine = ["kinetics", "structures"]\nfree_fraction = 0.1'
    ),
    "structures": (
        '[structures]\nfile = "all.cif"\naltlocs = {A = "dark", "*" = "I1", C = "I1"}\nrestraints = ["ligand.cif"]\n'
        'known_residues = ["RET", "a\\n\\u007f"]\nsuperpose = true\ncell_tolerance = 0.02'
    ),
    "experiment": (
        '[[experiment]]\nname = "298K"\ntemperature = 298\nreferences = ["dark.mtz", {file = "dark2.mtz", '
        'columns = {F = "F obs"}}]\ntimepoints = [{time = "1 µs", file = "t1.mtz"}, {time = "1 µs", file = "t2.mtz", '
        'free_value = 1}]\ncolumns = {F = "F-obs(+)", SIGF = "SIGF"}\nfree_value = 0\n'
        '[[experiment]]\nreferences = ["dark.mtz"]\ntimepoints = [{time = "inf", file = "t3.mtz", name = "last"}]\n'
        'states = [{name = "I1", file = "i1.pdb"}]'
    ),
    "kinetics": (
        '[kinetics]\nscheme = "A->B"\nlight_activated = true\nactivation = 1e-7\ncount = 3\nlimit = -inf\n'
        'rate_constants = {"A->B" = "inf"}\nties = {"B->C" = ["A->B", 2.0]}\nwhen = 2024-05-27T07:32:00\n'
        'steps = [{from = "A", rates = [{k = 1.0}]}, {from = "B"}]\n[kinetics.regularization]\nrate_prior_weight = 1.0'
    ),
    "rest": "[weights]\ndata = 2\n[validation]\nleave_out = false\n[output]\nmaps = false",
}


def same(found: RefinementFile, expected: RefinementFile) -> bool:
    """Equal but for where the file stands and how its paths are spelt."""

    def plain(file: RefinementFile) -> object:
        def real(value: object) -> object:
            if isinstance(value, Path):
                return value.resolve()
            if isinstance(value, dict):
                return {key: real(entry) for key, entry in value.items()}
            return [real(entry) for entry in value] if isinstance(value, list | tuple) else value

        return real(file.model_dump(exclude={"path"}))

    return plain(found) == plain(expected)


@pytest.mark.parametrize("parts", [{}, FULL], ids=["least", "full"])
@pytest.mark.parametrize("elsewhere", [".", "refined", "a/b/c"])
def test_a_resolved_file_read_again_is_the_same(write, directory, parts, elsewhere):
    found = read_refinement_file(write(**parts))
    target = directory / elsewhere / "resolved.toml"
    target.parent.mkdir(parents=True, exist_ok=True)
    text = resolved_toml(found, relative_to=target.parent)
    target.write_text(text, encoding="utf-8")
    again = read_refinement_file(target)
    assert same(again, found)
    assert resolved_toml(again, relative_to=target.parent) == text


def test_a_resolved_file_has_all_defaults_and_relative_paths(write, directory):
    table = tomllib.loads(resolved_toml(read_refinement_file(write()), relative_to=directory / "refined"))
    assert table == {
        "title": "test",
        "refinement": {
            "occupancy": "kinetics",
            "cycles": 5,
            "stop": True,
            "refine": ["kinetics", "scale"],
            "seed": 1,
            "starts": 4,
            "free_fraction": 0.05,
        },
        "structures": {
            "states": [{"name": "dark", "file": "../dark.pdb"}, {"name": "I1", "file": "../i1.pdb"}],
            "superpose": False,
            "cell_tolerance": 0.01,
        },
        "weights": {"data": 1.0, "geometry": 1.0, "adp": 1.0, "similarity": 1.0, "siblings": 1.0, "occupancy": 1.0},
        "validation": {"leave_out": True, "free_occupancies": True, "null_test": True},
        "output": {"directory": ".", "maps": True, "plots": True, "report": True, "deposition": True},
        "experiment": [
            {
                "name": "experiment_1",
                "references": [{"file": "../dark.mtz"}],
                "timepoints": [
                    {"file": "../t1.mtz", "time": "100 ns", "name": "100_ns"},
                    {"file": "../t2.mtz", "time": "inf", "name": "inf"},
                ],
            }
        ],
        "kinetics": {"scheme": "A->B"},
    }


def test_a_link_keeps_its_name_and_a_linked_directory_is_followed(write, directory):
    store = directory / "store"
    store.mkdir()
    (store / "0123abcd").write_text("")
    (directory / "t1.mtz").unlink()
    (directory / "t1.mtz").symlink_to(store / "0123abcd")
    (directory / "scratch" / "deep").mkdir(parents=True)
    (directory / "refined").symlink_to(directory / "scratch" / "deep")
    found = read_refinement_file(write())
    text = resolved_toml(found, relative_to=directory / "refined")
    assert tomllib.loads(text)["experiment"][0]["timepoints"][0]["file"] == "../../t1.mtz"
    (directory / "refined" / "again.toml").write_text(text)
    again = read_refinement_file(directory / "refined" / "again.toml")
    assert again.experiments[0].timepoints[0].file.name == "t1.mtz"
    assert same(again, found)


def test_the_example_is_the_same_read_again(tmp_path):
    found = read_refinement_file(EXAMPLE)
    (tmp_path / "again.toml").write_text(resolved_toml(found, relative_to=tmp_path), encoding="utf-8")
    assert same(read_refinement_file(tmp_path / "again.toml"), found)


STRUCTURES = {"dark": "dark.pdb", "I1": "i1.pdb", "I2": "all.cif"}


def test_a_starting_file_can_be_read(directory):
    text = starting_file(
        STRUCTURES, ["dark.mtz"], [("t1.mtz", "100 ns"), ("t2.mtz", "2.5 us")], title='the "first" one'
    )
    (directory / "refinement.toml").write_text(text)
    found = read_refinement_file(directory / "refinement.toml")
    assert found.title == 'the "first" one'
    assert found.structures.names == ("dark", "I1", "I2")
    assert [each.file.name for each in found.experiments[0].references] == ["dark.mtz"]
    assert [point.time_s for point in found.experiments[0].timepoints] == pytest.approx([1e-7, 2.5e-6], rel=1e-15)
    assert found.refinement.refine == ["kinetics", "scale"]
    assert found.provider_section == {
        "scheme": "A->B, B->C, C->A",
        "light_activated": True,
        "state_mapping": {"A": "dark", "B": "I1", "C": "I2"},
        "rate_constants": {"A->B": "inf"},
        "efficiencies": {"A->B": 0.3},
        "refine_efficiencies": ["A->B"],
    }


@pytest.mark.parametrize(
    ("count", "scheme"), [(1, "A"), (2, "A->B, B->A"), (3, "A->B, B->C, C->A"), (4, "A->B, B->C, C->D, D->A")]
)
def test_the_scheme_goes_round_all_structures(count, scheme):
    structures = {f"s{number}": "dark.pdb" for number in range(count)}
    section = tomllib.loads(starting_file(structures, ["dark.mtz"], [("t1.mtz", "1 ns")], title=""))["kinetics"]
    assert section["scheme"] == scheme
    assert list(section["state_mapping"].values()) == list(structures)


def test_a_delay_to_be_filled_in_is_refused_in_words(directory):
    text = starting_file(STRUCTURES, ["dark.mtz"], [("t1.mtz", None), ("t2.mtz", "1 us")], title="x")
    assert '{time = "?", file = "t1.mtz"},   # fill in the delay with its unit' in text
    (directory / "refinement.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_refinement_file(directory / "refinement.toml")
    (problem,) = caught.value.problems
    assert problem.place == "experiment[1].timepoints[1].time"
    assert problem.message == "cannot read the time '?'; write a number and a unit, e.g. '100 ns'"


def test_every_key_that_is_commented_out_can_be_taken_in(directory):
    text = starting_file(STRUCTURES, ["dark.mtz"], [("t1.mtz", "1 ns")], title="x")
    keys = ("# d_min", "# restraints", "# temperature", "# columns")
    assert all(f"\n{key} = " in text for key in keys)
    for key in keys:
        text = text.replace(f"\n{key} = ", f"\n{key.removeprefix('# ')} = ")
    (directory / "refinement.toml").write_text(text)
    found = read_refinement_file(directory / "refinement.toml")
    assert (found.refinement.d_min, found.experiments[0].temperature) == (1.8, 298.0)
    assert found.experiments[0].columns == {"F": "FP", "SIGF": "SIGFP", "free": "FreeR_flag"}
    assert [each.name for each in found.structures.restraints] == ["ligand.cif"]


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("photocycle_100ns.mtz", "100 ns"),
        ("t_2.5us", "2.5 us"),
        ("20-ms", "20 ms"),
        ("t100ns.mtz.gz", "100 ns"),
        ("2p5us.mtz", "2.5 us"),
        ("lyso_3µs.mtz", "3 µs"),
        ("data/10ns/light_200us.mtz", "200 us"),
        ("lyso-5ps.mtz", "5 ps"),
        ("lyso_-5ps.mtz", "-5 ps"),
        ("t_-5ps.mtz", "-5 ps"),
        ("-5ps.mtz", "-5 ps"),
        ("minus_1_ps.mtz", "-1 ps"),
        ("lyso_neg10ns.mtz", "-10 ns"),
        ("t-5ps.mtz", None),
        ("dark.mtz", None),
        ("dark1_s2.mtz", None),
        ("run_1.8A_298K.mtz", None),
        ("100nsx.mtz", None),
        ("100MS.mtz", None),
        ("t1.mtz", None),
    ],
)
def test_the_delay_in_a_file_name(name, time):
    assert time_in_name(name) == time
