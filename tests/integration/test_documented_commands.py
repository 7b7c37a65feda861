"""Every command that README and docs show runs as written, on a copy of what it needs; so do their Python and TOML."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.campaign.tiny_series import make_series
from torchref_kinetic_plugin.campaign import running
from torchref_kinetic_plugin.cli.main import VERBS, build_parser, main
from torchref_kinetic_plugin.config import read_refinement_file
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.workflow import tasks

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "example_data"
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")]}
PROGRAM = "torchref.kinetic"

#: Commands that do not run here, and why.
EXCEPTIONS = {
    "make example": "installs into an environment of its own; what it would run then is looked at",
    "make test": "is the suite that this test is part of",
    "dask scheduler --scheduler-file scheduler.json &": "needs a cluster",
    "srun --ntasks 64 --cpus-per-task 1 dask worker --scheduler-file scheduler.json --nthreads 1 &": "needs SLURM",
    "torchref.kinetic campaign campaign.toml --scheduler tcp://login1:8786": "needs a cluster",
    "python -c \"import ihm.dictionary as d; d.read(open('mmcif_ihm.dic')).validate(open('refined/deposition.cif'))\"": (
        "needs a dictionary that no package has"
    ),
}
#: What is said in fewer draws or starts here, as the pages allow any number.
SHORTER = {"-n 100": "-n 2", "-n 50": "-n 2"}
#: What the files leave out that takes time and is tested elsewhere.
SHORT = "maps = false\nplots = false\n[validation]\nleave_out = false\nfree_occupancies = false\nnull_test = false\n"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[str]:
    """Lines of the page's shell blocks, without their comments."""
    lines = "".join(blocks(page, "sh")).splitlines()
    return [bare for line in lines if (bare := re.sub(r"\s+#.*", "", line).strip())]


def shortened(command: str) -> str:
    for long, short in SHORTER.items():
        command = command.replace(long, short)
    return command


