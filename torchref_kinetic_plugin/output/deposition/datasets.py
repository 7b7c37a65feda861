"""Measured datasets, by experiment, with their conditions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import final

import gemmi
import ihm.dataset
import ihm.location

from torchref_kinetic_plugin.output.deposition.contents import DepositedDataset, DepositedExperiment, Deposition
from torchref_kinetic_plugin.output.deposition.details import details
from torchref_kinetic_plugin.results import DatasetStatistics


@final
class Datasets:
    """The datasets of a deposition.

    Parameters
    ----------
    deposition : Deposition
        Everything.

    Attributes
    ----------
    groups : list of ihm.dataset.DatasetGroup
        One for each experiment, in their order.
    every : ihm.dataset.DatasetGroup
        All together.
    """

    def __init__(self, deposition: Deposition) -> None:
        statistics = {(each.experiment, each.dataset): each for each in deposition.result.statistics}
        self.groups: list[ihm.dataset.DatasetGroup] = []
        for experiment in deposition.experiments:
            measured = [
                _dataset(experiment.name, each, statistics.get((experiment.name, each.name)))
                for each in experiment.datasets
            ]
            self.groups.append(
                ihm.dataset.DatasetGroup(
                    measured, name=experiment.name, application="refinement", details=condition(experiment)
                )
            )
        self.every = self.groups[0]
        if len(self.groups) > 1:
            together = [each for group in self.groups for each in group]
            self.every = ihm.dataset.DatasetGroup(together, name="all experiments", application="refinement")


def condition(experiment: DepositedExperiment) -> str:
    """The condition of an experiment, as details."""
    return details(
        experiment=experiment.name,
        temperature_K=experiment.temperature,
        temperature_before_K=experiment.temperature_before,
        concentration_M=experiment.concentration,
        pump_energy_J=experiment.pump_energy,
    )


def place_files(block: gemmi.cif.Block, directory: Path) -> None:
    """Name files relative to a directory; python-ihm counts from the one that the program was started in."""
    column = block.find_loop("_ihm_external_files.file_path")
    for row, text in enumerate(column):
        absolute = os.path.normpath(Path.cwd() / gemmi.cif.as_string(text))
        path = os.path.relpath(absolute, directory.resolve())
        column[row] = gemmi.cif.quote(Path(path).as_posix())


def _dataset(experiment: str, dataset: DepositedDataset, agreement: DatasetStatistics | None) -> ihm.dataset.Dataset:
    values: dict[str, float | None] = {}
    if agreement is not None:
        values = {
            "r_work": agreement.r_work,
            "r_free": agreement.r_free,
            "cc_difference_work": agreement.cc_diff_work,
            "cc_difference_free": agreement.cc_diff_free,
        }
    # A link keeps its own name.
    path = dataset.path.parent.resolve() / dataset.path.name
    location = ihm.location.InputFileLocation(str(path), file_format="CIF" if _is_cif(dataset.path) else "Other")
    measured = ihm.dataset.XRayDiffractionDataset(
        location,
        details=details(
            experiment=experiment,
            dataset=dataset.name,
            role="reference" if dataset.time_s is None else "timepoint",
            delay_s=dataset.time_s,
            reflections=dataset.n_reflections,
            d_min_A=round(dataset.d_min, 4),
            d_max_A=round(dataset.d_max, 4),
            **values,
        ),
    )
    # One file may be the reference of two experiments, each with an agreement of its own.
    measured._allow_duplicates = True
    return measured


def _is_cif(path: Path) -> bool:
    return Path(path.stem if path.suffix == ".gz" else path.name).suffix.lower() in {".cif", ".mmcif", ".ent"}
