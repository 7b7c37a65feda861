"""Experiments that are wrong: what is said, and where."""

from __future__ import annotations

import pytest

from tests.unit.config.reported import NAME, problems


@pytest.mark.parametrize(
    ("entry", "place", "message"),
    [
        ("time = 100", "time", "100 has no unit; write it in quotes with its unit, e.g. '100 ns'"),
        ("time = 2.5", "time", "2.5 has no unit; write it in quotes with its unit, e.g. '2.5 ns'"),
        ("time = true", "time", "true: text in quotes is wanted"),
        ('time = "100"', "time", "cannot read the time '100'; write a number and a unit, e.g. '100 ns'"),
        ('time = "?"', "time", "cannot read the time '?'; write a number and a unit, e.g. '100 ns'"),
        ('time = "-inf"', "time", "cannot read the time '-inf'; write a number and a unit, e.g. '100 ns'"),
        (
            'time = "1e400 s"',
            "time",
            "'1e400 s' is too large a number; write 'inf' for the state that is reached at last",
        ),
        (
            'time = "100 nsec"',
            "time",
            "unknown unit of time 'nsec' (did you mean 'ns'?); allowed: fs, ps, ns, us, ms, s, min, h",
        ),
        ("", "time", "is missing"),
        ('time = "1 ns", name = "a/b"', "name", f"'a/b' {NAME}"),
        ('time = "1 ns", name = ""', "name", f"'' {NAME}"),
        ('time = "1 ns", free_value = 1.5', "free_value", "1.5: a whole number is wanted"),
        (
            'time = "1 ns", columns = {SIGFF = "x"}',
            "columns",
            "unknown column role 'SIGFF' (did you mean 'SIGF'?); allowed: F, SIGF, I, SIGI, free",
        ),
        ('time = "1 ns", columns = {F = 3}', "columns.F", "3: text in quotes is wanted"),
        (
            'time = "1 ns", delay = "x"',
            "delay",
            "unknown key 'delay'; allowed: file, columns, free_value, time, name",
        ),
    ],
)
def test_timepoints(write, entry, place, message):
    first = '{time = "1 us", file = "t1.mtz"}'
    second = "{" + (f"{entry}, " if entry else "") + 'file = "t2.mtz"}'
    text = f'[[experiment]]\nreferences = ["dark.mtz"]\ntimepoints = [{first}, {second}]'
    assert problems(write(experiment=text)) == [(f"experiment[1].timepoints[2].{place}", message)]


POINT = '{time = "1 ns", file = "t1.mtz"}'
GOOD = f'[[experiment]]\nreferences = ["dark.mtz"]\ntimepoints = [{POINT}]\n'


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "experiment", "is missing"),
        ("experiment = []", "experiment", "there is no [[experiment]]; at least one is needed"),
        ("[experiment]", "experiment", "{}: a list of tables is wanted; write [[...]] for each"),
        (
            '[[experiment]]\nreferences = ["dark.mtz"]\ntimepoints = []',
            "experiment[1]",
            "timepoints is empty; an experiment has at least one",
        ),
        (
            f"[[experiment]]\nreferences = []\ntimepoints = [{POINT}]",
            "experiment[1]",
            "references is empty; at least one dataset without the trigger is needed, unless every timepoint is at time "
            '"inf"',
        ),
        (
            f"{GOOD}[[experiment]]\ntimepoints = [{POINT}]",
            "experiment[2]",
            "references is missing; at least one dataset without the trigger is needed, unless every timepoint is at "
            'time "inf"',
        ),
        (
            f'{GOOD}name = "all"\n',
            "experiment",
            "an experiment is called all, which in tables means all of them; give it another name",
        ),
        (
            f"{GOOD}temperature_before = -3.0",
            "experiment[1].temperature_before",
            "-3.0 is not allowed; above 0 is wanted",
        ),
        (
            f"{GOOD}concentration = 5",
            "experiment[1].concentration",
            "5 has no unit; write it in quotes with its unit, e.g. '5 mM'",
        ),
        (
            f'{GOOD}concentration = "5 mm"',
            "experiment[1].concentration",
            "unknown unit of concentration 'mm' (did you mean 'mM'?); allowed: M, mM, uM, nM, pM",
        ),
        (
            f'{GOOD}pump_energy = "0 uJ"',
            "experiment[1].pump_energy",
            "an energy is finite and above 0, not '0 uJ'",
        ),
        (
            f"[[experiment]]\nreferences = [1]\ntimepoints = [{POINT}]",
            "experiment[1].references[1]",
            "1: a table is wanted, e.g. {...}",
        ),
        (f"{GOOD}temperature = 0.0", "experiment[1].temperature", "0.0 is not allowed; above 0 is wanted"),
        (f'{GOOD}temperature = "298 K"', "experiment[1].temperature", "'298 K': a number is wanted"),
        (f'{GOOD}name = "298 K"', "experiment[1].name", f"'298 K' {NAME}"),
        (
            f'{GOOD}name = "a"\n{GOOD}name = "a"',
            "experiment",
            "two experiments are called a; each has a name of its own",
        ),
        (
            f'{GOOD}name = "experiment_2"\n{GOOD}',
            "experiment",
            "two experiments are called experiment_2; each has a name of its own",
        ),
        (
            f'[[experiment]]\nreferences = ["dark.mtz", "dark.mtz"]\ntimepoints = [{POINT}]',
            "experiment[1]",
            "named more than once: dark.mtz (references[1], references[2]); a dataset counts once",
        ),
        (
            f'[[experiment]]\nreferences = ["./folder/../t1.mtz"]\ntimepoints = [{POINT}]',
            "experiment[1]",
            "named more than once: t1.mtz (references[1], timepoints[1]); a dataset counts once",
        ),
        (
            f'{GOOD}{GOOD}states = [{{name = "I1", file = "i1.pdb"}}, {{name = "I11", file = "i1.pdb"}}]',
            "",
            "experiment[2].states[2].name: unknown structure 'I11' (did you mean 'I1'?); allowed: dark, I1",
        ),
        (
            f'{GOOD}states = [{{name = "I1", file = "i1.pdb"}}, {{name = "I1", file = "dark.pdb"}}]',
            "experiment[1].states",
            "the structure I1 is there twice; each has one file in an experiment",
        ),
        (
            f'{GOOD}states = [{{name = "I1", file = "i.pdb"}}]',
            "experiment[1].states[1].file",
            "'i.pdb': there is no such file (did you mean 'i1.pdb'?)",
        ),
        (
            '[[experiment]]\nreferences = ["dark.mtz"]\ntimepoints = [{time = "1 ns", file = "t1.mtz", name = "a"}, '
            '{time = "2 ns", file = "t2.mtz", name = "a"}]',
            "experiment[1].timepoints",
            "two timepoints are called a; each has a name of its own",
        ),
    ],
)
def test_experiments(write, text, place, message):
    # In front of the first table where it is a plain key.
    parts = {"title": text, "experiment": ""} if text.startswith("experiment") else {"experiment": text}
    assert problems(write(**parts)) == [(place, message)]


def test_a_dataset_under_a_link_is_the_same_dataset(write, directory):
    (directory / "other.mtz").symlink_to(directory / "t1.mtz")
    text = f'[[experiment]]\nreferences = ["other.mtz"]\ntimepoints = [{POINT}]'
    message = "named more than once: t1.mtz (references[1], timepoints[1]); a dataset counts once"
    assert problems(write(experiment=text)) == [("experiment[1]", message)]
