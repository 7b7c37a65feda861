"""A deposition as an IHM mmCIF file."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import final

import gemmi
import ihm
import ihm.dumper
import ihm.model
import ihm.protocol

from torchref_kinetic_plugin.files import write_text
from torchref_kinetic_plugin.output.deposition.contents import Deposition
from torchref_kinetic_plugin.output.deposition.crystal import (
    add_atoms,
    add_cell,
    add_conditions,
    add_population_errors,
)
from torchref_kinetic_plugin.output.deposition.datasets import Datasets, place_files
from torchref_kinetic_plugin.output.deposition.details import details, plain_text
from torchref_kinetic_plugin.output.deposition.models import Models
from torchref_kinetic_plugin.output.deposition.occupancies import timepoint_states
from torchref_kinetic_plugin.output.deposition.scheme import multi_state_scheme, scheme_states

#: Programs: name in the result's versions to name, kind, purpose and place.
_PROGRAMS = {
    "torchref-kinetic-plugin": (
        "torchref-kinetic-plugin",
        "refinement",
        "kinetic refinement of time-resolved series",
        ihm.unknown,
    ),
    "torchref": ("TorchRef", "refinement", "crystallographic refinement", "https://pypi.org/project/torchref/"),
    "gemmi": (
        "gemmi",
        "data extraction",
        "reading and writing of models and reflections",
        "https://gemmi.readthedocs.io",
    ),
}


def write_deposition(path: str | os.PathLike[str], deposition: Deposition) -> None:
    """Write structures, scheme, rates, occupancies and datasets as one IHM mmCIF file.

    For each experiment: its datasets as a group; with a scheme, its kinetic states as a group of states, and a
    multi-state scheme with a rate constant (per second) for each finite transition. For each of its timepoints: the
    structures as a group of states whose population fractions are the occupancies. Coordinates have three decimals, A;
    numbers of the result ten digits. Errors and whatever else the dictionary has no item for stand in details, to be
    read with `read_details`.

    Parameters
    ----------
    path : path
        The file; datasets are named relative to its directory.
    deposition : Deposition
        What to write.

    Raises
    ------
    FileError
        When it cannot be written.
    """
    system, errors = _system(deposition)
    text = io.StringIO()
    ihm.dumper.write(text, [system])
    document = gemmi.cif.read_string(text.getvalue())
    block = document.sole_block()
    place_files(block, Path(path).parent)
    add_cell(block, deposition.crystals[0])
    add_conditions(block, deposition.experiments, deposition.crystals)
    add_population_errors(block, errors)
    add_atoms(block, deposition.crystals)
    write_text(path, document.as_string())


@final
class _System(ihm.System):  # type: ignore[misc]
    """A system whose states have models in common: those of the structures."""

    def _all_models(self) -> Iterator[tuple[ihm.model.ModelGroup, ihm.model.Model]]:
        """Give each model once; python-ihm would write its atoms for every group that has it."""
        seen: set[int] = set()
        for group, model in super()._all_models():
            if id(model) not in seen:
                seen.add(id(model))
                yield group, model


def _system(deposition: Deposition) -> tuple[ihm.System, list[float | None]]:
    """Everything as python-ihm's objects, and the standard errors of the states' populations."""
    result = deposition.result
    system = _System(title=plain_text(result.title), id="deposition")
    system.software += [
        ihm.Software(name, kind, purpose, location, version=result.versions[key])
        for key, (name, kind, purpose, location) in _PROGRAMS.items()
        if key in result.versions
    ]
    datasets = Datasets(deposition)
    system.orphan_dataset_groups += datasets.groups
    protocol = ihm.protocol.Protocol(
        name="kinetic refinement",
        details=details(
            occupancies=result.provider,
            refined=", ".join(result.refined),
            converged="yes" if result.converged else "no",
            observations_work=result.n_observations_work,
            observations_free=result.n_observations_free,
            parameters=result.n_parameters,
            seed=result.seed,
        ),
    )
    models = Models(deposition, protocol)
    count = sum(len(crystal.structures) for crystal in deposition.crystals)
    protocol.steps.append(
        ihm.protocol.Step(
            assembly=system.complete_assembly,
            dataset_group=datasets.every,
            method="maximum likelihood against structure factors of all timepoints",
            name="refinement",
            num_models_begin=count,
            num_models_end=count,
            software=system.software[0] if system.software else None,
            multi_state=True,
        )
    )
    system.entities += models.molecules.entities
    system.asym_units += models.molecules.asyms
    errors: list[float | None] = []
    for experiment, group in zip(deposition.experiments, datasets.groups, strict=True):
        states = scheme_states(experiment, models)
        if states is not None:
            system.state_groups.append(states)
            system.multi_state_schemes.append(multi_state_scheme(deposition, experiment, states, group))
            errors += [None] * len(states)
        for timepoint, own in timepoint_states(deposition, experiment, models):
            system.state_groups.append(timepoint)
            errors += own
    return system, errors
