"""A campaign as a user types it, on a series that takes a second to refine."""

import csv
import json
import math
import os
import shutil
import signal
import sys
import threading
import time
from concurrent.futures import Executor, Future
from pathlib import Path

import pytest

from tests.unit.campaign.tiny_series import make_series
from tests.unit.output.html_page import Page
from torchref_kinetic_plugin import refine, run_campaign
from torchref_kinetic_plugin.cli.main import main
from torchref_kinetic_plugin.errors import InputError, LockedError
from torchref_kinetic_plugin.files import lock

#: A run with its spread over two draws, and one that has too little data.
CAMPAIGN = """
title = "Which scheme & how sure"
refinement = "refinement.toml"
schemes = {cycle = "A->B,B->A"}
bootstraps = 2
set.refinement.refine = ["kinetics"]

[[run]]
name = "too_little"
d_min = 12.0
"""
COMMAND = ["campaign", "--workers", "1", "--no-plugins"]


class InTurn(Executor):
    """Computes in this process, at once, and counts."""

    def __init__(self):
        self.orders = []

    def submit(self, function, /, *arguments):
        self.orders.append(arguments[0])
        future = Future()
        future.set_result(function(*arguments))
        return future


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    return make_series(tmp_path_factory.mktemp("series")).parent


@pytest.fixture(scope="module")
def campaign(series):
    """A campaign, computed."""
    path = series / "campaign.toml"
    path.write_text(CAMPAIGN)
    run_campaign(path, executor=InTurn(), builtin_only=True)
    return path


@pytest.fixture
def small(series, tmp_path):
    """Write a campaign of refinements that take no time: nothing is refined, weights that change nothing are varied."""

    def written(text):
        path = series / f"{tmp_path.name}.toml"
        fast = 'set.refinement.occupancy = "fixed"\nset.refinement.refine = []\n'
        path.write_text(f'refinement = "refinement.toml"\ndirectory = "{tmp_path / "out"}"\n{fast}{text}')
        return path

    return written


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_summary_compares_the_runs(campaign):
    cycle, failed = rows_of(campaign.parent / "campaign" / "summary.csv")
    assert [row["status"] for row in (cycle, failed)] == ["done", "failed"]
    assert [row["axis scheme"] for row in (cycle, failed)] == ["cycle", ""]
    assert [row["axis run"] for row in (cycle, failed)] == ["", "too_little"]
    assert failed["error"]
    # The truth is 5e5 /s.
    rate = "rate_constant B->A (1/s)"
    assert float(cycle[f"{rate} lower"]) < float(cycle[rate]) < float(cycle[f"{rate} upper"])
    assert float(cycle[rate]) == pytest.approx(5e5, rel=0.1)
    assert failed[rate] == ""
    assert float(cycle[f"{rate} drawn lower"]) < float(cycle[f"{rate} drawn upper"])
    assert cycle["draws"] == "2"


def test_a_run_is_an_ordinary_refinement(small, series, tmp_path):
    result = run_campaign(small("d_min = [3.0]"), executor=InTurn(), builtin_only=True)
    directory = tmp_path / "out" / result.runs[0].directory
    found = json.loads((directory / "refined" / "result.json").read_text())
    keys = {"refinement.occupancy": "fixed", "refinement.refine": [], "refinement.d_min": 3.0}
    for again in (
        refine(series / "refinement.toml", output=tmp_path / "again", overrides=keys),
        refine(directory / "refinement.toml", output=tmp_path / "anew"),
    ):
        for key in ("title", "statistics", "steps", "occupancies"):
            assert found[key] == again.to_json()[key]
    last = [each["r_free"] for each in found["statistics"] if each["cycle"] == 1]
    assert result.runs[0].outcome.r_free == pytest.approx(sum(last) / 4, rel=1e-12)