WITH_COMMANDS = [page for page in PAGES if set(commands(page)) - EXCEPTIONS.keys()]


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands of the README name: a small series under these names, a simulation and a campaign file."""
    directory = tmp_path_factory.mktemp("series")
    make_series(directory)
    (directory / "refinement.toml").unlink()
    for old, new in (("t01", "t_100ns"), ("t02", "t_1us"), ("t03", "t_20us")):
        (directory / f"{old}.mtz").rename(directory / f"{new}.mtz")
    (directory / "campaign.toml").write_text('refinement = "run/refinement.toml"\nseeds = [2]\n')
    return directory


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands of the other pages name: the shipped series at low resolution, with files that ask for it."""
    directory = tmp_path_factory.mktemp("example")
    for path in [*EXAMPLES.glob("photocycle/*.mtz"), *EXAMPLES.glob("photocycle/*.pdb")]:
        shutil.copy(path, directory)
    text = (EXAMPLES / "photocycle" / "refinement.toml").read_text().replace("d_min = 1.7", "d_min = 3.5\nstarts = 1")
    text = re.sub(r".*t0[1378]\.mtz.*\n", "", text) + SHORT
    for name in ("refinement", "run", "one"):
        (directory / f"{name}.toml").write_text(text)
    (directory / "other.toml").write_text(text.replace('"A->B,B->C,C->A"', '"A->B,B->C,B->A,C->A"'))
    (directory / "campaign.toml").write_text('refinement = "run.toml"\nseeds = [2]\n')
    return directory


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws and runs are computed here, one after the other; that processes give the same is tested with them."""

    @contextmanager
    def threads(_: int | None = None) -> Iterator[ThreadPoolExecutor]:
        with ThreadPoolExecutor(1) as pool:
            yield pool

    monkeypatch.setattr(tasks, "local_processes", threads)
    monkeypatch.setattr(running, "local_processes", threads)


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_commands_run(page: str, series: Path, example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(series if page == "README.md" else example)
    for command in commands(page):
        if command in EXCEPTIONS:
            continue
        program, *arguments = shlex.split(shortened(command))
        assert program == PROGRAM, f"{page}: {command}: run it here, or say above why not"
        assert main(arguments) == 0, f"{page}: {command}"


def test_what_is_excepted_or_shortened_still_stands_in_the_pages() -> None:
    shown = [command for page in PAGES for command in commands(page)]
    assert set(EXCEPTIONS) <= set(shown)
    for long in SHORTER:
        assert any(long in command for command in shown), long
    assert len(shown) > 20


@pytest.mark.parametrize("command", EXCEPTIONS)
def test_what_does_not_run_here_is_at_least_understood(command: str) -> None:
    program, *arguments = shlex.split(command.removesuffix("&"))
    if program == PROGRAM:
        assert build_parser().parse_args(arguments).verb == arguments[0]
    elif program == "make":
        assert recipe(arguments[0])
    elif program == "python":
        compile(arguments[1], "page", "exec")
    else:
        own = shlex.split(command[command.index("dask ") :].removesuffix("&"))
        known = subprocess.run(
            [Path(sys.executable).with_name("dask"), own[1], "--help"], capture_output=True, text=True, check=True
        )
        assert all(option in known.stdout for option in own if option.startswith("--"))


def recipe(target: str) -> list[str]:
    """Commands of a make target."""
    # Under another make it would tell of directories too.
    command = ["make", "-n", "--no-print-directory", target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if not line.startswith("#")]


def test_the_example_refines_the_shipped_series() -> None:
    *_, last = recipe("example")
    program, *arguments = shlex.split(last)
    assert Path(program).name == PROGRAM
    options = build_parser().parse_args(arguments)
    assert options.verb == "refine"
    assert (ROOT / options.file).is_file()


def test_commands_within_the_text_exist() -> None:
    """Targets of make, modules of python -m, verbs with their arguments."""
    found = [(page, text) for page, content in PAGES.items() for text in re.findall(r"`([^`\n]+)`", content)]
    checked = dict.fromkeys(("make", "python", PROGRAM), 0)
    for page, text in found:
        program, *arguments = text.split()
        if program not in checked or not arguments:
            continue
        checked[program] += 1
        if program == "make":
            assert recipe(arguments[0]), f"{page}: {text}"
        elif program == "python":
            assert arguments[0] == "-m", f"{page}: {text}"
            assert importlib.util.find_spec(arguments[1]), f"{page}: {text}"
        elif len(arguments) == 1:
            assert arguments[0] in {*VERBS, "--help"}, f"{page}: {text}"
        else:
            assert build_parser().parse_args(arguments).verb in VERBS, f"{page}: {text}"
    assert min(checked.values()) >= 4
    for target in re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE):
        assert recipe(target), target


@pytest.mark.usefixtures("one_process")
def test_python_of_the_pages_runs(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What reads results reads those of a refinement; README, python.md and plugins.md have tests of their own."""
    monkeypatch.chdir(example)
    assert main(["refine", "run.toml", "--quiet"]) == 0
    capsys.readouterr()
    campaign, cluster = blocks("docs/campaigns.md", "python")
    compile(cluster, "campaigns.md", "exec")
    assert "SLURMCluster" in cluster
    (reading,) = blocks("docs/deposition.md", "python")
    (report,) = blocks("docs/report.md", "python")
    for code, said in ((campaign, "done"), (reading, "B->C"), (report, "")):
        names: dict[str, object] = {"__name__": "__main__"}
        exec(compile(code, "page", "exec"), names)
        assert said in capsys.readouterr().out
    assert (example / "refined" / "report.html").stat().st_size > 50_000


def test_refinement_files_of_the_pages_are_read(tmp_path: Path) -> None:
    """README, simulate.md and campaigns.md have tests of their own, the project file of plugins.md too."""
    (text,) = blocks("docs/campaign.md", "toml")
    for temperature in ("280K", "300K"):
        (tmp_path / temperature).symlink_to(EXAMPLES / "multi_temperature" / temperature)
    (tmp_path / "refinement.toml").write_text(text)
    file = read_refinement_file(tmp_path / "refinement.toml")
    provider = PluginManager(builtin_only=True).provider("kinetics")
    provider.read_settings(file.provider_section)
    (fragment,) = blocks("docs/kinetics.md", "toml")
    scheme = {"scheme": "A->B,B->C,C->A", "state_mapping": {"A": "dark", "B": "I1", "C": "I2"}}
    settings = provider.read_settings(scheme | tomllib.loads(fragment)["kinetics"])
    assert settings.activation_enthalpies == {"B->C": 60.0}
    known = {
        "README.md",
        "docs/simulate.md",
        "docs/campaigns.md",
        "docs/plugins.md",
        "docs/campaign.md",
        "docs/kinetics.md",
    }
    assert {page for page in PAGES if blocks(page, "toml")} == known
