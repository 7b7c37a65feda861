"""Refinement files, times and schemes that are wrong: exit code 2 and a message that says what is."""

from __future__ import annotations

import pytest

from tests.integration.bad_input.inputs import Inputs

REFINE, SCHEME = "[refinement]", 'scheme = "A->B,B->A"'
STATES, RATE = "[structures]", '"1/(1 us)"'
REFERENCES = 'references = ["dark.mtz"]'
MAPPING = 'state_mapping = {A = "dark", B = "I1"}'
FIXED = (REFINE, f'{REFINE}\noccupancy = "fixed"')
TOO_LONG = "is too large a number; write 'inf' for the state that is reached at last"

#: What is replaced, by what, and what is said of it.
SYNTAX = [
    ((REFINE, "[refinement"), "line 3: not TOML: Expected ']' at the end of a table declaration, in '[refinement'"),
    ((REFINE, f"{REFINE}\nseed = 1\nseed = 2"), "not TOML: Cannot overwrite a value, in 'seed = 2'"),
    (('title = "An octapeptide"', "title = 3"), "title: 3: text in quotes is wanted"),
    ((REFINE, f"{REFINE}\nd_mim = 1.8"), "unknown key 'd_mim' (did you mean 'd_min'?); allowed: occupancy, d_min"),
    (("[validation]", "[validatoin]"), "unknown section 'validatoin' (did you mean 'validation'?); allowed: title"),
    (("light_activated", "light_activted"), "kinetics.light_activted: unknown key 'light_activted' (did you mean"),
    (
        (REFINE, f'{REFINE}\noccupancy = "kinetic"'),
        "unknown occupancy provider 'kinetic' in occupancy (did you mean 'ki",
    ),
    (
        (REFINE, f'{REFINE}\nrefine = ["scales"]'),
        "'scales' is not one of kinetics, structures, scale (did you mean 'scale'?",
    ),
    ((REFINE, f'{REFINE}\nrefine = ["scale", "scale"]'), "refinement.refine: scale is there twice"),
    ((REFINE, f"{REFINE}\nd_min = 3\nd_max = 2"), "d_max = 2 A must be larger than d_min = 3 A"),
    ((REFINE, f"{REFINE}\nfree_fraction = 0.7"), "refinement.free_fraction: 0.7 is not allowed; below 0.5 is wanted"),
    ((REFINE, f"{REFINE}\nd_min = 15"), "'dark.mtz' has 3 reflections between inf and 15 A (its own limits are 17.64"),
    (("[output]", "[weights]\ndata = -1.0\n[output]"), "weights.data: -1.0 is not allowed; above 0 is wanted"),
    (('"i1.pdb"', '"i2.pdb"'), "structures.states[2].file: 'i2.pdb': there is no such file (did you mean 'i1.pdb'?)"),
    (('"i1.pdb"', '"models/i1.pdb"'), "'models/i1.pdb': there is no such file (nor a directory 'models')"),
    (('"t02.mtz"', '"."'), "experiment[1].timepoints[2].file: '.': is a directory, not a file"),
    (('"t02.mtz"', '"t01.mtz"'), "named more than once: t01.mtz (timepoints[1], timepoints[2]); a dataset counts once"),
    (('name = "I1"', 'name = "dark"'), "the structure dark is there twice; each has a name of its own"),
    (('name = "I1"', 'name = "../I1"'), "'../I1' becomes part of file names: letters, digits"),
    ((STATES, f'{STATES}\nfile = "dark.pdb"'), "give either states, or file with models or altlocs, not both"),
    (
        (STATES, f'{STATES}\nmoving = {{I2 = "//A/4"}}'),
        "unknown structure 'I2' in moving (did you mean 'I1'?); allowed: I1",
    ),
    ((STATES, f'{STATES}\nmoving = {{I1 = "//A/4(("}}'), "moving: cannot read the selection '//A/4(('"),
    ((STATES, f'{STATES}\nmoving = {{I1 = "//Z"}}'), "moving: '//Z' names no residue of I1"),
    ((STATES, f'{STATES}\nrestraints = ["dark.pdb"]'), "restraint file 'dark.pdb' is no CIF file"),
    ((REFERENCES, "references = []"), "references is empty; at least one dataset without the trigger is needed"),
    (
        (REFERENCES, f'columns = {{Fobs = "F-obs"}}\n{REFERENCES}'),
        "unknown column role 'Fobs'; allowed: F, SIGF, I, SIGI",
    ),
    ((REFERENCES, f"temperature = -5.0\n{REFERENCES}"), "experiment[1].temperature: -5.0 is not allowed; above 0"),
    ((REFERENCES, f"temperature_before = 280.0\n{REFERENCES}"), "has temperature_before but no temperature"),
    ((*FIXED, "[0.48, 0.30, 0.01]", "[0.48, 0.30]"), "'experiment_1': I1 has 2 for 3 timepoints"),
    ((*FIXED, "[0.48, 0.30, 0.01]", "nan"), "fixed.occupancies.experiment_1.I1: nan is not allowed"),
    ((*FIXED, "{I1 = [0.48, 0.30, 0.01]}", "{I1 = 0.6, dark = 0.6}"), "sum to 1.2 at timepoint 1; they must sum to 1"),
    ((*FIXED, "experiment_1 =", "experiment_2 ="), "unknown experiment 'experiment_2' in occupancies (did you mean"),
]
TIMES = [
    (('"100 ns"', "100"), "timepoints[1].time: 100 has no unit; write it in quotes with its unit, e.g. '100 ns'"),
    (('"100 ns"', '"100 nm"'), "unknown unit of time 'nm' (did you mean 'ns'?); allowed: fs, ps, ns, us, ms, s, min, h"),
    (('"100 ns"', '"nan ns"'), "cannot read the time 'nan ns'; write a number and a unit, e.g. '100 ns'"),
    (('"100 ns"', '"1e400 s"'), f"'1e400 s' {TOO_LONG}"),
    (('"100 ns"', '"1e300 d"'), f"'1e300 d' {TOO_LONG}"),
    (('{time = "100 ns", file = "t01.mtz"}, ', "", '{time = "1 us", file = "t02.mtz"}, ', "",
      '{time = "10 us", file = "t03.mtz"}', ""), "experiment[1]: timepoints is empty; an experiment has at least one"),
    (('"100 ns"', '"-3 us"', 'time = "1 us"', 'time = "-2 us"', '"10 us"', '"-1 us"'),
     "every delay is before the trigger, where nothing has happened yet"),
    ((SCHEME, f'{SCHEME}\ntime_zero = "1 ms"'), "are the signs of the delays, their unit and time_zero right?"),
]  # fmt: skip
SCHEMES = [
    ((SCHEME, ""), "kinetics.scheme: is missing"),
    ((SCHEME, 'scheme = ""'), "kinetics.scheme: the flow chart is empty; write transitions such as 'A->B,B->C'"),
    ((SCHEME, 'scheme = "A=>B,B->A"'), "cannot read 'A=>B' in the flow chart"),
    ((SCHEME, 'scheme = "A->B,B->A,B->A"'), "transition B->A stands twice"),
    ((SCHEME, 'scheme = "A->A"'), "leads from a state to itself"),
    ((SCHEME, 'scheme = "A->B,B->A*"'), "'*' in 'B->A*' is reserved for inactive copies of states"),
    ((SCHEME, 'scheme = "A->B,B->A,C"'), "state_mapping misses C; every state needs a structure"),
    ((SCHEME, f'{SCHEME}\ninitial_state = "X"'), "unknown state 'X' in initial_state; allowed: A, B"),
    ((SCHEME, f"{SCHEME}\ninitial_populations = {{A = 0.4}}"), "initial populations sum to 0.4; they must sum to 1"),
    ((MAPPING, 'state_mapping = {A = "dark", B = "I2"}'), "state_mapping gives B an unknown structure 'I2' (did you mean"),
    ((MAPPING, 'state_mapping = {A = "dark", B = "dark"}'), "no state has the structure I1; map a state to it or leave"),
    ((MAPPING, 'state_mapping = ["dark", "I1"]'), "kinetics.state_mapping: ['dark', 'I1']: a table is wanted"),
    ((RATE, "1e6"), "rate_constants.B->A: a rate is text with a unit here, e.g. '100 ns' or '1/(100 ns)', not 1000000.0"),
    ((RATE, '"1 us"'), "'1 us' is a time, a rate is wanted; write '1/(1 us)'"),
    ((RATE, '"0 /s"'), "kinetics.rate_constants.B->A: a rate constant is above 0, not '0 /s'"),
    ((RATE, '"-1 /us"'), "kinetics.rate_constants.B->A: a rate constant is above 0, not '-1 /us'"),
    ((RATE, '"1e400 /us"'), "the rate '1e400 /us' is too large a number; write 'inf' for an impulse at the trigger"),
    ((RATE, '"1e-320 /us"'), "per second; rate constants from 1e-18 to 1e+21 can be computed"),
    ((RATE, '"inf"'), "the rate of B->A is inf, but only transitions out of the initial state 'A' can be impulses"),
    (('"B->A" = "1/', '"B->C" = "1/'), "unknown transition 'B->C' in rate_constants (did you mean 'B->A'?)"),
    (('"A->B" = 0.5}', '"A->B" = 1.5}'), "kinetics.efficiencies.A->B: 1.5 is not allowed; at most 1 is wanted"),
    ((SCHEME, f'{SCHEME}\nbounds = {{"B->A" = ["1 /us", "1 /ms"]}}'), "bounds of B->A are '1 /us' to '1 /ms'; the lower"),
    ((SCHEME, f'{SCHEME}\nbounds = {{"B->A" = ["2 /us", "3 /us"]}}'),
     "rate_constants of B->A = '1/(1 us)': its bounds are '2 /us' to '3 /us', both excluded"),
    ((SCHEME, f'{SCHEME}\nrefine_rates = ["A->B"]'), "refine_rates names A->B, whose rate is inf: it has no rate constant"),
    ((SCHEME, f'{SCHEME}\nrate_law = "eyring"'), "rate_law needs the temperature of every experiment; experiment_1 has none"),
    ((SCHEME, f'{SCHEME}\ninstrument_width = "50 ns"'), "instrument_width means nothing without instrument_function"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), [*SYNTAX, *TIMES, *SCHEMES])