def test_campaign_json_says_all_of_it(campaign):
    content = json.loads((campaign.parent / "campaign" / "campaign.json").read_text())
    assert content["schema"] == 1
    assert content["axes"] == ["scheme", "run", "d_min"]
    assert len(content["runs"][0]["outcome"]["draws"][0]["values"]) == 2
    assert content["runs"][1]["outcome"] is None
    (failure,) = content["failures"]
    assert (failure["number"], failure["draw"]) == (2, 0)
    assert len(content["inputs"]) == 6
    assert "1 run failed; the errors are listed, and --retry computes these again" in content["remarks"]


def test_the_page_needs_nothing_beside_itself(campaign):
    html = (campaign.parent / "campaign" / "campaign.html").read_text()
    page = Page(html)
    assert "Which scheme & how sure" in page.text
    assert [row[0][0] for row in page.body("runs-table")] == ["1", "2"]
    assert len(page.body("parameter-1")) == 1
    assert "script" not in page.tags
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    assert page.anchors.index("failures") > 0


def test_a_second_time_nothing_is_computed(campaign):
    before = (campaign.parent / "campaign" / "campaign.json").read_text()
    executor = InTurn()
    result = run_campaign(campaign, executor=executor, builtin_only=True)
    assert executor.orders == []
    after = (campaign.parent / "campaign" / "campaign.json").read_text()
    assert [line for line in after.splitlines() if not line.startswith(' "seconds"')] == [
        line for line in before.splitlines() if not line.startswith(' "seconds"')
    ]
    assert [run.status for run in result.runs] == ["done", "failed"]


def test_what_is_printed(campaign, capsys):
    assert main([*COMMAND, str(campaign)]) == 0
    printed = capsys.readouterr().out
    assert "4 of 4 finished before" in printed
    assert "Which scheme & how sure" in printed
    assert "- run 2 failed: " in printed
    assert main([*COMMAND, str(campaign), "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_a_failed_run_is_tried_again_when_asked(campaign):
    executor = InTurn()
    run_campaign(campaign, executor=executor, builtin_only=True, retry=True)
    assert [(order.draw, Path(order.directory).name) for order in executor.orders] == [
        (0, rows_of(campaign.parent / "campaign" / "summary.csv")[1]["directory"].removeprefix("runs/"))
    ]


def test_the_list_computes_nothing(small, tmp_path, capsys):
    path = small("vary.weights.geometry = [1.0, 2.0, 3.0]")
    assert main([*COMMAND, str(path), "--list"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("waiting") == 3
    assert "weights.geometry" in printed
    assert not (tmp_path / "out").exists()


def test_an_interrupted_campaign_goes_on(small, tmp_path, capsys):
    path = small("vary.weights.geometry = [1.0, 2.0, 3.0]")

    class Interrupted(InTurn):
        def submit(self, function, /, *arguments):
            if len(self.orders) == 2:
                raise KeyboardInterrupt
            return super().submit(function, *arguments)

    first = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        run_campaign(path, executor=first, builtin_only=True)
    assert [row["status"] for row in rows_of(tmp_path / "out" / "summary.csv")] == ["done", "done", "waiting"]
    assert "1 run not computed yet" in (tmp_path / "out" / "campaign.html").read_text()
    assert main([*COMMAND, str(path), "--list"]) == 0
    assert capsys.readouterr().out.count("done") == 2
    second, told = InTurn(), []
    result = run_campaign(path, executor=second, builtin_only=True, on_progress=told.append)
    assert len(second.orders) == 1
    assert result.count("done") == 3
    assert [(now.finished, now.found, now.total) for now in told] == [(2, 2, 3), (3, 2, 3)]


def test_more_runs_leave_those_that_are_done(small, tmp_path):
    run_campaign(small("vary.weights.geometry = [1.0]"), executor=InTurn(), builtin_only=True)
    executor = InTurn()
    run_campaign(small("vary.weights.geometry = [2.0, 1.0]"), executor=executor, builtin_only=True)
    assert len(executor.orders) == 1
    assert [row["axis weights.geometry"] for row in rows_of(tmp_path / "out" / "summary.csv")] == ["2", "1"]


def test_two_campaigns_in_one_directory_are_refused(small, tmp_path):
    path = small("vary.weights.geometry = [1.0]")
    (tmp_path / "out").mkdir()
    with lock(tmp_path / "out"), pytest.raises(LockedError, match="in use by another run"):
        run_campaign(path, executor=InTurn(), builtin_only=True)


@pytest.mark.parametrize("link", ["runs", "runs/run", "runs/run/refined"])
def test_a_link_that_leads_out_of_the_directory_stops_the_campaign(small, tmp_path, link, capsys):
    path, out, elsewhere = small("d_min = [3.0]"), tmp_path / "out", tmp_path / "elsewhere"
    run = run_campaign(path, executor=InTurn(), builtin_only=True).runs[0].directory
    place = out / link.replace("runs/run", run)
    shutil.rmtree(place)
    (out / run / "run.json").unlink(missing_ok=True)
    elsewhere.mkdir()
    place.symlink_to(elsewhere)
    assert main([*COMMAND, str(path)]) == 2
    assert f"{str(place)!r} is a link that leads out of its directory" in capsys.readouterr().err
    assert list(elsewhere.iterdir()) == []


def test_a_campaign_without_any_result_is_an_error_with_a_summary(small, tmp_path):
    with pytest.raises(InputError, match="no run led to a result; d_min 15 failed with:"):
        run_campaign(small("d_min = [15.0]"), executor=InTurn(), builtin_only=True)
    (row,) = rows_of(tmp_path / "out" / "summary.csv")
    assert row["status"] == "failed"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "0"], "workers = 0: at least 1 is wanted"),
        (["--scheduler", "tcp://127.0.0.1:1"], "no Dask scheduler answers at 'tcp://127.0.0.1:1'"),
        (["--scheduler", "x", "--workers", "2"], "one of executor, scheduler and workers is wanted"),
    ],
)
def test_wrong_workers_are_told(small, capsys, monkeypatch, options, message):
    monkeypatch.setattr("torchref_kinetic_plugin.campaign.cluster._TIMEOUT", 0.5)
    assert main(["campaign", "--no-plugins", str(small("d_min = [2.5]")), *options]) == 2
    assert message in capsys.readouterr().err


