"""Refinement files that are wrong: what is said, and where."""

from __future__ import annotations

import pickle

import pytest

from tests.unit.config.reported import NAME, problems
from torchref_kinetic_plugin.config import ConfigError, Problem, read_refinement_file
from torchref_kinetic_plugin.errors import InputError

REFINEMENT_KEYS = "allowed: occupancy, d_min, d_max, cycles, stop, refine, seed, starts, free_fraction"
SECTIONS = (
    "allowed: title, schemes, refinement, structures, experiment, weights, validation, output, "
    "kinetics, unrestrained, fixed"
)


@pytest.mark.parametrize(
    ("line", "place", "message"),
    [
        ("d_min = true", "d_min", "true: a number is wanted"),
        ('d_min = "1.8 A"', "d_min", "'1.8 A': a number is wanted"),
        ("d_min = 0", "d_min", "0 is not allowed; above 0 is wanted"),
        ("d_min = -1.5", "d_min", "-1.5 is not allowed; above 0 is wanted"),
        ("d_min = nan", "d_min", "nan: a finite number is wanted"),
        ("d_max = inf", "d_max", "inf: a finite number is wanted"),
        ("d_min = 2.0\nd_max = 2", "", "d_max = 2 A must be larger than d_min = 2 A"),
        ("cycles = 0", "cycles", "0 is not allowed; at least 1 is wanted"),
        ("cycles = 2.5", "cycles", "2.5: a whole number is wanted"),
        ("cycles = 3.0", "cycles", "3.0: a whole number is wanted"),
        ("cycles = true", "cycles", "true: a whole number is wanted"),
        ("seed = -1", "seed", "-1 is not allowed; at least 0 is wanted"),
        ("starts = 0", "starts", "0 is not allowed; at least 1 is wanted"),
        ("free_fraction = 0.0", "free_fraction", "0.0 is not allowed; above 0 is wanted"),
        ("free_fraction = 0.5", "free_fraction", "0.5 is not allowed; below 0.5 is wanted"),
        ('refine = "scale"', "refine", "'scale': a list is wanted, e.g. [...]"),
        (
            'refine = ["scale", "kinetic"]',
            "refine[2]",
            "'kinetic' is not one of kinetics, structures, scale (did you mean 'kinetics'?)",
        ),
        ("refine = [true]", "refine[1]", "true is not one of kinetics, structures, scale"),
        ("occupancy = 1", "occupancy", "1: text in quotes is wanted"),
        (
            'occupancy = "Kinetic"',
            "occupancy",
            "unknown provider 'Kinetic' (did you mean 'kinetics'?); allowed: kinetics, unrestrained, fixed",
        ),
        ("dmin = 1.8", "dmin", f"unknown key 'dmin' (did you mean 'd_min'?); {REFINEMENT_KEYS}"),
        ("zzz = 1.8", "zzz", f"unknown key 'zzz'; {REFINEMENT_KEYS}"),
    ],
)
def test_refinement(write, line, place, message):
    where = f"refinement.{place}" if place else "refinement"
    assert problems(write(refinement=f"[refinement]\n{line}")) == [(where, message)]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "", "no structures: give states = [{name = ..., file = ...}], or file with models or altlocs"),
        ("states = []", "", "states is empty; name at least one structure, with its file"),
        ('file = "all.cif"', "", "file needs one of models and altlocs, which say which structure is which"),
        (
            'file = "all.cif"\nmodels = {a = 1}\naltlocs = {A = "a"}',
            "",
            "file needs one of models and altlocs, which say which structure is which",
        ),
        (
            'file = "all.cif"\nstates = [{name = "a", file = "i1.pdb"}]',
            "",
            "give either states, or file with models or altlocs, not both",
        ),
        (
            'states = [{name = "a", file = "dark.pdb"}, {name = "a", file = "i1.pdb"}]',
            "",
            "the structure a is there twice; each has a name of its own",
        ),
        ('states = [{name = "a"}]', ".states[1].file", "is missing"),
        ('states = ["dark.pdb"]', ".states[1]", "'dark.pdb': a table is wanted, e.g. {...}"),
        (
            'states = [{name = "a", fle = "x", file = "dark.pdb"}]',
            ".states[1].fle",
            "unknown key 'fle' (did you mean 'file'?); allowed: name, file",
        ),
        ('states = [{name = "../a", file = "dark.pdb"}]', ".states[1].name", f"'../a' {NAME}"),
        (
            'states = [{name = "a", file = "drak.pdb"}]',
            ".states[1].file",
            "'drak.pdb': there is no such file (did you mean 'dark.pdb'?)",
        ),
        ('states = [{name = "a", file = "folder"}]', ".states[1].file", "'folder': is a directory, not a file"),
        ('states = [{name = "a", file = ""}]', ".states[1].file", "the path is empty"),
        ('states = [{name = "a", file = 1}]', ".states[1].file", "1: a path in quotes is wanted"),
        (
            'states = [{name = "a", file = "~no-such-user/a.pdb"}]',
            ".states[1].file",
            "'~no-such-user/a.pdb': nobody knows the home directory that '~' means there",
        ),
        (
            f'states = [{{name = "a", file = "{"x" * 300}"}}]',
            ".states[1].file",
            f"'{'x' * 300}': File name too long",
        ),
        ('file = "all.cif"\nmodels = {}', "", "models is empty; name at least one structure"),
        ('file = "all.cif"\naltlocs = {}', "", "altlocs is empty; name at least one structure"),
        (
            'file = "all.cif"\nmodels = {a = 1, b = 1}',
            "",
            "model 1 is there twice; each structure has a model of its own",
        ),
        ('file = "all.cif"\nmodels = {a = "1"}', ".models.a", "'1': a whole number is wanted"),
        ('file = "all.cif"\nmodels = {a = -1}', ".models.a", "-1 is not allowed; at least 0 is wanted"),
        ('file = "all.cif"\nmodels = {"a b" = 1}', ".models.a b", f"'a b' {NAME}"),
        (
            'file = "all.cif"\naltlocs = {AB = "a"}',
            ".altlocs.AB",
            "an alternative conformation is one character, as the model file has it, not 'AB'",
        ),
        (
            'file = "all.cif"\naltlocs = {"" = "a"}',
            '.altlocs.""',
            "an alternative conformation is one character, as the model file has it, not ''",
        ),
        ('file = "all.cif"\naltlocs = {A = 1}', ".altlocs.A", "1: text in quotes is wanted"),
    ],
)
def test_structures(write, text, place, message):
    assert problems(write(structures=f"[structures]\n{text}")) == [(f"structures{place}", message)]


