"""How a joint step grows with timepoints, reflections and structures, what 1,000 x 100,000 takes, and `--help`.

``python -m benchmarks.growth``, five minutes; with ``--json`` the rows are written to a file too.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import torch

from benchmarks.joint_step import prepared, with_repeated_timepoints
from benchmarks.table import Table, write_json
from benchmarks.timing import Pair, in_turn, peak_memory
from torchref_kinetic_plugin.refinement.data_loss import DataLoss
from torchref_kinetic_plugin.refinement.error_model import settle_error_model
from torchref_kinetic_plugin.refinement.experiment import ExperimentData, ExperimentModel
from torchref_kinetic_plugin.reflections import Grid
from torchref_kinetic_plugin.threads import one_thread

#: Timepoints, and the largest ratio of the times per joint step of the most to the fewest.
TIMEPOINTS, LIMIT = (8, 32, 128), 2.0
#: Datasets and reflections whose likelihood has to fit in memory, and bytes.
LARGE, MEMORY_LIMIT = (1000, 100_000), 6e9
_STRUCTURES = (3, 6, 12)
_HELP_LIMIT = 0.3


def rows() -> Iterator[str]:
    """All of the table, in one thread."""
    with one_thread():
        for what, moving in (("what differs", {}), ("all atoms of the intermediates", {"I1": "//A", "I2": "//A"})):
            yield from _by_timepoints(what, moving)
        yield from _by_reflections()
        yield from _by_structures()
    yield from _large()
    yield _start_up()


def _row(what: str, pair: Pair, beside: str, limit: str) -> str:
    return f"| {what} | {1e3 * pair.ours:.0f} ms | {1e3 * pair.theirs:.0f} ms, {beside} | {pair.ratio:.2f} | {limit} |"


def _by_timepoints(what: str, moving: dict[str, str]) -> Iterator[str]:
    loaded, setup = prepared(moving)
    few, *more = ((n, with_repeated_timepoints(loaded, setup, n)) for n in TIMEPOINTS)
    at_few = few[1].variables.get()
    for n, objective in more:
        point = objective.variables.get()
        pair = in_turn(lambda: objective(point), lambda: few[1](at_few), seconds=8.0)  # noqa: B023
        title = f"joint step, {what} moving, 3 structures, {n} timepoints"
        yield _row(title, pair, f"{few[0]} timepoints", f"{LIMIT:.1f}" if n == TIMEPOINTS[-1] else "-")


def _by_reflections() -> Iterator[str]:
    moving = {"I1": "//A", "I2": "//A"}
    finest = prepared(moving)
    d_min = finest[0].file.refinement.d_min
    assert d_min is not None
    half = prepared(moving, d_min=d_min * 2.0 ** (1.0 / 3.0))
    ours, theirs = (with_repeated_timepoints(*each, 8) for each in (finest, half))
    points = ours.variables.get(), theirs.variables.get()
    counts = [len(each[0].experiments[0].grid.hkl) for each in (finest, half)]
    pair = in_turn(lambda: ours(points[0]), lambda: theirs(points[1]), seconds=8.0)
    yield _row(f"joint step, {counts[0]} reflections", pair, f"{counts[1]} reflections", f"{counts[0] / counts[1]:.1f}")


def _by_structures() -> Iterator[str]:
    """The likelihood with its slopes; structure factors grow with what each structure has of its own."""
    _, setup = prepared({})
    model = setup.experiments[0].model
    calls = []
    for k in _STRUCTURES:
        components = torch.cat([model.components, model.components[1:2].expand(k - len(model.components), -1)])
        before = np.r_[model.reference_occupancies, np.zeros(k - len(model.components))]
        larger = ExperimentModel(model.data, components, model.base_log_scale.numpy(), before)
        loss, scale = DataLoss(larger, larger.work), torch.as_tensor(larger.nuisances.scale)
        excited = torch.full((k - 1, larger.n_timepoints), 0.3 / (k - 1), dtype=torch.float64)
        occupancies = torch.cat([torch.full_like(excited[:1], 0.7), excited])
        calls.append(lambda loss=loss, c=components, o=occupancies, s=scale: loss(c, o, s))
    for k, call in zip(_STRUCTURES[1:], calls[1:], strict=True):
        pair = in_turn(call, calls[0], seconds=4.0)
        title = f"likelihood with slopes in structure factors, {k} structures"
        yield _row(title, pair, f"{_STRUCTURES[0]} structures", f"{k / _STRUCTURES[0]:.1f}")


def _large() -> Iterator[str]:
    """One line; in a process of its own, whose peak has interpreter, torch and the data in it."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.growth", "--large", *(str(each) for each in LARGE)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    within = "within" if found["peak"] <= MEMORY_LIMIT else "ABOVE"
    peak, data = found["peak"] / 1e9, found["data"] / 1e9
    yield (
        f"| {LARGE[0]} timepoints, {LARGE[1]} reflections, 3 structures: likelihood and slopes, {found['blocks']:.0f} "
        f"blocks; error model; log-likelihood again | {found['loss']:.0f} s; {found['errors']:.0f} s; "
        f"{found['value']:.0f} s | {peak:.2f} GB at the peak, {data:.2f} GB with the data "
        f"alone ({within} {MEMORY_LIMIT / 1e9:.0f} GB) | {found['peak'] / MEMORY_LIMIT:.2f} | 1.0 |"
    )


