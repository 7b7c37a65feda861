"""A campaign on a real Dask cluster of this machine: several worker processes, one of them killed in the middle."""

import csv
import os
import signal
import threading
import time

import dask
import distributed
import pytest

from tests.unit.campaign.tiny_series import make_series
from torchref_kinetic_plugin import run_campaign

N_WORKERS, N_RUNS = 3, 5


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A campaign whose runs differ in a weight that changes nothing: all give the same numbers."""
    series = make_series(tmp_path_factory.mktemp("series")).parent
    found = series / "campaign.toml"
    found.write_text(
        'refinement = "refinement.toml"\n'
        'set.refinement.occupancy = "fixed"\n'
        "set.refinement.refine = []\n"
        f"vary.weights.geometry = {[float(number) for number in range(1, N_RUNS + 1)]}\n"
    )
    return found


@pytest.fixture(scope="module")
def cluster():
    options = {"n_workers": N_WORKERS, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    # A run that ends its worker is tried once more.
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}), distributed.LocalCluster(**options) as found:
        yield found


def kill_one_at_work(runs, killed):
    """End the process that is at a run, by the number that it has put into the run's lock."""
    while not killed:
        for directory in runs.glob("*"):
            lock = directory / "refined" / ".lock"
            if lock.is_file() and (text := lock.read_text()) and not (directory / "run.json").exists():
                os.kill(int(text), signal.SIGKILL)
                if not (directory / "run.json").exists():
                    killed.append((directory.name, int(text)))
                    return
        time.sleep(0.01)


def test_a_killed_worker_costs_its_run_alone_and_that_is_computed_again(path, cluster):
    runs, killed = path.parent / "campaign" / "runs", []
    killer = threading.Thread(target=kill_one_at_work, args=(runs, killed), daemon=True)
    killer.start()
    told = []
    result = run_campaign(path, scheduler=cluster.scheduler_address, builtin_only=True, on_progress=told.append)
    killer.join(timeout=5.0)
    ((name, pid),) = killed
    # Each run once, in the summary as on the disk and in what was told on the way.
    with (path.parent / "campaign" / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["done"] * N_RUNS
    assert len({row["directory"] for row in rows}) == N_RUNS
    assert sorted(f"runs/{each.name}" for each in runs.iterdir()) == sorted(row["directory"] for row in rows)
    assert [now.finished for now in told] == list(range(N_RUNS + 1))
    # The killed process left no result: another one has computed its run, and found what all others did.
    again = int((runs / name / "refined" / ".lock").read_text())
    assert again != pid
    assert len({row["log_likelihood_free"] for row in rows}) == 1
    assert len({str(run.outcome) for run in result.runs}) == 1
    # Several processes took part.
    assert len({(each / "refined" / ".lock").read_text() for each in runs.iterdir()}) >= 2


def test_a_second_start_asks_no_worker(path):
    result = run_campaign(path, scheduler="tcp://127.0.0.1:1", builtin_only=True)
    assert result.count("done") == N_RUNS


def kill_own_worker(_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_run_that_kills_every_worker_is_recorded_as_failed(tmp_path, cluster):
    from tests.unit.campaign.small_orders import orders, record
    from torchref_kinetic_plugin.campaign.cluster import cluster_workers
    from torchref_kinetic_plugin.campaign.computing import Computation

    (order,) = orders(tmp_path, 1)
    told = []
    with cluster_workers(cluster.scheduler_address) as executor:
        Computation(executor, lambda _, found: told.append(found), kill_own_worker).run([order], lambda *_: ())
    (found,) = told
    assert found.error.startswith("its workers on the cluster ended while it was computed: killed, or out of memory")
    assert record(order) == found