@pytest.mark.parametrize(
    ("line", "place", "message"),
    [
        (
            'restraints = ["ligands.cif"]',
            "restraints[1]",
            "'ligands.cif': there is no such file (did you mean 'ligand.cif'?)",
        ),
        ('restraints = "ligand.cif"', "restraints", "'ligand.cif': a list is wanted, e.g. [...]"),
        ("known_residues = [1]", "known_residues[1]", "1: text in quotes is wanted"),
        ("superpose = 1", "superpose", "1: true or false is wanted, without quotes"),
        ("cell_tolerance = 0.2", "cell_tolerance", "0.2 is not allowed; below 0.2 is wanted"),
    ],
)
def test_what_goes_with_structures(write, line, place, message):
    text = f'[structures]\nstates = [{{name = "a", file = "dark.pdb"}}]\n{line}'
    assert problems(write(structures=text)) == [(f"structures.{place}", message)]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("[weights]\ndata = 0", "weights.data", "0 is not allowed; above 0 is wanted"),
        ("[weights]\nadp = true", "weights.adp", "true: a number is wanted"),
        ("[weights]\nadp = inf", "weights.adp", "inf: a finite number is wanted"),
        (
            "[weights]\ngeomtry = 1.0",
            "weights.geomtry",
            "unknown key 'geomtry' (did you mean 'geometry'?); allowed: data, geometry, adp, similarity, siblings, "
            "occupancy",
        ),
        ("[output]\nmaps = 1", "output.maps", "1: true or false is wanted, without quotes"),
        ('[output]\nplots = "no"', "output.plots", "'no': true or false is wanted, without quotes"),
        ("[output]\ndirectory = 1", "output.directory", "1: a path in quotes is wanted"),
        ('[output]\ndirectory = ""', "output.directory", "the path is empty"),
        (
            '[output]\ndirectory = "~no-such-user/out"',
            "output.directory",
            "'~no-such-user/out': nobody knows the home directory that '~' means there",
        ),
        ("[validation]\nleave_out = 1", "validation.leave_out", "1: true or false is wanted, without quotes"),
        ("[wieghts]", "", f"unknown section 'wieghts' (did you mean 'weights'?); {SECTIONS}"),
        ("[experiments]", "", f"unknown section 'experiments' (did you mean 'experiment'?); {SECTIONS}"),
        ("[path]", "", f"unknown section 'path'; {SECTIONS}"),
        ("[provider_section]", "", f"unknown section 'provider_section' (did you mean 'validation'?); {SECTIONS}"),
    ],
)
def test_other_sections(write, text, place, message):
    assert problems(write(rest=text)) == [(place, message)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("structures", "is missing"), ("experiment", "is missing")]),
        ("title = 1979-05-27", [("title", "1979-05-27: text in quotes is wanted")]),
        ("refinement = 3", [("refinement", "3: a table is wanted, e.g. {...}")]),
        ("kinetics = 3", [("kinetics", "a table is wanted; write [kinetics]")]),
        ("[refinement\n", [("line 1", "not TOML: Expected ']' at the end of a table declaration, in '[refinement'")]),
        ("a = 1\na = 2\n", [("line 2", "not TOML: Cannot overwrite a value, in 'a = 2'")]),
        ('t = "\u2028"\na = ', [("end of file", "not TOML: Invalid value")]),
        ('t = "\u2028"\na = x\n', [("line 2", "not TOML: Invalid value, in 'a = x'")]),
        (f"seed = {'9' * 5000}", [("", "a number has too many digits")]),
        (f"a = {'[' * 5000}", [("", "tables nested too deeply")]),
    ],
)
def test_whole_files(directory, text, expected):
    path = directory / "refinement.toml"
    path.write_text(text, encoding="utf-8")
    found = problems(path)
    missing = [("structures", "is missing"), ("experiment", "is missing")]
    assert found == expected or sorted(found) == sorted(expected + missing)


