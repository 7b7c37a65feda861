"""Small depositions: structures, schemes and results made by hand."""

from __future__ import annotations

import math
from pathlib import Path

import gemmi
import ihm.reader

from tests.unit.structures import models
from torchref_kinetic_plugin.output.deposition import (
    DepositedCrystal,
    DepositedDataset,
    DepositedExperiment,
    DepositedScheme,
    Deposition,
    write_deposition,
)
from torchref_kinetic_plugin.results import DatasetStatistics, Estimate, OccupancyEstimate, RefinementResult
from torchref_kinetic_plugin.scheme import Scheme
from torchref_kinetic_plugin.structures import AtomicStructure

DELAYS = {"10_ns": 1e-8, "5_us": 5e-6}
RATES = {"280K": {"B->C": 1.234567891e6, "C->A": 0.0123456789}, "300K": {"B->C": 9.87654321e6, "C->A": 23456.7}}
#: Occupancies of dark, I1, I2, and the population of A* within the first.
OCCUPANCIES = {
    ("280K", "10_ns"): (0.7000001, 0.29, 0.0099999),
    ("280K", "5_us"): (0.75, 1.5e-9, 0.2499999985),
    ("300K", "10_ns"): (0.61, 0.34, 0.05),
    ("300K", "5_us"): (0.9, 0.02, 0.08),
}


def dark() -> gemmi.Structure:
    """Disorder, a tensor, a hydrogen, an ion with charge and insertion code, odd numbers of residues."""
    made = models.disordered({"A": 0.625, "B": 0.375})
    place = made[0]["A"]["1"][0]
    place["CA"][0].aniso = gemmi.SMat33f(0.21, 0.22, 0.23, 0.01, -0.02, 0.03)
    place.add_atom(models.atom("HA", "H", [1.5, 2.5, 3.5]))
    ion = models.residue("ZN", 7, [models.atom("ZN", "Zn", [9, 9, 9], occupancy=0.5)], het=True)
    ion[0].charge = 2
    ion.seqid.icode = "A"
    made[0]["W"].add_residue(ion)
    for residue in made[0]["A"]:
        residue.seqid.num += 40
    made.setup_entities()
    return made


def with_ligand() -> gemmi.Structure:
    """The same atoms moved, a ligand and a water more, an ion less."""
    made = models.moved(dark(), lambda _: [0.3, -0.2, 0.1])
    solvent = made[0]["W"]
    del solvent[[str(each.seqid) for each in solvent].index("7A")]
    ligand = [models.atom("C1", "C", [7, 7, 7]), models.atom("O1", "O", [8, 7, 7], b_iso=33.333)]
    solvent.add_residue(models.residue("XYZ", 9, ligand, het=True))
    solvent.add_residue(models.residue("HOH", 10, [models.atom("O", "O", [3, 3, 3])], het=True))
    made.setup_entities()
    return made


def mutated() -> gemmi.Structure:
    """The same with another residue at one place."""
    made = models.moved(dark(), lambda _: [-0.3, 0.2, 0.0])
    made[0]["A"]["43"][0].name = "SER"
    made[0]["A"]["43"][0].add_atom(models.atom("OG", "O", [4, 5, 6]))
    made.setup_entities()
    return made


def structures() -> tuple[AtomicStructure, ...]:
    return models.named(dark(), "dark"), models.named(with_ligand(), "I1"), models.named(mutated(), "I2")


def rate(experiment: str, name: str, value: float) -> Estimate:
    return Estimate(experiment, "rate_constant", name, value, "1/s", 0.05, value / 1.1, value * 1.1, 1e5, 0.05 * value)


def efficiency(experiment: str, name: str, value: float, error: float | None = None) -> Estimate:
    lower, upper = (None, None) if error is None else (value - 2 * error, value + 2 * error)
    return Estimate(
        experiment, "efficiency", name, value, "", None if error is None else error / value, lower, upper, 0.5, error
    )


