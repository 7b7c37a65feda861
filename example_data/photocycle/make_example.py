"""Make the photocycle example from the coordinates of PDB entry 1UBI; see README.md.

    python make_example.py               everything, about a minute on two cores
    python make_example.py --data-only   the data from the true structures already here, seconds

It writes into its own directory. Everything random follows from SEED; structures go through a minimizer in
single precision, so their last digit may differ between machines, while --data-only is exact.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import gemmi
import numpy as np
from make_structures import FILES, MOVED, STRUCTURES, positions, rms, write_structures
from numpy.typing import NDArray

from torchref_kinetic_plugin.scheme import parse_rate, parse_time
from torchref_kinetic_plugin.simulation import (
    BulkSolvent,
    IntensityNoise,
    ModelError,
    ScalingSpread,
    Truth,
    simulate_series,
    write_series,
)

HERE = Path(__file__).resolve().parent
SEED = 20
D_MIN = 1.7

RATES = {"A->B": "inf", "B->C": "1/(500 ns)", "C->A": "1/(50 us)"}
YIELD = 0.30
DELAYS = ("10 ns", "50 ns", "200 ns", "800 ns", "4 us", "20 us", "100 us", "1 ms")

Array = NDArray[np.float64]


def occupancies(times: list[float | None]) -> Array:
    """Occupancies (3, n_datasets) of A->B->C->A after an impulse, in closed form."""
    b_to_c, c_to_a = (parse_rate(RATES[name]) for name in ("B->C", "C->A"))
    columns = []
    for time in times:
        first = second = 0.0
        if time is not None:
            first = YIELD * math.exp(-b_to_c * time)
            second = YIELD * b_to_c / (b_to_c - c_to_a) * (math.exp(-c_to_a * time) - math.exp(-b_to_c * time))
        columns.append([1.0 - first - second, first, second])
    return np.array(columns).T


def write_data(directory: Path = HERE, noise_seed: int | None = None) -> Truth:
    """Simulate the series from the true structures in ``truth/`` and write it to a directory.

    ``noise_seed`` draws the noise anew and leaves everything else as it is.
    """
    structures = [gemmi.read_structure(str(HERE / "truth" / FILES[name])) for name in STRUCTURES]
    times = [None, *(parse_time(delay) for delay in DELAYS)]
    series = simulate_series(
        structures,
        occupancies(times),
        names=["dark", *(f"t{number:02d}" for number in range(1, len(times)))],
        times=times,
        d_min=D_MIN,
        seed=SEED,
        noise_seed=noise_seed,
        structure_names=STRUCTURES,
        noise=IntensityNoise(proportional=0.04, counting=0.0025, background=0.012),
        solvent=BulkSolvent(),
        scaling=ScalingSpread(scale=1.0, ln_scale=0.25, b=2.0, anisotropy=1.5),
        missing=[0.02, 0.04, 0.03, 0.06, 0.05, 0.04, 0.08, 0.05, 0.03],
        free_fraction=0.07,
        error=ModelError(r_factor=0.15),
    )
    return write_series(
        series,
        directory,
        truth_path=directory / "truth" / "truth.json",
        structure_files=FILES,
        kinetics={
            "scheme": "A->B,B->C,C->A",
            "light_activated": True,
            "state_mapping": {"A": "dark", "B": "I1", "C": "I2"},
            "rate_constants": RATES,
            "efficiencies": {"A->B": YIELD},
        },
    )


def report_structures() -> None:
    """Print how far the structures differ."""
    structures = {name: gemmi.read_structure(str(HERE / "truth" / FILES[name])) for name in STRUCTURES}
    given = {name: gemmi.read_structure(str(HERE / FILES[name])) for name in STRUCTURES}
    dark, user_dark = positions(structures["dark"]), positions(given["dark"])
    print(f"dark off truth by {rms(user_dark - dark):.3f} A")
    for name in STRUCTURES[1:]:
        true, own = positions(structures[name]), positions(given[name])
        length = np.linalg.norm(true - dark, axis=1)
        moved, zone = length > MOVED, np.linalg.norm(own - user_dark, axis=1) > 0.0
        print(
            f"{name}: {moved.sum()} atoms move over {MOVED} A (r.m.s. {rms((true - dark)[moved]):.2f}, largest "
            f"{length.max():.2f} A), {zone.sum()} differ; off truth by {rms((own - true)[zone]):.3f} A over these, "
            f"{rms((own - true)[moved]):.3f} A over those that move"
        )


def report(truth: Truth) -> None:
    """Print the figures that README.md states."""
    report_structures()
    print(f"{truth.n_unique} unique reflections, {truth.n_free} free")
    for data in truth.datasets:
        signal = "-" if data.difference_over_sigma is None else f"{data.difference_over_sigma:.2f}"
        share = " ".join(f"{value:.4f}" for value in data.occupancies.values())
        print(
            f"| {data.name} | {data.time_s} | {share} | {100 * data.completeness:.1f} | {data.r_truth:.3f} "
            f"| {data.r_noise:.3f} | {signal} | {data.scale:.2f} | {data.negative_intensities} |"
        )


def main() -> None:
    """Make the example."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--data-only", action="store_true", help="take the structures that are here")
    if not arguments.parse_args().data_only:
        write_structures()
    report(write_data())


if __name__ == "__main__":
    main()
