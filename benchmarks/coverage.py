"""Whether 95 % intervals hold the truth 95 times in a hundred, and whether what cannot be determined is called so.

``python -m benchmarks.coverage [N]`` draws a small series N times (400 by default) from its own likelihood at the true
parameters: common error, errors of measurement. Each draw is fitted as a refinement is, from rates a factor of 1.5 off,
scales and error model included, structure factors fixed; then come intervals by covariance and by profile. Two series
beside it have a parameter that is not determined: the return from a state that looks like the dark one, of which no
data tell, and a rate ten thousand times slower than the last delay, which has an upper limit, and a lower one in those
2.5 % of draws in which an interval may miss.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gemmi
import numpy as np
import torch

from torchref_kinetic_plugin.analysis.profile import profiles
from torchref_kinetic_plugin.analysis.variants import drawn
from torchref_kinetic_plugin.plugins import ExperimentSchedule, PluginManager, SeriesOccupancies
from torchref_kinetic_plugin.refinement.estimates import ProviderParameters
from torchref_kinetic_plugin.refinement.experiment import ExperimentData, ExperimentModel
from torchref_kinetic_plugin.refinement.kinetic_fit import fit_kinetics
from torchref_kinetic_plugin.refinement.uncertainty import estimate_uncertainty
from torchref_kinetic_plugin.reflections import Grid
from torchref_kinetic_plugin.results import Estimate, Profile
from torchref_kinetic_plugin.threads import one_thread

TIMES = (1e-8, 1e-7, 4e-7, 2e-6, 1e-5, 1e-4)
STRUCTURES = ("dark", "I1", "I2")
CELL, GROUP = gemmi.UnitCell(40, 45, 50, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")
#: Modulus of the dark structure factors, of what changes, and of what no structure has, root mean square.
_DARK, _CHANGE, _ERROR = 100.0, 15.0, 20.0
#: Of a measurement: in proportion to the intensity, and constant.
_RELATIVE_NOISE, _CONSTANT_NOISE = 0.15, 20.0
_FREE = 0.15
_FIRST_SEED = 5001
#: Factor by which starting rates and odds are off.
_OFF = 1.5

Name = tuple[str, str]


@dataclass(frozen=True)
class Case:
    """A series, and what is asked of it.

    Attributes
    ----------
    name : str
        What the tables call it.
    rates : mapping
        True rate constants, 1/s.
    mapping : mapping
        State to structure.
    asked : sequence of (kind, name)
        Parameters whose profiles are wanted.
    d_min : float
        Resolution, A.
    """

    name: str
    rates: Mapping[str, float]
    mapping: Mapping[str, str]
    asked: Sequence[Name]
    d_min: float

    @property
    def truth(self) -> dict[Name, float]:
        """True values."""
        found: dict[Name, float] = {("rate_constant", name): rate for name, rate in self.rates.items()}
        return found | {("efficiency", "A->B"): 0.3}


_MAPPING = {"A": "dark", "B": "I1", "C": "I2"}
CASES = (
    Case(
        "determined",
        {"B->C": 2e6, "C->A": 5e4},
        _MAPPING,
        (("rate_constant", "B->C"), ("rate_constant", "C->A"), ("efficiency", "A->B")),
        3.2,
    ),
    Case("silent", {"B->C": 2e6, "C->A": 5e4}, _MAPPING | {"C": "dark"}, (("rate_constant", "C->A"),), 4.0),
    Case("slow", {"B->C": 2e6, "C->A": 1.0}, _MAPPING, (("rate_constant", "C->A"),), 3.2),
)


def provider(case: Case, *, factor: float = 1.0) -> SeriesOccupancies:
    """The scheme of a case, its rates a factor off and its yield as far in the odds."""
    odds = 0.3 / 0.7 * factor
    section = {
        "scheme": "A->B,B->C,C->A",
        "light_activated": True,
        "state_mapping": dict(case.mapping),
        "rate_constants": {"A->B": "inf"} | {name: f"{rate * factor} /s" for name, rate in case.rates.items()},
        "efficiencies": {"A->B": odds / (1.0 + odds)},
        "refine_efficiencies": ["A->B"],
    }
    manager = PluginManager(builtin_only=True)
    names = list(dict.fromkeys(case.mapping.values()))
    schedule = ExperimentSchedule("series", TIMES, "ns", 298.0)
    return manager.build("kinetics", manager.provider("kinetics").read_settings(section), [schedule], names, 1)


def true_model(case: Case) -> ExperimentModel:
    """The series at the truth, with intensities as the model has them: what draws are made from."""
    random = np.random.default_rng(1)
    hkl = np.asarray(gemmi.make_miller_array(CELL, GROUP, case.d_min, 20.0), dtype=np.int32)
    operations = GROUP.operations()
    centric = np.asarray(operations.centric_flag_array(hkl), dtype=bool)
    epsilon = np.asarray(operations.epsilon_factor_without_centering_array(hkl), dtype=float)

    def structure_factors(size: float) -> np.ndarray[Any, Any]:
        parts = random.standard_normal((2, len(hkl))) * np.sqrt(epsilon / 2.0) * size
        return np.where(centric, math.sqrt(2.0) * parts[0], parts[0] + 1j * parts[1])

    dark = structure_factors(_DARK)
    n_structures = len(set(case.mapping.values()))
    components = np.stack([dark, *(dark + structure_factors(_CHANGE) for _ in range(n_structures - 1))])
    n_sets = len(TIMES) + 1
    resolution = np.asarray(CELL.calculate_d_array(hkl))
    log_scale = random.normal(0.0, 0.3, (n_sets, 1)) - 2.0 * random.random((n_sets, 1)) / (4.0 * resolution**2)
    before = np.eye(n_structures)[:, :1]
    weights = np.concatenate([before, provider(case)()[0].detach().numpy()], axis=1)
    intensity = (np.exp(log_scale) * np.abs(weights.T @ components)) ** 2
    sigma = _RELATIVE_NOISE * intensity + _CONSTANT_NOISE * np.exp(2.0 * log_scale)
    grid = Grid(
        cell=CELL,
        spacegroup=GROUP,
        paths=tuple(f"{number}.mtz" for number in range(n_sets)),
        hkl=hkl,
        amplitude=np.sqrt(intensity),
        sigma=sigma,
        intensity=intensity,
        intensity_sigma=sigma,
        free=random.random(len(hkl)) < _FREE,
        validation=np.zeros(len(hkl), dtype=bool),
        centric=centric,
        epsilon=epsilon,
        resolution=resolution,
        cell_changes=(),
    )
    names = ("dark", *(f"t{number}" for number in range(1, n_sets)))
    data = ExperimentData("series", names, TIMES, grid)
    model = ExperimentModel(data, torch.from_numpy(components), log_scale, before[:, 0])
    model.nuisances.error = np.array([math.log(_ERROR**2), 0.0, 0.0])
    return model


def one_draw(case: Case, model: ExperimentModel, seed: int) -> tuple[dict[Name, Estimate], list[Profile]]:
    """Intervals of one draw, by covariance and by profile."""
    data = drawn(model, provider(case)()[0].detach(), np.random.default_rng(seed))
    # What the refinement has to find: scales, the variance of the common error, the size of the sigmas' error.
    data.nuisances.scale[:, 0] = 0.02
    data.nuisances.error[0] += 0.5
    occupancies = provider(case, factor=_OFF)
    parameters = ProviderParameters(occupancies)
    start = parameters.values()
    fit_kinetics([data], occupancies, n_starts=1)
    estimates = parameters.estimates(estimate_uncertainty([data], occupancies), start)
    asked = [("series", *name) for name in case.asked]
    found = profiles([data], occupancies, keys=asked)
    return {(each.kind, each.name): each for each in estimates}, found


@one_thread()
def draws(case: Case, count: int) -> list[dict[str, Any]]:
    """Draws of a case as plain rows, told one by one on standard error."""
    model = true_model(case)
    rows: list[dict[str, Any]] = []
    for seed in range(_FIRST_SEED, _FIRST_SEED + count):
        estimates, found = one_draw(case, model, seed)
        row: dict[str, Any] = {"case": case.name, "seed": seed}
        for profile in found:
            name = profile.kind, profile.name
            covariance = estimates[name]
            row[" ".join(name)] = {
                "value": profile.value,
                "true": case.truth[name],
                "covariance": [covariance.value, covariance.std_error_ln, covariance.lower, covariance.upper],
                "profile": [profile.lower, profile.upper],
                "remarks": list(profile.remarks),
            }
        rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    return rows


def inside(limits: Sequence[float | None], true: float) -> bool:
    """Whether an interval holds the truth; a limit that is None is none."""
    lower, upper = limits
    return (lower is None or lower < true) and (upper is None or true < upper)


def report_determined(rows: Sequence[Mapping[str, Any]], case: Case) -> None:
    """Coverage by parameter and pooled."""
    print(
        f"{len(rows)} draws, {true_model(case).data.grid.intensity.shape[1]:,} reflections, {len(TIMES) + 1} datasets"
    )
    print("| parameter | mean error / its std. error | r.m.s. pull | covariance holds the truth | profile does |")
    print("|---|---|---|---|---|")
    pooled = [0, 0]
    for name in (" ".join(each) for each in case.asked):
        each = [row[name] for row in rows]
        pulls = np.array(
            [math.log(e["covariance"][0] / e["true"]) / e["covariance"][1] for e in each if e["covariance"][1]]
        )
        counts = [
            sum(inside(e["covariance"][2:], e["true"]) for e in each),
            sum(inside(e["profile"], e["true"]) for e in each),
        ]
        pooled = [total + count for total, count in zip(pooled, counts, strict=True)]
        shares = " | ".join(f"{count} ({100.0 * count / len(rows):.1f} %)" for count in counts)
        print(
            f"| {name} | {pulls.mean() * math.sqrt(len(pulls)):+.2f} | {math.sqrt((pulls**2).mean()):.3f} | {shares} |"
        )
    total = len(rows) * len(case.asked)
    print(f"| pooled | | | {' | '.join(f'{100.0 * count / total:.2f} %' for count in pooled)} |")


def report_undetermined(rows: Sequence[Mapping[str, Any]], case: Case) -> None:
    """How often a profile says that its parameter is not determined, and whether its interval holds the truth."""
    (name,) = (" ".join(each) for each in case.asked)
    each = [row[name] for row in rows]
    called = sum(None in e["profile"] for e in each)
    both = sum(e["profile"] == [None, None] for e in each)
    held = sum(inside(e["profile"], e["true"]) for e in each)
    print(
        f"\n{case.name}, {name}: called not determined in {called} of {len(rows)} draws (on both sides in {both}); the "
        f"interval holds the truth in {held}"
    )


def main() -> None:
    """Run the draws."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    first, *others = CASES
    report_determined(draws(first, count), first)
    for case in others:
        report_undetermined(draws(case, count), case)


if __name__ == "__main__":
    main()
