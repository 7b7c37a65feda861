"""Data of a simulated series from its true structures, and the figures that its README states."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import expm

from example_data.structures import MOVED, Array, StructureRecipe, positions, rms
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

Occupancies = Callable[[Sequence[float | None]], Array]


@dataclass(frozen=True)
class SeriesRecipe:
    """What a series is made from.

    Attributes
    ----------
    structures : StructureRecipe
        The structures.
    kinetics : mapping
        As the truth states it: scheme, state_mapping, rate_constants, efficiencies.
    delays : sequence of str
        With their units.
    d_min : float
        Resolution limit, in angstrom.
    noise : IntensityNoise
        Of the intensities.
    missing : sequence of float
        Fraction of reflections not measured, the reference's first.
    model_error : float
        R factor of what all datasets hold beyond the structures.
    occupancies : callable, optional
        Occupancies (n_structures, n_datasets) at times, None for a reference; by default `after_impulse`.
    """

    structures: StructureRecipe
    kinetics: Mapping[str, Any]
    delays: Sequence[str]
    d_min: float
    noise: IntensityNoise
    missing: Sequence[float]
    model_error: float
    occupancies: Occupancies | None = None

    def write_data(self, directory: Path | None = None, noise_seed: int | None = None) -> Truth:
        """Simulate the series from the true structures in ``truth/`` and write it to a directory.

        ``noise_seed`` draws the noise anew and leaves everything else as it is.
        """
        target = self.structures.directory if directory is None else directory
        times = [None, *(parse_time(delay) for delay in self.delays)]
        names = self.structures.names
        series = simulate_series(
            list(self.structures.read(truth=True).values()),
            after_impulse(self.kinetics, names, times) if self.occupancies is None else self.occupancies(times),
            names=["dark", *(f"t{number:02d}" for number in range(1, len(times)))],
            times=times,
            d_min=self.d_min,
            seed=self.structures.seed,
            noise_seed=noise_seed,
            structure_names=names,
            noise=self.noise,
            solvent=BulkSolvent(),
            scaling=ScalingSpread(scale=1.0, ln_scale=0.25, b=2.0, anisotropy=1.5),
            missing=self.missing,
            free_fraction=0.07,
            error=ModelError(r_factor=self.model_error),
        )
        return write_series(
            series,
            target,
            truth_path=target / "truth" / "truth.json",
            structure_files=self.structures.files,
            kinetics=self.kinetics,
        )

    def main(self) -> None:
        """Make the series, as the command line says."""
        arguments = argparse.ArgumentParser(description="Make a simulated series.")
        arguments.add_argument("--data-only", action="store_true", help="take the structures that are here")
        if not arguments.parse_args().data_only:
            self.structures.write()
        report_structures(self.structures)
        report(self.write_data())


def after_impulse(kinetics: Mapping[str, Any], structures: Sequence[str], times: Sequence[float | None]) -> Array:
    """Occupancies (n_structures, n_datasets) of a scheme whose one exit from its initial state A is an impulse.

    By the exponential of the rate matrix; what returns to A stays there.
    """
    mapping, rates = kinetics["state_mapping"], kinetics["rate_constants"]
    states = list(mapping)
    matrix, first = np.zeros((len(states), len(states))), np.zeros(len(states))
    first[states.index("A")] = 1.0
    for name, rate in rates.items():
        source, target = (states.index(state) for state in name.split("->"))
        if rate == "inf":
            share = kinetics["efficiencies"][name]
            first[[source, target]] += [-share, share]
        else:
            matrix[[source, target], source] += np.array([-1.0, 1.0]) * parse_rate(rate)
    sums = np.array([[float(mapping[state] == name) for state in states] for name in structures])
    before = np.eye(len(states))[states.index("A")]
    return np.array([sums @ (before if time is None else expm(matrix * time) @ first) for time in times]).T


def report_structures(recipe: StructureRecipe) -> None:
    """Print how far the structures differ."""
    structures, given = recipe.read(truth=True), recipe.read(truth=False)
    dark, user_dark = positions(structures["dark"]), positions(given["dark"])
    print(f"{len(dark)} atoms, dark off truth by {rms(user_dark - dark):.3f} A")
    for name in recipe.motions:
        true, own = positions(structures[name]), positions(given[name])
        length = np.linalg.norm(true - dark, axis=1)
        moved, zone = length > MOVED, np.linalg.norm(own - user_dark, axis=1) > 0.0
        print(
            f"{name}: {moved.sum()} atoms move over {MOVED} A (r.m.s. {rms((true - dark)[moved]):.2f}, largest "
            f"{length.max():.2f} A), {zone.sum()} differ; off truth by {rms((own - true)[zone]):.3f} A over these, "
            f"{rms((own - true)[moved]):.3f} A over those that move"
        )


def report(truth: Truth) -> None:
    """Print the figures of the datasets that README.md states."""
    print(f"{truth.n_unique} unique reflections, {truth.n_free} free")
    for data in truth.datasets:
        signal = "-" if data.difference_over_sigma is None else f"{data.difference_over_sigma:.2f}"
        share = " ".join(f"{value:.4f}" for value in data.occupancies.values())
        print(
            f"| {data.name} | {data.time_s} | {share} | {100 * data.completeness:.1f} | {data.r_truth:.3f} "
            f"| {data.r_noise:.3f} | {signal} | {data.scale:.2f} | {data.negative_intensities} |"
        )
