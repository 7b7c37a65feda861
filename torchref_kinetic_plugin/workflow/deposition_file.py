"""The deposition file of a refinement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from torchref_kinetic_plugin.output.deposition import (
    DepositedCrystal,
    DepositedDataset,
    DepositedExperiment,
    DepositedScheme,
    Deposition,
    write_deposition,
)
from torchref_kinetic_plugin.results import RefinementResult
from torchref_kinetic_plugin.structures import AtomicStructure
from torchref_kinetic_plugin.workflow.loaded import LoadedExperiment

if TYPE_CHECKING:
    from torch import nn

    from torchref_kinetic_plugin.workflow.refining import Refinement


def write_deposition_of(run: Refinement, result: RefinementResult, path: Path) -> None:
    """Write structures, scheme, rates, occupancies and datasets as one IHM mmCIF file.

    Raises
    ------
    FileError
        When it cannot be written.
    """
    crystals, number_of = _crystals(run)
    names = run.loaded.structures.names
    experiments = tuple(
        DepositedExperiment(
            name=experiment.settings.name,
            crystal=number,
            datasets=_datasets(experiment),
            temperature=experiment.settings.temperature,
            temperature_before=experiment.settings.temperature_before,
            concentration=experiment.settings.concentration_molar,
            pump_energy=experiment.settings.pump_energy_joule,
            scheme=_scheme(module, names),
        )
        for experiment, module, number in zip(
            run.loaded.experiments, run.provider.modules_by_experiment, number_of, strict=True
        )
    )
    write_deposition(path, Deposition(result, crystals, experiments))


def _crystals(run: Refinement) -> tuple[tuple[DepositedCrystal, ...], list[int]]:
    """The crystals, and the number of each experiment's; where structures stood still, equal ones are one."""
    if run.joint is not None:
        forms = run.joint.setup.forms
        crystals = [
            DepositedCrystal(form.name, structures)
            for form, structures in zip(forms, run.joint.structures_by_form, strict=True)
        ]
        numbers = [
            next(number for number, form in enumerate(forms) if experiment in form.experiments)
            for experiment in range(len(run.loaded.experiments))
        ]
        return tuple(crystals), numbers
    crystals, numbers = [], []
    for experiment in run.loaded.experiments:
        own = experiment.structures.structures
        found = next((n for n, each in enumerate(crystals) if _same(each.structures, own)), len(crystals))
        if found == len(crystals):
            crystals.append(DepositedCrystal(experiment.settings.name, own))
        numbers.append(found)
    return tuple(crystals), numbers


def _same(these: Sequence[AtomicStructure], those: Sequence[AtomicStructure]) -> bool:
    return all(
        here is there
        or (
            here.cell.parameters == there.cell.parameters
            and here.atoms.keys == there.atoms.keys
            and np.array_equal(here.atoms.xyz, there.atoms.xyz)
            and np.array_equal(here.atoms.b_iso, there.atoms.b_iso)
            and np.array_equal(here.atoms.u, there.atoms.u)
            and np.array_equal(here.atoms.occupancy, there.atoms.occupancy)
        )
        for here, there in zip(these, those, strict=True)
    )


def _datasets(experiment: LoadedExperiment) -> tuple[DepositedDataset, ...]:
    settings = experiment.settings
    files = [each.file for each in (*settings.references, *settings.timepoints)]
    delays = [*([None] * experiment.n_references), *experiment.times]
    return tuple(
        DepositedDataset(name, file, delay, len(read), float(read.resolution.min()), float(read.resolution.max()))
        for name, file, delay, read in zip(experiment.names, files, delays, experiment.observations, strict=True)
    )


def _scheme(module: nn.Module, structures: Sequence[str]) -> DepositedScheme | None:
    """The scheme of a provider's module that has one."""
    from torchref_kinetic_plugin.occupancies import occupancies_kinetics

    if not isinstance(module, occupancies_kinetics):
        return None
    populations = module.populations().detach().cpu().numpy()
    return DepositedScheme(
        module.scheme,
        {state: structures[number] for state, number in module.state_mapping.items()},
        tuple(tuple(row) for row in populations.tolist()),
    )