def test_refused(inputs: Inputs, capsys: pytest.CaptureFixture[str], changes: tuple[str, ...], message: str) -> None:
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        inputs.edit(old, new)
    inputs.refused(capsys, message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file: 'refinement.toml' (did you mean 'simulation.toml'?)"),
        (b"\xff\xfe\0\0", "'refinement.toml' is not text; a file of settings is TOML"),
        (b"", "3 problems:\n  structures: is missing\n  experiment: is missing\n  kinetics.scheme: is missing"),
        (b"title = 'all on one line'\r" * 200, "line 1: not TOML: Expected newline or end of document"),
    ],
)
def test_files_that_are_none(
    inputs: Inputs, capsys: pytest.CaptureFixture[str], content: bytes | None, message: str
) -> None:
    inputs.file.unlink()
    if content is not None:
        inputs.file.write_bytes(content)
    assert len(inputs.refused(capsys, message)) < 400


@pytest.mark.parametrize(
    ("verb", "options", "message"),
    [
        ("check", ("--d-min", "nan"), "refinement.d_min: nan: a finite number is wanted"),
        ("check", ("--d-min=-1",), "refinement.d_min: -1.0 is not allowed; above 0 is wanted"),
        ("check", ("--d-min", "high"), "argument --d-min: invalid float value: 'high'"),
        ("refine", ("--resume",), "--resume is for refinements of structures"),
        ("refine", ("--device", "abacus"), "device 'abacus' cannot be used here"),
        ("refine", ("-o", "{}/dark.mtz"), "cannot make the output directory 'dark.mtz': File exists"),
        ("refine", ("-o", "{}"), "is that of the refinement file, which would be replaced; choose another"),
        ("bootstrap", ("-n", "1"), "n = 1: at least 2 draws are wanted"),
        ("bootstrap", ("-n", "2", "--workers", "0"), "workers = 0: at least 1 is wanted"),
        ("starts", ("-n", "0"), "n = 0: at least 1 start is wanted"),
        ("compare", ("--scheme", "A-B"), "cannot read 'A-B' in the flow chart 'A-B': '->' or '<->' expected"),
    ],
)
def test_options(
    inputs: Inputs, capsys: pytest.CaptureFixture[str], verb: str, options: tuple[str, ...], message: str
) -> None:
    inputs.verb = [verb]
    inputs.refused(capsys, message, *(each.format(inputs.directory) for each in options))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("d_min = 2.5", "d_min = -2.5", "simulation.d_min: -2.5 is not allowed; above 0 is wanted"),
        ('"10 us"]', '"10 parsec"]', "unknown unit of time 'parsec'"),
        ("free_fraction = 0.2", "references = 0", "references = 0: at least one dataset without the trigger is needed"),
        ('"dark.pdb"', '"drak.pdb"', "'drak.pdb': there is no such file (did you mean 'dark.pdb'?)"),
    ],
)
def test_simulation(inputs: Inputs, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str) -> None:
    inputs.verb, inputs.name = ["simulate"], "simulation.toml"
    inputs.edit(old, new, "simulation.toml")
    inputs.refused(capsys, message, "-o", str(inputs.directory / "made"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('refinement = "refinemnt.toml"', "'refinemnt.toml': there is no such file (did you mean 'refinement.toml'?)"),
        ('refinement = "refinement.toml"\nseed = [1]', "unknown key 'seed' (did you mean 'seeds'?)"),
        ('refinement = "refinement.toml"\nd_min = [2.0, 2.0]', "d_min: 2 is there twice"),
        ('refinement = "refinement.toml"\nschemes = ["A->B,B->"]', "cannot read 'B->' in the flow chart 'A->B,B->'"),
    ],
)
def test_campaign(inputs: Inputs, capsys: pytest.CaptureFixture[str], text: str, message: str) -> None:
    inputs.verb, inputs.name = ["campaign", "--list"], "campaign.toml"
    inputs.write("campaign.toml", text)
    inputs.refused(capsys, message)
