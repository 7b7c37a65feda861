"""A series refined as is usual, step after step, to set beside the joint refinement.

``python -m benchmarks.usual_way [--at-its-best] [DIRECTORY ...]`` prints a row of errors for each series, by default
the three in ``example_data``. The steps, each with the result of the last and none with a way back:

1. Datasets on one scale and that on the model's, by this package.
2. For each intermediate the delay at which it is purest (the truth tells: no choice could be better), and the
   occupancy there, from a scan: the one at which calculated differences match those observed.
3. Extrapolated amplitudes of that delay, weighted as Xtrapol8 does (De Zitter et al., Commun. Biol. 5, 640, 2022); the
   structure refined against them alone by TorchRef's own refinement, its coordinates free where it differs from dark.
   Steps 2 and 3 are repeated with the structures so found.
4. Occupancies of all structures at each delay, from its differences.
5. The scheme fitted to the occupancies.

At its best, which only somebody who knows the truth can have it: see `Recipe`.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.extrapolation import Extrapolated, calculated_difference, extrapolated, projected, scanned
from example_data.structures import MOVED, positions, rms
from torchref_kinetic_plugin.bridge.environment import framework, quiet
from torchref_kinetic_plugin.occupancies import occupancies_kinetics
from torchref_kinetic_plugin.occupancies.curve_fit import fit_occupancies
from torchref_kinetic_plugin.plugins import PluginManager
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel
from torchref_kinetic_plugin.refinement.preparation import prepare_experiment
from torchref_kinetic_plugin.scheme import parse_rate, seconds_per
from torchref_kinetic_plugin.simulation import Truth, read_truth
from torchref_kinetic_plugin.workflow.loaded import LoadedRefinement
from torchref_kinetic_plugin.workflow.loading import load_refinement

_EXAMPLES = Path(__file__).resolve().parents[1] / "example_data"

#: How often occupancy and structure are found in turn, and TorchRef's cycles each time.
ROUNDS, CYCLES = 2, 3

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Recipe:
    """What a user chooses.

    Attributes
    ----------
    observed_reference : bool
        Differences are added to the observed amplitudes of the reference, not to those calculated. The error that model
        and data have in common then stays in the extrapolated amplitudes.
    subtracts_others : bool
        What other intermediates contribute to a delay, in the true proportions, is taken out first.
    geometry_weight : float, optional
        Of restraints against TorchRef's likelihood; by default TorchRef's own, which lets much of the noise of
        extrapolated amplitudes in.
    """

    observed_reference: bool
    subtracts_others: bool
    geometry_weight: float | None


#: As published, each delay alone; and with what does best on the photocycle, found with its truth in hand.
PUBLISHED = Recipe(observed_reference=True, subtracts_others=False, geometry_weight=None)
AT_ITS_BEST = Recipe(observed_reference=False, subtracts_others=True, geometry_weight=2.0)


@dataclass(frozen=True)
class UsualWay:
    """What the usual way finds, beside the truth.

    Attributes
    ----------
    name : str
        Of the series.
    rates, true_rates : dict
        Rate constants, per second.
    efficiencies, true_efficiencies : dict
        Those refined.
    coordinate_errors, start_errors : dict
        R.m.s. distance from the truth over the atoms that move, A, of each intermediate; as refined, as handed over.
    occupancies, true_occupancies : ndarray
        (K, N).
    seconds : float
        Of all steps.
    """

    name: str
    rates: dict[str, float]
    true_rates: dict[str, float]
    efficiencies: dict[str, float]
    true_efficiencies: dict[str, float]
    coordinate_errors: dict[str, float]
    start_errors: dict[str, float]
    occupancies: Floats
    true_occupancies: Floats
    seconds: float

    @property
    def log_rate_errors(self) -> dict[str, float]:
        """``ln(k / k_true)`` of each rate constant."""
        return {name: math.log(value / self.true_rates[name]) for name, value in self.rates.items()}

    @property
    def efficiency_errors(self) -> dict[str, float]:
        """Difference from the truth of each efficiency."""
        return {name: value - self.true_efficiencies[name] for name, value in self.efficiencies.items()}

    @property
    def row(self) -> str:
        """Row of the table."""
        rates = ", ".join(f"{name} {math.exp(error):.2f}" for name, error in self.log_rate_errors.items())
        shares = ", ".join(
            f"{name} {value:.3f} ({self.true_efficiencies[name]:.3f})" for name, value in self.efficiencies.items()
        )
        atoms = ", ".join(
            f"{name} {value:.3f} ({self.start_errors[name]:.3f})" for name, value in self.coordinate_errors.items()
        )
        off = float(np.sqrt(np.mean((self.occupancies - self.true_occupancies) ** 2)))
        return f"| {self.name} | {rates} | {shares} | {atoms} | {off:.4f} | {self.seconds:.0f} |"


HEADER = (
    "| series | rate constants over truth | efficiency (truth) | moved atoms off, A (handed over) "
    "| occupancies off, r.m.s. | s |\n|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class _Data:
    """Amplitudes and sigmas (T, H) in electrons, reference first, and the structures' structure factors (K, H)."""

    amplitude: Floats
    sigma: Floats
    components: Complexes
    free: Flags
    hkl: NDArray[np.int32]

    def difference(self, delay: int) -> tuple[Floats, Floats]:
        """Difference (H,) of a delay to the reference, and its standard deviation."""
        value = self.amplitude[delay + 1] - self.amplitude[0]
        return value, np.hypot(self.sigma[delay + 1], self.sigma[0])

    def weighted(self, delay: int) -> tuple[Floats, Floats]:
        """Differences and inverse variances (H,) of work reflections; the others are NaN."""
        value, sigma = self.difference(delay)
        return np.where(self.free, np.nan, value), sigma**-2.0


