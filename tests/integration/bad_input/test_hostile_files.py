"""Files that somebody else has made with intent: nothing in them is run, and nothing leaves the output directory."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import gemmi
import pytest
import torch

from tests.integration.bad_input.inputs import Inputs
from tests.unit.output.html_page import Page
from torchref_kinetic_plugin.workflow import checkpoint

ROOT = Path(__file__).parents[3]
JOINT = ("starts = 1", 'starts = 1\nd_min = 4.0\nrefine = ["kinetics", "structures", "scale"]')
SWITCHES = "maps = false\nplots = false\nreport = false\ndeposition = false"
TITLE = "<b onload=\"alert('&')\"> $x^2 \\frac{ [red]; data_a loop_ _b #"


class Payload:
    """Makes a directory when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("how", ["torch", "pickle", "inside"])
def test_a_checkpoint_that_runs_something_is_refused(
    inputs: Inputs, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    output, victim = inputs.directory / "refined", inputs.directory / "victim"
    output.mkdir()
    content = {"schema": checkpoint._SCHEMA, "settings": Payload(victim)} if how == "inside" else Payload(victim)
    if how == "pickle":
        (output / checkpoint.CHECKPOINT).write_bytes(pickle.dumps(content))
    else:
        torch.save(content, output / checkpoint.CHECKPOINT)
    inputs.edit(*JOINT)
    inputs.verb = ["refine", "--resume", "--quiet"]
    said = inputs.refused(capsys, "is not a checkpoint that can be read: it is damaged, or holds more than numbers")
    assert "run without --resume" in said
    assert not victim.exists()
    # Whoever trusts it would have run it; what is then no checkpoint of torch comes too late.
    with suppress(RuntimeError):
        torch.load(output / checkpoint.CHECKPOINT, weights_only=False)
    assert victim.exists()


@pytest.mark.parametrize(
    "content", [[1, 2], {"schema": checkpoint._SCHEMA}, {"schema": checkpoint._SCHEMA, "state": 3}]
)
def test_a_checkpoint_of_another_form_is_refused(
    inputs: Inputs, capsys: pytest.CaptureFixture[str], content: object
) -> None:
    (inputs.directory / "refined").mkdir()
    torch.save(content, inputs.directory / "refined" / checkpoint.CHECKPOINT)
    inputs.edit(*JOINT)
    inputs.verb = ["refine", "--resume", "--quiet"]
    inputs.refused(capsys, "is not a checkpoint that can be read")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"1/(1 us)"', "\"__import__('os').system('touch victim')\"", "cannot read the rate \"__import__('os')"),
        ('"1/(1 us)"', '"1/(open(\'victim\', \'w\')) us"', "cannot read the rate"),
        ('time = "1 us"', "time = \"__import__('os').system('touch victim')\"", "cannot read the time"),
        ("A->B,B->A", "A->__import__('os').system('touch victim')", "in the flow chart"),
        ('[refinement]', '[refinement]\noccupancy = "os.system"', "unknown occupancy provider 'os.system'"),
        ('[refinement]', '[refinement]\nplugins = ["victim.py"]', "refinement.plugins"),
        ('file = "i1.pdb"', 'file = "|touch victim"', "there is no such file"),
    ],
)  # fmt: skip
def test_no_text_of_a_refinement_file_is_run(
    inputs: Inputs,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    old: str,
    new: str,
    message: str,
) -> None:
    monkeypatch.chdir(inputs.directory)
    inputs.edit(old, new)
    inputs.refused(capsys, message)
    assert not (inputs.directory / "victim").exists()


@pytest.mark.parametrize(
    "name",
    [
        "../out",
        "/tmp/out",
        "a/b",
        "..",
        ".hidden",
        "a\\\\b",
        "a\\nb",
        "<script>",
        "it's",
        "é",
        "\u202ecif.I1",
        "x" * 61,
    ],
)
@pytest.mark.parametrize("what", ["structure", "experiment", "timepoint"])
def test_names_that_are_no_file_names_are_refused(
    inputs: Inputs, capsys: pytest.CaptureFixture[str], what: str, name: str
) -> None:
    if what == "structure":
        inputs.edit('name = "I1"', f'name = "{name}"')
    elif what == "experiment":
        inputs.edit("[[experiment]]", f'[[experiment]]\nname = "{name}"')
    else:
        inputs.edit('time = "1 us"', f'name = "{name}", time = "1 us"')
    inputs.refused(capsys, "becomes part of file names: letters, digits, '.', '_', '+' and '-' are allowed")


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ([('name = "I1"', 'name = "all"'), ('B = "I1"', 'B = "all"'), ("{I1 =", "{all =")], "structures/all.cif"),
        ([('name = "I1"', 'name = "Dark"'), ('B = "I1"', 'B = "Dark"'), ("{I1 =", "{Dark =")], "structures/dark.cif"),
        (
            [
                ('time = "1 us"', 'name = "a", time = "1 us"'),
                ('time = "10 us"', 'name = "a_difference", time = "10 us"'),
            ],
            "maps/experiment_1_a_difference.mtz",
        ),
    ],
)
def test_names_that_make_two_files_one_are_refused(
    inputs: Inputs, capsys: pytest.CaptureFixture[str], edits: list[tuple[str, str]], message: str
) -> None:
    for edit in edits:
        inputs.edit(*edit)
    inputs.refused(capsys, f"two files of the output would be called {message}; give other names")