def measure_large(n_datasets: int, n_reflections: int) -> dict[str, float]:
    """Seconds and peaks of memory in bytes, with data of known truth made here."""
    model, occupancies, data_peak = _large_model(n_datasets, n_reflections)
    loss = DataLoss(model, model.work)
    found = {"data": float(data_peak), "blocks": float(len(model.blocks))}
    scale = torch.as_tensor(model.nuisances.scale)
    for name, step in (
        ("loss", lambda: loss(model.components, occupancies, scale)),
        ("errors", lambda: settle_error_model(model, occupancies)),
        ("value", lambda: model.evaluate(occupancies)),
    ):
        begin = time.perf_counter()
        step()
        found[name] = time.perf_counter() - begin
    return found | {"peak": float(peak_memory())}


def _large_model(n_datasets: int, n_reflections: int) -> tuple[ExperimentModel, torch.Tensor, int]:
    random = np.random.default_rng(1)
    cell, group, hkl, resolution = _crystal(n_reflections)
    operations = group.operations()
    centric = np.asarray(operations.centric_flag_array(hkl), dtype=np.bool_)
    epsilon = np.asarray(operations.epsilon_factor_without_centering_array(hkl), dtype=np.float64)

    def complexes(size: float) -> np.ndarray[Any, Any]:
        parts = size * np.sqrt(epsilon / 2.0) * random.standard_normal((2, n_reflections))
        return np.asarray(np.where(centric, math.sqrt(2.0) * parts[0], parts[0] + 1j * parts[1]))

    dark, error = complexes(100.0), complexes(20.0)
    components = np.stack([dark, dark + complexes(15.0), dark + complexes(15.0)])
    left = np.exp(-3.0 * np.linspace(0.0, 1.0, n_datasets - 1))
    occupancies = np.stack([np.full_like(left, 0.7), 0.3 * left, 0.3 * (1.0 - left)])
    weights = np.c_[[1.0, 0.0, 0.0], occupancies]
    shape = (n_datasets, n_reflections)
    intensity, sigma, amplitude, amplitude_sigma = (np.empty(shape) for _ in range(4))
    log_scale = np.repeat(random.normal(0.0, 0.3, n_datasets), n_reflections).reshape(shape)
    for row in range(n_datasets):
        square = np.exp(2.0 * log_scale[row])
        true = square * np.abs(weights[:, row] @ components + error) ** 2
        sigma[row] = 0.06 * true + 20.0 * square
        intensity[row] = true + sigma[row] * random.standard_normal(n_reflections)
        amplitude[row] = np.sqrt(np.maximum(intensity[row], sigma[row] / 4.0))
        amplitude_sigma[row] = sigma[row] / (2.0 * amplitude[row])
    names = tuple(str(row) for row in range(n_datasets))
    grid = Grid(
        cell=cell,
        spacegroup=group,
        paths=names,
        hkl=hkl,
        amplitude=amplitude,
        sigma=amplitude_sigma,
        intensity=intensity,
        intensity_sigma=sigma,
        free=random.random(n_reflections) < 0.05,
        validation=np.zeros(n_reflections, dtype=np.bool_),
        centric=centric,
        epsilon=epsilon,
        resolution=resolution,
        cell_changes=(),
    )
    data = ExperimentData("large", names, tuple(float(row) for row in range(1, n_datasets)), grid)
    at_data = peak_memory()
    model = ExperimentModel(data, torch.from_numpy(components), log_scale, np.array([1.0, 0.0, 0.0]))
    return model, torch.from_numpy(occupancies), at_data


def _crystal(n_reflections: int) -> tuple[gemmi.UnitCell, gemmi.SpaceGroup, Any, Any]:
    """An orthorhombic cell with so many reflections to 1.5 A, the strongest left out that are too many."""
    group, edge = gemmi.SpaceGroup("P 21 21 21"), 20.0
    while True:
        cell = gemmi.UnitCell(edge, 1.05 * edge, 1.1 * edge, 90.0, 90.0, 90.0)
        hkl = np.asarray(gemmi.make_miller_array(cell, group, 1.5, 1e3), dtype=np.int32)
        if len(hkl) >= n_reflections:
            break
        edge *= max(1.005, min(2.0, (n_reflections / len(hkl)) ** (1.0 / 3.0)))
    resolution = np.asarray(cell.calculate_d_array(hkl))
    kept = np.sort(np.argsort(resolution, kind="stable")[:n_reflections])
    return cell, group, hkl[kept], resolution[kept]


def _start_up() -> str:
    def seconds(command: list[str]) -> float:
        begin = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - begin

    shown = [str(Path(sys.executable).with_name("torchref.kinetic")), "--help"]
    ours = statistics.median(seconds(shown) for _ in range(7))
    bare = statistics.median(seconds([sys.executable, "-c", "pass"]) for _ in range(7))
    return (
        f"| torchref.kinetic --help (wanted: {_HELP_LIMIT:.1f} s) | {1e3 * ours:.0f} ms | {1e3 * bare:.0f} ms, the "
        f"interpreter alone | {ours / bare:.1f} | {_HELP_LIMIT / bare:.1f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    parser.add_argument("--large", type=int, nargs=2, metavar=("DATASETS", "REFLECTIONS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.large is not None:
        with one_thread():
            print(json.dumps(measure_large(*options.large)))
        return
    table = Table()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table.heading()
        table.show(rows())
    if options.json is not None:
        write_json(options.json, {"growth": table})


if __name__ == "__main__":
    main()
