"""From a campaign file to its table of runs."""

import shutil

import pytest

import torchref_kinetic_plugin
from torchref_kinetic_plugin.campaign import planning
from torchref_kinetic_plugin.campaign.planning import plan_campaign
from torchref_kinetic_plugin.config import ConfigError
from torchref_kinetic_plugin.errors import InputError

ALL = """
schemes = {cycle = "A->B,B->C,C->A", direct = "A->B,B->A"}
d_min = [1.8, 2.0]
seeds = [1, 2, 3]
bootstraps = 20
"""
KEYS = "title, refinement, directory, schemes, d_min, seeds, start_factors, bootstraps, set, vary, run"


def planned(write, text, **options):
    return plan_campaign(write(text), builtin_only=True, **options)


def problems(write, text):
    with pytest.raises(ConfigError) as caught:
        planned(write, text)
    return [(problem.place, problem.message) for problem in caught.value.problems]


def test_the_table_is_the_product_of_the_axes_the_last_one_fastest(write, directory):
    plan = planned(write, ALL)
    assert plan.axes == ("scheme", "d_min", "seed")
    assert [run.number for run in plan.runs] == list(range(1, 13))
    assert [run.row.labels for run in plan.runs[:4]] == [
        {"scheme": "cycle", "d_min": "1.8", "seed": "1"},
        {"scheme": "cycle", "d_min": "1.8", "seed": "2"},
        {"scheme": "cycle", "d_min": "1.8", "seed": "3"},
        {"scheme": "cycle", "d_min": "2", "seed": "1"},
    ]
    last = plan.runs[-1].request
    assert (last.refinement.d_min, last.refinement.seed) == (2.0, 3)
    assert last.provider_section["scheme"] == "A->B,B->A"
    assert plan.directory == directory / "campaign"
    assert len({run.address for run in plan.runs}) == 12


def test_a_scheme_has_the_structures_of_its_states_alone(write):
    cycle, direct = planned(write, 'schemes = ["A->B,B->C,C->A", "A->B,B->A"]').runs
    assert cycle.request.structures.names == ("dark", "I1", "I2")
    assert direct.request.structures.names == ("dark", "I1")
    # Its trigger is that of the file, the new rate is left to start where the delays can see it.
    assert direct.request.provider_section["rate_constants"] == {"A->B": "inf"}


def test_a_named_scheme_has_keys_and_states_of_its_own(write):
    text = """
    [schemes.late]
    scheme = "A->B,B->D,D->A"
    state_mapping = {D = "I2"}
    rate_constants = {"A->B" = "inf", "B->D" = "1/(1 us)", "D->A" = "1 /ms"}
    [schemes.dark]
    light_activated = false
    """
    late, dark = planned(write, text).runs
    section = late.request.provider_section
    assert section["state_mapping"] == {"A": "dark", "B": "I1", "D": "I2"}
    assert section["rate_constants"]["B->D"] == "1/(1 us)"
    assert dark.request.provider_section["light_activated"] is False
    assert dark.request.provider_section["scheme"] == "A->B,B->C,C->A"


def test_factors_multiply_finite_starting_rates(write):
    runs = planned(write, "start_factors = [0.5, 1, 4.0]").runs
    found = [run.request.provider_section["rate_constants"] for run in runs]
    assert [each["A->B"] for each in found] == ["inf"] * 3
    assert [float(each["B->C"].split()[0]) for each in found] == pytest.approx([1e6, 2e6, 8e6])
    assert [float(each["C->A"].split()[0]) for each in found] == pytest.approx([1e4, 2e4, 8e4])


def test_any_key_can_be_set_or_varied_nested_or_dotted(write):
    text = """
    [set]
    refinement.cycles = 2
    "output.maps" = false
    [vary]
    weights.data = [1.0, 0.5]
    "kinetics.rate_constants"."B->C" = ["1/(1 us)", "1/(2 us)"]
    refinement.refine = [["kinetics"], ["kinetics", "scale"]]
    """
    plan = planned(write, text)
    assert plan.axes == ("weights.data", "kinetics.rate_constants.B->C", "refinement.refine")
    assert len(plan.runs) == 8
    first, last = plan.runs[0], plan.runs[-1]
    assert {run.request.refinement.cycles for run in plan.runs} == {2}
    assert not first.request.output.maps
    assert last.request.weights.data == 0.5
    assert last.request.provider_section["rate_constants"] == {"A->B": "inf", "B->C": "1/(2 us)", "C->A": "20 /ms"}
    assert last.row.labels["refinement.refine"] == "kinetics, scale"