def test_everything_wrong_is_reported_together(write):
    path = write(
        refinement="[refinement]\ndmin = 1.8\ncycles = 0",
        structures='[structures]\nstates = [{name = "dark", file = "drak.pdb"}]',
        experiment='[[experiment]]\nreferences = ["dark.mtz"]\ntimepoints = [{time = 5, file = "t1.mtz"}]',
        rest="[wieghts]\n[output]\nmaps = 1",
    )

    def check(name, section):
        return [Problem(f"{name}.scheme", f"{section['scheme']!r} is wrong")]

    with pytest.raises(ConfigError) as caught:
        read_refinement_file(path, check_section=check)
    assert [problem.place for problem in caught.value.problems] == [
        "",
        "refinement.cycles",
        "refinement.dmin",
        "structures.states[1].file",
        "experiment[1].timepoints[1].time",
        "output.maps",
        "kinetics.scheme",
    ]
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{str(path)!r}: 7 problems:"
    assert lines[2] == "  refinement.cycles: 0 is not allowed; at least 1 is wanted"
    assert lines[-1] == "  kinetics.scheme: 'A->B' is wrong"
    assert "pydantic" not in str(caught.value)
    assert "Input should" not in str(caught.value)


def test_overrides_are_checked_as_the_file_is(write):
    assert problems(write(), overrides={"refinement.d_min": "2"}) == [("refinement.d_min", "'2': a number is wanted")]
    with pytest.raises(InputError, match=r"override 'title.x': 'title' is not a table of the file"):
        read_refinement_file(write(), overrides={"title.x": 1})


def test_a_problem_survives_a_journey_between_processes():
    problem = Problem("refinement.d_min", "is wrong")
    assert pickle.loads(pickle.dumps(problem)) == problem
    assert str(problem) == "refinement.d_min: is wrong"
    assert str(Problem("", "all is wrong")) == "all is wrong"


def test_schemes(write):
    (found,) = problems(write(title='schemes = ["A->B,B->A", "A->"]'))
    assert found[0] == "schemes"
    assert "cannot read 'A->'" in found[1]
