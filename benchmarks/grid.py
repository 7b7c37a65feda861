"""64 datasets on one grid and one scale: this package beside `DatasetCollection`; each in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from benchmarks.framework_series import collected, double_precision, reflection_data
from benchmarks.series import Series, example
from benchmarks.timing import peak_memory
from torchref_kinetic_plugin.bridge import fit_relative_scales
from torchref_kinetic_plugin.bridge.environment import framework, quiet
from torchref_kinetic_plugin.reflections import Observations, merge_grid, one_free_set

#: Largest ratio of the times, and largest peak of memory of this package in bytes.
LIMIT, MEMORY_LIMIT = 0.1, 1e9
_N_DATASETS = 64
_PRESENT = 0.95
#: Bytes of addresses: the framework's rank test would otherwise take all there are.
_ADDRESS_SPACE = 20 << 30


def rows() -> Iterator[str]:
    """One line of the table; memory is the largest resident size of the process, interpreter and torch included."""
    ours, theirs = _measured("ours"), _measured("framework")
    done = "add_dataset and scale()" if theirs["scaled"] else "add_dataset alone, as scale() failed"
    within = "within" if ours["peak"] <= MEMORY_LIMIT else "ABOVE"
    yield (
        f"| {_N_DATASETS} datasets, {ours['reflections']:.0f} reflections, on one grid and scaled | "
        f"{ours['seconds']:.2f} s, {ours['peak'] / 1e9:.2f} GB ({within} {MEMORY_LIMIT / 1e9:.0f} GB) "
        f"| {theirs['seconds']:.1f} s ({theirs['added']:.1f} s of them add_dataset), {theirs['peak'] / 1e9:.2f} GB, "
        f"{done} | 1/{theirs['seconds'] / ours['seconds']:.0f} | 1/{1.0 / LIMIT:.0f} |"
    )


def _measured(side: str) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.grid", side]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _datasets(series: Series) -> list[Observations]:
    """The example's datasets in turn, each with a scale, a B, noise and gaps of its own."""
    rng = np.random.default_rng(1)
    made = []
    for number in range(_N_DATASETS):
        source = series.observations[number % len(series.observations)]
        kept = rng.random(len(source)) < _PRESENT
        factor = np.exp(rng.normal(scale=0.3) - rng.normal(scale=2.0) / (4.0 * source.resolution[kept] ** 2))
        noisy = source.amplitude[kept] + rng.normal(size=int(kept.sum())) * source.sigma[kept]
        made.append(
            replace(
                source,
                path=f"set{number:02d}.mtz",
                hkl=source.hkl[kept],
                amplitude=factor * np.abs(noisy),
                sigma=factor * 2.0**0.5 * source.sigma[kept],
                intensity=np.empty(0),
                intensity_sigma=np.empty(0),
            )
        )
    return made


def _ours(series: Series, datasets: list[Observations]) -> dict[str, float]:
    begin = time.perf_counter()
    free_set = one_free_set(datasets[0], datasets[1:], seed=1)
    grid = merge_grid(datasets, free_set)
    names = [each.name for each in datasets]
    fit_relative_scales(grid.amplitude, grid.sigma, grid.hkl, series.data.crystal, use=~grid.free, names=names)
    return {"seconds": time.perf_counter() - begin, "reflections": float(len(grid.hkl))}


def _framework(series: Series, datasets: list[Observations]) -> dict[str, float]:
    framework()
    parts = [reflection_data(each, series.free_set) for each in datasets]
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    begin = time.perf_counter()
    with quiet():
        collection = collected([each.name for each in datasets], parts)
        seconds = added = time.perf_counter() - begin
        scaled = True
        try:
            with double_precision():
                collection.scale()
            seconds = time.perf_counter() - begin
        except (MemoryError, RuntimeError, ValueError) as error:
            print(f"scale(): {error}", file=sys.stderr)
            scaled = False
    return {"seconds": seconds, "added": added, "scaled": float(scaled)}


def _main(side: str) -> None:
    series = example()
    datasets = _datasets(series)
    sides: dict[str, Callable[[Series, list[Observations]], dict[str, float]]] = {
        "ours": _ours,
        "framework": _framework,
    }
    measured = sides[side](series, datasets)
    print(json.dumps({**measured, "peak": peak_memory()}))


if __name__ == "__main__":
    _main(sys.argv[1])