def test_runs_beside_the_axes(write):
    text = """
    d_min = [2.0]
    schemes = {direct = "A->B,B->A"}
    [[run]]
    name = "wide"
    set = {kinetics.instrument_function = "gaussian", kinetics.instrument_width = "50 ns"}
    [[run]]
    name = "own"
    scheme = "A->B"
    d_min = 1.9
    seed = 7
    """
    plan = planned(write, text)
    assert plan.axes == ("scheme", "d_min", "run", "seed")
    assert [run.row.text for run in plan.runs] == ["scheme direct, d_min 2", "wide", "own"]
    assert plan.runs[1].request.provider_section["instrument_width"] == "50 ns"
    assert plan.runs[2].row.labels == {"run": "own", "scheme": "A->B", "d_min": "1.9", "seed": "7"}
    assert plan.runs[2].request.provider_section["scheme"] == "A->B"


@pytest.mark.parametrize(("text", "count"), [("", 1), ('[[run]]\nname = "a"\nd_min = 3.0', 1), ("d_min = [2.0]", 1)])
def test_a_file_without_axes_has_its_runs_or_the_refinement_as_it_is(write, text, count):
    assert len(planned(write, text).runs) == count


def test_an_address_holds_what_is_computed_and_nothing_else(write, directory, tmp_path_factory, monkeypatch):
    (run,) = planned(write, "d_min = [2.0]").runs
    (named,) = planned(write, 'title = "x"\ndirectory = "y"\nbootstraps = 5\nd_min = [2.0, 3.0]').runs[:1]
    assert named.address == run.address
    file = directory / "refinement.toml"
    file.write_text(file.read_text().replace('title = "three states"', 'title = "other"\nschemes = ["A->B,B->A"]'))
    assert planned(write, "d_min = [2.0]").runs[0].address == run.address
    moved = tmp_path_factory.mktemp("elsewhere") / "moved"
    shutil.copytree(directory, moved)
    assert plan_campaign(moved / "campaign.toml", builtin_only=True).runs[0].address == run.address
    (directory / "t1.mtz").write_text("other data")
    assert planned(write, "d_min = [2.0]").runs[0].address != run.address
    (directory / "t1.mtz").write_text("t1.mtz")
    assert planned(write, "d_min = [2.0]").runs[0].address == run.address
    monkeypatch.setattr(torchref_kinetic_plugin, "__version__", "99")
    assert planned(write, "d_min = [2.0]").runs[0].address != run.address


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("d_min = 2.0", "d_min", "2.0: a list is wanted, e.g. [...]"),
        ("d_min = [2.0, -1.0]", "d_min[2]", "-1.0 is not allowed; above 0 is wanted"),
        ("d_min = [2.0, 2]", "d_min", "2 is there twice"),
        ("seeds = [1.5]", "seeds[1]", "1.5: a whole number is wanted"),
        ("bootstraps = 1", "bootstraps", "one draw says nothing of the spread; at least 2 are wanted, or 0"),
        ("bootstrap = 5", "", f"unknown key 'bootstrap' (did you mean 'bootstraps'?); allowed: {KEYS}"),
        ('schemes = "A->B"', "schemes", "'A->B': a list of flow charts, or a table of named schemes, is wanted"),
        ('schemes = ["A->B", "A->B"]', "schemes", "'A->B' is there twice"),
        (
            "schemes = {a = 1}",
            "schemes",
            "a: a flow chart in quotes, or a table of keys of [kinetics], is wanted",
        ),
        ("vary = 3", "vary", "3: a table of keys of the refinement file is wanted"),
        (
            "vary.weights.data = 2.0",
            "vary",
            "weights.data = 2.0: a list of values is wanted; what holds for all runs goes to set",
        ),
        ("vary.weights.data = [2.0, 2.0]", "vary", "weights.data: 2.0 is there twice"),
        ("vary.refinement.d_min = [2.0]", "vary", "refinement.d_min: the axis d_min is for it"),
        (
            "set.weights.data = 2.0\nvary.weights.data = [1.0]",
            "",
            "weights.data stands in set and in vary; one of them is wanted",
        ),
        ('set.output.directory = "x"', "set", "output.directory: the campaign chooses it; leave it out"),
        (
            "set.experiment = []",
            "set",
            "experiment: experiments are a list, and cannot be changed key by key; write another file",
        ),
        ('[[run]]\nname = "a/b"', "run[1].name", "'a/b' becomes part of file names"),
        ('[[run]]\nname = "a"\ndmin = 2.0', "run[1].dmin", "unknown key 'dmin' (did you mean 'd_min'?)"),
        ('[[run]]\nname = "a"\n[[run]]\nname = "a"\nseed = 2', "", "two runs are called a; each has a name of its own"),
        # What the refinement file makes of it.
        ("set.weights.dat = 2.0", "set", "weights.dat: unknown key 'dat' (did you mean 'data'?)"),
        ("vary.weights.data = [1.0, 0.0]", "vary.weights.data[2]", "0.0 is not allowed; above 0 is wanted"),
        ("vary.refinement.cycels = [1]", "vary.refinement.cycels[1]", "unknown key 'cycels' (did you mean 'cycles'?)"),
        ('schemes = {x = "A->"}', "schemes.x", "cannot read 'A->'"),
        ('schemes = ["A->D"]', "schemes.A->D", "scheme 'A->D': no structure is known of D"),
        (
            'schemes = {x = {scheme = "A->B", efficiency = 1}}',
            "schemes.x",
            "kinetics.efficiency: unknown key 'efficiency' (did you mean 'efficiencies'?)",
        ),
        ('[[run]]\nname = "a"\nset = {title = "b"}', "run[1].set", "title: the campaign chooses it; leave it out"),
        ('[[run]]\nname = "a"\nset = {refinement.starts = 0}', "run[1]", "refinement.starts: 0 is not allowed"),
        (
            'schemes = ["A->B,B->A"]\nstart_factors = [2]',
            "run 1 (scheme A->B,B->A, start_factor 2)",
            "there is no finite rate constant to multiply",
        ),
        (
            'd_min = [2.0]\n[[run]]\nname = "again"\nd_min = 2.0',
            "run 2 (again)",
            "is the same refinement as run 1 (d_min 2)",
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_place(write, text, place, message):
    ((found_place, found_message),) = problems(write, text)
    assert found_place == place
    assert found_message.startswith(message)


def test_a_slip_in_an_axis_does_not_fill_a_disk(write, monkeypatch):
    monkeypatch.setattr(planning, "LARGEST", 5)
    text = "seeds = [1, 2, 3]\nd_min = [2.0, 2.5]"
    assert problems(write, text) == [("", "the table has 6 runs; at most 5 are allowed")]


def test_everything_that_is_wrong_is_told_together(write):
    text = """
    d_mni = [2.0]
    seeds = [-1]
    schemes = ["A->B,B->A", "A->"]
    vary.weights.data = [0.0]
    """
    assert [place for place, _ in problems(write, text)] == ["", "seeds[1]", "schemes.A->", "vary.weights.data[1]"]


def test_one_cause_in_many_runs_is_told_once(write):
    text = 'schemes = ["A->B,B->A", "A->B"]\nd_min = [1.5, 2.0, 3.0]\nstart_factors = [2, 3]'
    ((place, _),) = problems(write, text)
    assert place == "run 1 (scheme A->B,B->A, d_min 1.5, start_factor 2) and 11 others"


def test_a_rate_may_be_varied_that_one_scheme_alone_has_where_all_runs_have_it(write):
    text = """
    [schemes.branch]
    scheme = "A->B,B->A,B->C,C->A"
    [vary]
    kinetics.rate_constants."B->A" = ["1/(1 us)", "1/(9 us)"]
    """
    runs = planned(write, text).runs
    assert [run.request.provider_section["rate_constants"]["B->A"] for run in runs] == ["1/(1 us)", "1/(9 us)"]


def test_a_wrong_refinement_file_is_named_itself(write, directory):
    (directory / "refinement.toml").write_text("[refinement]\ncycels = 1")
    with pytest.raises(InputError, match=r"campaign.toml': refinement: '.*refinement.toml': 4 problems") as caught:
        planned(write, "d_min = [2.0]")
    assert "did you mean 'cycles'?" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('refinement = "refinment.toml"', "there is no such file (did you mean 'refinement.toml'?)"),
        ("refinement = 1", "1: a path in quotes is wanted"),
        ('title = "refinement ="', "refinement: is missing"),
        ("refinement = ", "not TOML"),
    ],
)
def test_without_a_refinement_file_nothing_is_planned(write, text, message):
    with pytest.raises(ConfigError) as caught:
        planned(write, text)
    assert message in str(caught.value)


def test_schemes_need_the_provider_that_has_them(write):
    text = 'schemes = ["A->B"]\nset.refinement.occupancy = "unrestrained"'
    assert problems(write, text)[0] == (
        "schemes.A->B",
        "occupancy is 'unrestrained'; schemes and starting rate constants are of the provider 'kinetics'",
    )


def test_another_directory_may_be_given(write, tmp_path):
    assert planned(write, "d_min = [2.0]", output=tmp_path / "out").directory == tmp_path / "out"
