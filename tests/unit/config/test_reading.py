"""Refinement files that are right."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from torchref_kinetic_plugin.config import Experiment, RefinementFile, StructuresSection, read_refinement_file
from torchref_kinetic_plugin.config.schema import OutputSection, RefinementSection, State, Timepoint, WeightsSection
from torchref_kinetic_plugin.errors import FileError

EXAMPLE = Path(__file__).parents[3] / "example_data" / "photocycle" / "refinement.toml"


def timepoints(*entries: str) -> str:
    return f'[[experiment]]\nreferences = ["dark.mtz"]\ntimepoints = [{", ".join(entries)}]'


def test_a_file_of_the_least_has_these_defaults(write, directory):
    found = read_refinement_file(write(title="", refinement=""))
    assert found.title == ""
    assert found.refinement.model_dump() == {
        "occupancy": "kinetics",
        "d_min": None,
        "d_max": None,
        "cycles": 5,
        "stop": True,
        "refine": ["kinetics", "scale"],
        "seed": 1,
        "starts": 4,
        "free_fraction": 0.05,
    }
    assert found.weights.model_dump() == dict.fromkeys(
        ("data", "geometry", "adp", "similarity", "siblings", "occupancy"), 1.0
    )
    assert found.output == OutputSection(directory=directory / "refined")
    assert (found.output.maps, found.output.plots, found.output.report) == (True, True, True)
    assert (found.structures.superpose, found.structures.cell_tolerance) == (False, 0.01)
    assert (found.structures.restraints, found.structures.known_residues) == ([], [])
    assert found.provider_section == {"scheme": "A->B"}
    assert found.path == directory / "refinement.toml"


def test_paths_are_relative_to_the_file_wherever_it_is_read_from(write, directory, monkeypatch):
    path = write(rest='[output]\ndirectory = "out/first"')
    monkeypatch.chdir("/")
    found = read_refinement_file(path)
    assert [state.file for state in found.structures.states] == [directory / "dark.pdb", directory / "i1.pdb"]
    assert found.experiments[0].references[0].file == directory / "dark.mtz"
    assert [each.file for each in found.experiments[0].timepoints] == [directory / "t1.mtz", directory / "t2.mtz"]
    assert found.output.directory == directory / "out" / "first"


def test_home_and_absolute_paths(write, directory, monkeypatch):
    monkeypatch.setenv("HOME", str(directory))
    states = (
        f'[structures]\nstates = [{{name = "a", file = "~/dark.pdb"}}, {{name = "b", file = "{directory}/i1.pdb"}}]'
    )
    found = read_refinement_file(write(structures=states, rest='[output]\ndirectory = "~/out"'))
    assert [state.file for state in found.structures.states] == [directory / "dark.pdb", directory / "i1.pdb"]
    assert found.output.directory == directory / "out"


@pytest.mark.parametrize(
    ("structures", "names"),
    [
        ('states = [{name = "dark", file = "dark.pdb"}, {name = "I-1.b", file = "i1.pdb"}]', ("dark", "I-1.b")),
        ('file = "all.cif"\nmodels = {dark = 2, I1 = 1}', ("dark", "I1")),
        ('file = "all.cif"\naltlocs = {A = "dark", B = "I1", C = "I1", D = "I2"}', ("dark", "I1", "I2")),
    ],
)
def test_names_of_structures_in_each_layout(write, structures, names):
    assert read_refinement_file(write(structures=f"[structures]\n{structures}")).structures.names == names


def test_references_are_paths_or_tables(write, directory):
    experiment = (
        '[[experiment]]\nreferences = ["dark.mtz", {file = "dark2.mtz", columns = {F = "FP", SIGF = "SIGFP"}, '
        'free_value = 1}]\ntimepoints = [{time = "1 ms", file = "t1.mtz", columns = {I = "IMEAN"}}]\n'
        'columns = {F = "F-obs", free = "FREE"}\nfree_value = 0\ntemperature = 298'
    )
    (found,) = read_refinement_file(write(experiment=experiment)).experiments
    assert [each.file for each in found.references] == [directory / "dark.mtz", directory / "dark2.mtz"]
    assert [each.columns for each in found.references] == [{}, {"F": "FP", "SIGF": "SIGFP"}]
    assert [each.free_value for each in found.references] == [None, 1]
    assert found.timepoints[0].columns == {"I": "IMEAN"}
    assert (found.columns, found.free_value, found.temperature) == ({"F": "F-obs", "free": "FREE"}, 0, 298.0)


@pytest.mark.parametrize(
    ("delay", "seconds", "name"),
    [
        ('"100 ns"', 100e-9, "100_ns"),
        ('"2.5us"', 2.5e-6, "2.5us"),
        ('" 20 µs "', 20e-6, "20_us"),
        ('"20 μs"', 20e-6, "20_us"),
        ('"-5 ps"', -5e-12, "minus_5_ps"),
        ('"-.5 ps"', -0.5e-12, "minus_0.5_ps"),
        ('".5 us"', 0.5e-6, "0.5_us"),
        ('"+1 s"', 1.0, "1_s"),
        ('"1e-3 s"', 1e-3, "1e-3_s"),
        ('"0 s"', 0.0, "0_s"),
        ('"inf"', math.inf, "inf"),
        ("inf", math.inf, "inf"),
    ],
)
def test_a_delay_in_seconds_and_in_file_names(write, delay, seconds, name):
    path = write(experiment=timepoints(f'{{time = {delay}, file = "t1.mtz"}}'))
    (point,) = read_refinement_file(path).experiments[0].timepoints
    assert point.time_s == pytest.approx(seconds, rel=1e-15)
    assert point.name == name


def test_repeated_delays_are_numbered_around_the_names_given(write):
    path = write(
        experiment=timepoints(
            '{time = "1 ns", file = "t1.mtz"}',
            '{time = "1 ns", file = "t2.mtz"}',
            '{time = "9 ns", file = "t3.mtz", name = "1_ns_2"}',
            '{time = "1 ns", file = "dark2.mtz"}',
        )
    )
    names = [point.name for point in read_refinement_file(path).experiments[0].timepoints]
    assert names == ["1_ns", "1_ns_3", "1_ns_2", "1_ns_4"]


@pytest.mark.parametrize(
    ("delays", "unit"), [(["inf", "3 µs", "1 ns"], "us"), (["2 min", "1 s"], "min"), (["inf"], "s")]
)
def test_the_unit_is_that_of_the_first_delay_that_has_one(write, delays, unit):
    entries = [f'{{time = "{delay}", file = "t{number}.mtz"}}' for number, delay in enumerate(delays, start=1)]
    assert read_refinement_file(write(experiment=timepoints(*entries))).experiments[0].time_unit == unit


def test_experiments_are_numbered_where_they_have_no_name(write):
    one = '[[experiment]]\nreferences = ["dark.mtz"]\ntimepoints = [{time = "1 ns", file = "t1.mtz"}]\n'
    found = read_refinement_file(write(experiment=one + one + 'name = "310K"\n' + one))
    # The same dataset may serve two experiments.
    assert [each.name for each in found.experiments] == ["experiment_1", "310K", "experiment_3"]


def test_sections_of_other_providers_may_stay_when_the_flag_is_switched(write):
    rest = "[unrestrained]\n[fixed]\noccupancies = [[1.0, 0.0]]"
    found = read_refinement_file(write(refinement='[refinement]\noccupancy = "fixed"', rest=rest))
    assert found.refinement.occupancy == "fixed"
    assert found.provider_section == {"occupancies": [[1.0, 0.0]]}
    assert read_refinement_file(write(refinement='[refinement]\noccupancy = "unrestrained"')).provider_section == {}


def test_the_check_sees_the_section_of_the_chosen_provider_alone(write):
    seen = []

    def check(name, section):
        seen.append((name, dict(section)))
        return []

    read_refinement_file(write(rest="[fixed]\nx = 1"), check_section=check)
    path = write(refinement='[refinement]\noccupancy = "mine"')
    read_refinement_file(path, providers=["mine", "kinetics"], check_section=check)
    assert seen == [("kinetics", {"scheme": "A->B"}), ("mine", {})]


def test_overrides_stand_in_for_the_file(write, directory):
    overrides = {"refinement.d_min": 2.5, "output.directory": str(directory / "elsewhere"), "title": "other"}
    found = read_refinement_file(write(refinement="[refinement]\nd_min = 1.8"), overrides=overrides)
    assert (found.refinement.d_min, found.title) == (2.5, "other")
    assert found.output.directory == directory / "elsewhere"
    found = read_refinement_file(write(), overrides={"output.directory": directory / "path"})
    assert found.output.directory == directory / "path"


def test_a_byte_order_mark_and_foreign_line_ends_do_no_harm(write):
    path = write()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_refinement_file(path).title == "test"


def test_a_file_cannot_be_changed_once_read(write):
    found = read_refinement_file(write())
    with pytest.raises(ValidationError, match="frozen"):
        found.refinement.seed = 2
    with pytest.raises(ValidationError, match="frozen"):
        found.title = "other"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: d / "refinment.toml", r"no such file: '.*refinment.toml' \(did you mean 'refinement.toml'\?\)"),
        (lambda d: d / "folder", "cannot read '.*folder': Is a directory"),
        (lambda d: d / "nowhere" / "refinement.toml", "no such file"),
    ],
)
def test_a_file_that_is_not_there(write, directory, make, message):
    write()
    with pytest.raises(FileError, match=message):
        read_refinement_file(make(directory))


def test_a_file_that_is_no_text_or_too_large(directory):
    path = directory / "data.toml"
    path.write_bytes(b"\xff\xfe\x00MTZ")
    with pytest.raises(FileError, match="is not text; a file of settings is TOML"):
        read_refinement_file(path)
    path.write_bytes(b"#" * 4_000_001)
    with pytest.raises(FileError, match="too large for a file of settings"):
        read_refinement_file(path)


def test_the_example_is_read():
    found = read_refinement_file(EXAMPLE)
    assert found.structures.names == ("dark", "I1", "I2")
    assert len(found.experiments[0].timepoints) == 8
    assert found.experiments[0].timepoints[-1].time_s == 1e-3
    assert found.experiments[0].time_unit == "ns"


@pytest.mark.parametrize(
    "model",
    [
        RefinementFile,
        RefinementSection,
        StructuresSection,
        State,
        Experiment,
        Timepoint,
        WeightsSection,
        OutputSection,
    ],
)
def test_every_key_is_described(model: type[BaseModel]):
    for name, field in model.model_fields.items():
        assert field.description, name


def test_neither_torch_nor_torchref_is_imported():
    code = "import sys, torchref_kinetic_plugin.config; print(sorted({'torch', 'torchref'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[]"


def test_conditions_of_experiments_and_static_ones_without_references(write):
    text = """
[[experiment]]
temperature = 300.0
temperature_before = 280.0
concentration = "200 uM"
pump_energy = "30 uJ"
timepoints = [{time = "inf", file = "t1.mtz"}]
"""
    (experiment,) = read_refinement_file(write(experiment=text)).experiments
    assert experiment.references == []
    assert experiment.static
    assert (experiment.temperature, experiment.temperature_before) == (300.0, 280.0)
    assert experiment.concentration_molar == pytest.approx(2e-4)
    assert experiment.pump_energy_joule == pytest.approx(3e-5)
