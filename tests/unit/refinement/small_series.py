"""A small synthetic experiment: random structure factors in place of structures, everything else as in a real one."""

import math

import gemmi
import numpy as np
import torch

from torchref_kinetic_plugin.plugins import ExperimentSchedule, PluginManager
from torchref_kinetic_plugin.refinement.experiment import ExperimentData, ExperimentModel
from torchref_kinetic_plugin.reflections import Grid

TIMES = (1e-8, 1e-7, 4e-7, 2e-6, 1e-5, 1e-4)
NAMES = ("dark", "I1", "I2")
SCHEME = {
    "scheme": "A->B,B->C,C->A",
    "light_activated": True,
    "state_mapping": {"A": "dark", "B": "I1", "C": "I2"},
    "rate_constants": {"A->B": "inf", "B->C": "1/(500 ns)", "C->A": "1/(20 us)"},
    "efficiencies": {"A->B": 0.3},
    "refine_efficiencies": ["A->B"],
}
TRUE = {"B->C": 2e6, "C->A": 5e4, "A->B": 0.3}
CELL, GROUP = gemmi.UnitCell(40, 45, 50, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")


def provider(name="kinetics", *, times=TIMES, names=("298K",), **changes):
    """A provider of one or several experiments."""
    manager = PluginManager(builtin_only=True)
    section = SCHEME | changes if name == "kinetics" else changes
    schedules = [ExperimentSchedule(each, tuple(times), "ns", 298.0) for each in names]
    return manager.build(name, manager.provider(name).read_settings(section), schedules, NAMES, 1)


def five_times_off():
    """The kinetics provider, its rates a factor of 5 from the truth and its yield at a half."""
    rates = {"A->B": "inf", "B->C": "1/(2.5 us)", "C->A": "1/(4 us)"}
    return provider(rate_constants=rates, efficiencies={"A->B": 0.5})


def series(seed=1, *, n_references=1, times=TIMES, noise=0.06, missing=0.0, d_min=3.0, name="298K", occupancies=None):
    """An `ExperimentModel` of a simulated experiment whose truth is `SCHEME`, or the occupancies given."""
    random = np.random.default_rng(seed)
    hkl = np.asarray(gemmi.make_miller_array(CELL, GROUP, d_min, 20.0), dtype=np.int32)
    operations = GROUP.operations()
    centric = np.asarray(operations.centric_flag_array(hkl), dtype=bool)
    epsilon = np.asarray(operations.epsilon_factor_without_centering_array(hkl), dtype=float)
    resolution = np.asarray(CELL.calculate_d_array(hkl))
    n = len(hkl)

    def complexes(size):
        values = size * np.sqrt(epsilon / 2) * (random.standard_normal(n) + 1j * random.standard_normal(n))
        return np.where(centric, math.sqrt(2) * values.real, values)

    dark = complexes(100.0)
    components = np.stack([dark, dark + complexes(15.0), dark + complexes(15.0)])
    error = complexes(20.0)
    if occupancies is None:
        occupancies = provider(times=times)()[0].detach().numpy()
    weights = np.concatenate([np.tile([[1.0], [0.0], [0.0]], n_references), occupancies], axis=1)
    log_scale = random.normal(0.0, 0.3, (weights.shape[1], 1)) - 2.0 * random.random((weights.shape[1], 1)) / (
        4.0 * resolution**2
    )
    true = np.exp(2.0 * log_scale) * np.abs(weights.T @ components + error) ** 2
    sigma = noise * true + 20.0 * np.exp(2.0 * log_scale)
    intensity = true + sigma * random.standard_normal(true.shape)
    gone = random.random(true.shape) < missing
    intensity[gone], sigma[gone] = np.nan, np.nan
    amplitude = np.sqrt(np.maximum(intensity, sigma / 4))
    grid = Grid(
        cell=CELL,
        spacegroup=GROUP,
        paths=tuple(f"{row}.mtz" for row in range(len(true))),
        hkl=hkl,
        amplitude=amplitude,
        sigma=sigma / (2.0 * amplitude),
        intensity=intensity,
        intensity_sigma=sigma,
        free=np.random.default_rng(99).random(n) < 0.15,
        validation=np.zeros(n, dtype=bool),
        centric=centric,
        epsilon=epsilon,
        resolution=resolution,
        cell_changes=(),
    )
    names = tuple(f"dark{i}" for i in range(n_references)) + tuple(f"t{i}" for i in range(len(times)))
    data = ExperimentData(name, names, tuple(times), grid)
    # Scales that were found before the fit are a little off.
    return ExperimentModel(
        data, torch.from_numpy(components), log_scale + 0.01 * np.ones_like(true), np.array([1.0, 0.0, 0.0])
    )