def _data(loaded: LoadedRefinement, structures: Sequence[gemmi.Structure]) -> _Data:
    experiment = loaded.experiments[0]
    data = experiment.data
    reference = np.eye(len(structures))[0]
    model: ExperimentModel = prepare_experiment(data, structures, reference).model
    scale = np.exp(-model.log_scale().numpy())
    grid = experiment.grid
    return _Data(grid.amplitude * scale, grid.sigma * scale, model.components.numpy(), np.asarray(grid.free), grid.hkl)


def _write_mtz(path: Path, loaded: LoadedRefinement, data: _Data, values: Extrapolated) -> None:
    grid = loaded.experiments[0].grid
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = grid.spacegroup
    mtz.set_cell_for_all(grid.cell)
    mtz.add_dataset("extrapolated")
    for label, kind in (("F-obs", "F"), ("SIGF-obs", "Q"), ("R-free-flags", "I")):
        mtz.add_column(label, kind)
    usable = np.isfinite(values.amplitude)
    rows = np.column_stack([data.hkl, values.amplitude, values.sigma, ~data.free])[usable]
    mtz.set_data(rows.astype(np.float32))
    mtz.write_to_file(str(path))


def refined(
    loaded: LoadedRefinement,
    data: _Data,
    values: Extrapolated,
    start: gemmi.Structure,
    free: Flags,
    *,
    geometry_weight: float | None = None,
) -> gemmi.Structure:
    """Refine coordinates of the free atoms (n_atoms,) against extrapolated amplitudes, by TorchRef's own refinement."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _write_mtz(place / "data.mtz", loaded, data, values)
        start.write_pdb(str(place / "start.pdb"))
        with quiet():
            refinement = framework("refinement.lbfgs_refinement").LBFGSRefinement(
                data_file=place / "data.mtz",
                pdb=place / "start.pdb",
                verbose=0,
                device=torch.device("cpu"),
                max_res=loaded.file.refinement.d_min,
            )
            model = refinement.model
            model.xyz_mask.copy_(torch.from_numpy(free))
            model.apply_mask_to_parameter("xyz")
            model.freeze("adp")
            if geometry_weight is not None:
                refinement.loss_state.set_weight("geometry", geometry_weight)
            refinement.loss_state.refresh_loss_leaves()
            for _ in range(CYCLES):
                refinement.refine_scaler()
                refinement.refine_xyz()
    result = start.clone()
    with torch.no_grad():
        xyz = model.xyz().numpy().astype(np.float64)
    for site, position in zip(result[0].all(), xyz.tolist(), strict=True):
        site.atom.pos = gemmi.Position(*position)
    return result


def usual_way(directory: Path, recipe: Recipe = PUBLISHED) -> UsualWay:
    """Refine a series with known truth the usual way.

    Parameters
    ----------
    directory : Path
        With ``refinement.toml`` and ``truth/``.
    recipe : Recipe
        How amplitudes are extrapolated and refined against.
    """
    begun = time.perf_counter()
    manager = PluginManager(builtin_only=True)
    loaded = load_refinement(directory / "refinement.toml", plugins=manager)
    truth = read_truth(directory / "truth" / "truth.json")
    names = list(loaded.structures.names)
    structures = [structure.to_gemmi() for structure in loaded.structures]
    true = np.array([[d.occupancies[name] for name in names] for d in truth.datasets if d.time_s is not None]).T
    shares = true[1:] / true[1:].sum(axis=0)
    # Of delays about as pure, that with the largest signal.
    delays = [int(np.argmax(own * (part > 0.9 * part.max()))) for own, part in zip(true[1:], shares, strict=True)]
    order = sorted(range(len(delays)), key=lambda number: -shares[number, delays[number]])
    given = list(structures)
    for _ in range(ROUNDS):
        for number in order:
            delay, data = delays[number], _data(loaded, structures)
            share = shares[:, delay] / shares[:, delay].sum()
            excited = scanned(*data.weighted(delay), data.components, share)
            values = _extrapolated(data, delay, number, excited * share, recipe)
            free = np.linalg.norm(positions(given[number + 1]) - positions(given[0]), axis=1) > 0.0
            structures[number + 1] = refined(
                loaded, data, values, given[number + 1], free, geometry_weight=recipe.geometry_weight
            )
            print(
                f"{directory.name}: {names[number + 1]} at {loaded.experiments[0].names[delay + 1]}, excited "
                f"{excited:.2f} (truth {true[1:, delay].sum():.2f}), "
                f"off by {_errors(directory, truth, structures, names)[names[number + 1]]:.3f} A",
                file=sys.stderr,
            )
    data = _data(loaded, structures)
    rates, efficiencies, occupancies = _kinetics(loaded, manager, data)
    kinetics = truth.kinetics
    return UsualWay(
        directory.name,
        rates,
        {name: parse_rate(kinetics["rate_constants"][name]) for name in rates},
        efficiencies,
        {name: kinetics["efficiencies"][name] for name in efficiencies},
        _errors(directory, truth, structures, names),
        _errors(directory, truth, given, names),
        occupancies,
        true,
        time.perf_counter() - begun,
    )


def _extrapolated(data: _Data, delay: int, number: int, occupancies: Floats, recipe: Recipe) -> Extrapolated:
    """Of one intermediate at a delay where the occupancies (K - 1,) of all are these."""
    reference = data.amplitude[0] if recipe.observed_reference else np.abs(data.components[0])
    if not recipe.subtracts_others:
        return extrapolated(reference, *data.difference(delay), occupancies.sum())
    others = np.where(np.arange(len(occupancies)) == number, 0.0, occupancies)
    known = calculated_difference(data.components, others)
    return extrapolated(reference, *data.difference(delay), occupancies[number], known)


def _kinetics(
    loaded: LoadedRefinement, manager: PluginManager, data: _Data
) -> tuple[dict[str, float], dict[str, float], Floats]:
    """Rate constants, efficiencies, and the occupancies (K, N) that they were fitted to."""
    experiment = loaded.experiments[0]
    n_delays = len(experiment.times)
    found, errors = np.zeros((len(data.components), n_delays)), np.zeros((len(data.components), n_delays))
    for delay in range(n_delays):
        values, covariance = projected(*data.weighted(delay), data.components)
        found[:, delay] = [1.0 - values.sum(), *values]
        errors[1:, delay] = np.sqrt(np.diag(covariance))
    errors[0] = 1.0
    target = torch.from_numpy(found.copy())
    # The first structure's is what the others leave: no observation of its own.
    target[0] = math.nan
    model = manager.build(
        "kinetics", loaded.settings, [experiment.schedule], loaded.structures.names, 1
    ).modules_by_experiment[0]
    assert isinstance(model, occupancies_kinetics)
    fit_occupancies(model, target, torch.from_numpy(errors))
    unit = seconds_per(model.time_unit or "s")
    rates = {name: value / unit for name, value in model.get_rate_constants().items() if math.isfinite(value)}
    shares = model.get_efficiencies()
    asked = getattr(loaded.settings, "refine_efficiencies", ())
    return rates, {name: shares[name] for name in asked}, found


def _errors(
    directory: Path, truth: Truth, structures: Sequence[gemmi.Structure], names: Sequence[str]
) -> dict[str, float]:
    """R.m.s. distance from the truth of each intermediate, over the atoms that move."""
    dark, *others = (positions(gemmi.read_structure(str(directory / "truth" / truth.structures[n]))) for n in names)
    result = {}
    for name, true, own in zip(names[1:], others, structures[1:], strict=True):
        moved = np.linalg.norm(true - dark, axis=1) > MOVED
        result[name] = rms((positions(own) - true)[moved])
    return result


def main() -> None:
    """Print a row for each series."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.usual_way", description=main.__doc__)
    parser.add_argument("--at-its-best", action="store_true", help="with choices that need the truth")
    parser.add_argument("directory", nargs="*", type=Path)
    arguments = parser.parse_args()
    names = arguments.directory or [_EXAMPLES / name for name in ("photocycle", "reversible", "branch")]
    recipe = AT_ITS_BEST if arguments.at_its_best else PUBLISHED
    print(HEADER)
    for name in names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            print(usual_way(name, recipe).row, flush=True)


if __name__ == "__main__":
    main()