@pytest.mark.parametrize("character", ["\\u001b[2J", "\\u0000", "\\n", "\\u202e"])
def test_titles_that_would_steer_a_terminal_are_refused(
    inputs: Inputs, capsys: pytest.CaptureFixture[str], character: str
) -> None:
    inputs.edit("An octapeptide", f"An octapeptide{character}")
    said = inputs.refused(capsys, "title: 'An octapeptide")
    assert "a title is one line of letters that can be seen" in said
    assert "\u001b" not in said


def test_what_a_title_says_is_text_wherever_it_is_written(inputs: Inputs, capsys: pytest.CaptureFixture[str]) -> None:
    """HTML, SVG and mmCIF with a title of their own signs; every file is read by a strict reader."""
    inputs.edit('title = "An octapeptide"', f"title = '''{TITLE}'''")
    inputs.edit(SWITCHES, "maps = false")
    inputs.verb = ["refine"]
    said = inputs.accepted(capsys)
    assert TITLE in said
    output = inputs.directory / "refined"
    page = Page((output / "report.html").read_text())
    assert "b" not in page.tags
    assert any(TITLE in text for text in page.texts)
    drawings = list((output / "plots").glob("*.svg"))
    assert len(drawings) >= 3
    for drawing in drawings:
        assert {each.tag.partition("}")[2] for each in ElementTree.parse(drawing).iter()}.isdisjoint({"script", "b"})
    (block,) = gemmi.cif.read(str(output / "deposition.cif"))
    assert TITLE in gemmi.cif.as_string(block.find_value("_struct.title"))


@pytest.mark.parametrize("name", ["plots", "structures", "maps", "views"])
def test_a_link_out_of_the_output_directory_is_refused(
    inputs: Inputs, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    elsewhere = inputs.directory / "elsewhere"
    elsewhere.mkdir()
    (inputs.directory / "refined").mkdir()
    (inputs.directory / "refined" / name).symlink_to(elsewhere)
    inputs.verb = ["refine", "--quiet"]
    inputs.refused(capsys, f"'refined/{name}' is a link that leads out of its directory, to 'elsewhere'")
    assert list(elsewhere.iterdir()) == []


def test_files_that_links_lead_to_stay_as_they_are(inputs: Inputs, capsys: pytest.CaptureFixture[str]) -> None:
    output, precious = inputs.directory / "refined", inputs.directory / "precious"
    output.mkdir()
    precious.write_text("precious")
    for name in ("result.json", "rates.csv", "refinement.toml", "statistics.csv"):
        (output / name).symlink_to(precious)
    inputs.verb = ["refine", "--quiet"]
    inputs.accepted(capsys)
    assert precious.read_text() == "precious"
    assert not (output / "rates.csv").is_symlink()
    (output / ".lock").unlink()
    (output / ".lock").symlink_to(precious)
    inputs.refused(capsys, "cannot lock 'refined': Too many levels of symbolic links")
    assert precious.read_text() == "precious"


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A directory with an installed package whose plugin leaves a trace when it is imported."""
    site = tmp_path / "site"
    information = site / "planted-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[torchref_kinetic]\nplanted = planted\n")
    (site / "planted.py").write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'trace')!r}).touch()\n")
    return site


def test_plugins_come_from_installed_packages_and_can_be_left_out(planted: Path, inputs: Inputs) -> None:
    trace = planted.parent / "trace"

    def run(*arguments: str, path: tuple[Path, ...] = (planted,)) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT)))}
        code = "import sys; sys.path.remove(''); from torchref_kinetic_plugin.cli.main import entry; entry()"
        subprocess.run([sys.executable, "-c", code, *arguments], env=environment, cwd=planted, check=True)

    run("plugins", path=())
    assert not trace.exists()
    (inputs.directory / "series").mkdir()
    simulation = [str(inputs.directory / "simulation.toml"), "-o", str(inputs.directory / "series"), "--quiet"]
    for verb in (
        ["plugins"],
        ["check", "--quick", "--quiet", str(inputs.file)],
        ["simulate", *simulation],
    ):
        run(*verb, "--no-plugins")
        assert not trace.exists(), verb
    run("plugins")
    assert trace.exists()