def photocycle(experiment: str) -> tuple[DepositedScheme, list[Estimate]]:
    scheme = Scheme.build("A->B,B->C,C->A", light_activated=True, impulsive=["A->B"])
    populations = tuple((0.1, i1, i2, d - 0.1) for (name, _), (d, i1, i2) in OCCUPANCIES.items() if name == experiment)
    mapped = DepositedScheme(scheme, {"A": "dark", "A*": "dark", "B": "I1", "C": "I2"}, populations)
    estimates = [rate(experiment, name, value) for name, value in RATES[experiment].items()]
    estimates += [efficiency(experiment, "A->B", 0.3, 0.01)]
    estimates += [efficiency(experiment, name, 1.0) for name in RATES[experiment]]
    return mapped, estimates


def result_of(experiments, parameters, occupancies, *, title="Small", provider="kinetics", refined=("kinetics",)):
    statistics = [
        DatasetStatistics(name, dataset, cycle, 100, 10, 0.3 - 0.1 * cycle, 0.25, None, None)
        for name in experiments
        for dataset in ("dark", *DELAYS)
        for cycle in (0, 1)
    ]
    return RefinementResult(
        title=title,
        provider=provider,
        refined=refined,
        structures=("dark", "I1", "I2"),
        converged=True,
        n_observations_work=300,
        n_observations_free=30,
        n_parameters=5,
        parameters=tuple(parameters),
        occupancies=tuple(occupancies),
        statistics=tuple(statistics),
        steps=(),
        remarks=(),
        seed=1,
        versions={"torchref-kinetic-plugin": "0.1.0", "torchref": "0.7.0", "gemmi": "0.7.5", "numpy": "2.0"},
        inputs={},
        seconds=1.0,
    )


def occupancy_rows(experiments, error=0.01):
    return [
        OccupancyEstimate(
            experiment,
            timepoint,
            DELAYS[timepoint],
            structure,
            value,
            None if error is None else value - 1.959963984540054 * error,
            None if error is None else value + 1.959963984540054 * error,
        )
        for (experiment, timepoint), values in OCCUPANCIES.items()
        if experiment in experiments
        for structure, value in zip(("dark", "I1", "I2"), values, strict=True)
    ]


def datasets_in(directory: Path) -> tuple[DepositedDataset, ...]:
    found = []
    for name, delay in (("dark", None), *DELAYS.items()):
        path = directory / f"{name}.mtz"
        path.write_bytes(b"reflections")
        found.append(DepositedDataset(name, path, delay, 1234, 1.70001, 32.5))
    return tuple(found)


def campaign(directory: Path, **changes) -> Deposition:
    """Two temperatures, each with its own rates, on one crystal."""
    measured = datasets_in(directory)
    experiments, parameters = [], []
    for name in RATES:
        scheme, estimates = photocycle(name)
        parameters += estimates
        experiments.append(DepositedExperiment(name, 0, measured, temperature=float(name[:-1]), scheme=scheme))
    parameters.append(Estimate("all", "activation_enthalpy", "B->C", 62.5, "kJ/mol", None, 58.5, 66.5, 50.0, 2.0))
    result = result_of(RATES, parameters, occupancy_rows(RATES), **changes)
    return Deposition(result, (DepositedCrystal("280K", structures()),), tuple(experiments))


def one_scheme(directory: Path, scheme: DepositedScheme, parameters) -> Deposition:
    """The first experiment with another scheme."""
    experiment = DepositedExperiment("280K", 0, datasets_in(directory), scheme=scheme)
    result = result_of(["280K"], parameters, occupancy_rows(["280K"]))
    return Deposition(result, (DepositedCrystal("280K", structures()),), (experiment,))


def written(directory: Path, deposition: Deposition):
    """What python-ihm reads back, and the block that gemmi reads."""
    path = directory / "deposition.cif"
    write_deposition(path, deposition)
    with path.open(encoding="utf-8") as file:
        (system,) = ihm.reader.read(file)
    return system, gemmi.cif.read(str(path)).sole_block()


def same_number(text: str, value: float) -> bool:
    """Whether a number was written with ten digits."""
    return math.isclose(float(text), value, rel_tol=1e-9)