def test_dask_is_asked_for_where_it_is_not_installed(small, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["campaign", "--no-plugins", str(small("d_min = [2.5]")), "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "pip install 'torchref-kinetic-plugin[dask]'" in capsys.readouterr().err


def test_wrong_campaign_files_are_one_message(small, capsys):
    assert main(["campaign", str(small("d_mim = [2.0]\nseeds = [-1]"))]) == 2
    printed = capsys.readouterr().err
    assert "2 problems" in printed
    assert "did you mean 'd_min'?" in printed


def test_ctrl_c_says_how_to_go_on(small, tmp_path, capsys):
    path = small("vary.weights.geometry = [1.0, 2.0, 3.0, 4.0]")

    def interrupt():
        while not list((tmp_path / "out" / "runs").glob("*/run.json")):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    assert main([*COMMAND, str(path), "-q"]) == 130
    assert capsys.readouterr().err == (
        "\ntorchref.kinetic campaign: interrupted; finished runs are kept: the same command goes on with the others\n"
    )
    statuses = [row["status"] for row in rows_of(tmp_path / "out" / "summary.csv")]
    assert "done" in statuses
    assert "waiting" in statuses
    result = run_campaign(path, executor=InTurn(), builtin_only=True)
    assert result.count("done") == 4
    # The same numbers, whether a run was computed before the interruption, after it, or cut short and begun anew.
    assert len({(run.outcome.r_free, run.outcome.log_likelihood_free) for run in result.runs}) == 1
    assert not math.isnan(result.runs[0].outcome.r_free)


def test_an_executor_and_workers_are_one_too_many(small):
    with pytest.raises(InputError, match="one of executor, scheduler and workers"):
        run_campaign(small("d_min = [2.5]"), executor=InTurn(), workers=2)
