"""A simulated series or campaign as files: one MTZ for each dataset and ``truth.json``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gemmi
import numpy as np

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.files import make_directory, write_bytes
from torchref_kinetic_plugin.simulation.campaign_truth import CampaignTruth, write_truth
from torchref_kinetic_plugin.simulation.dataset import SimulatedDataset
from torchref_kinetic_plugin.simulation.series import SimulatedSeries
from torchref_kinetic_plugin.simulation.truth import Truth, truth_of

#: Columns of each MTZ: label and type. A free reflection has the flag 1.
COLUMNS = (("F-obs", "F"), ("SIGF-obs", "Q"), ("R-free-flags", "I"))


def write_series(
    series: SimulatedSeries,
    directory: str | os.PathLike[str],
    *,
    truth_path: str | os.PathLike[str] | None = None,
    kinetics: Mapping[str, Any] | None = None,
    structure_files: Mapping[str, str] | None = None,
) -> Truth:
    """Write ``NAME.mtz`` for each dataset, and the truth; existing files are replaced.

    Reflections that were not measured are absent from the file.

    Parameters
    ----------
    series : SimulatedSeries
        What to write.
    directory : path
        Where to; made when absent.
    truth_path : path, optional
        Where to write the truth; by default ``truth.json`` in the directory.
    kinetics, structure_files : mapping, optional
        What the truth says of the occupancies and the structures; see `truth_of`.

    Returns
    -------
    Truth
        As written.

    Raises
    ------
    FileError
        When the directory cannot be made or written.
    """
    target = Path(directory)
    truth_file = target / "truth.json" if truth_path is None else Path(truth_path)
    make_directory(truth_file.parent)
    _write_datasets(series, target)
    truth = truth_of(series, kinetics=kinetics, structure_files=structure_files)
    write_truth(truth, truth_file)
    return truth


def write_campaign(
    campaign: Sequence[SimulatedSeries],
    directory: str | os.PathLike[str],
    *,
    kinetics: Mapping[str, Any] | None = None,
    conditions: Mapping[str, Mapping[str, Any]] | None = None,
) -> CampaignTruth:
    """Write ``EXPERIMENT/NAME.mtz`` for each dataset of each experiment, and one truth; existing files are replaced.

    Parameters
    ----------
    campaign : sequence of SimulatedSeries
        What to write, each made as an experiment with a name of its own.
    directory : path
        Where to; made when absent. The truth, ``truth.json``, is written last.
    kinetics : mapping, optional
        As of `write_series`.
    conditions : mapping, optional
        Experiment to what it was made under.

    Returns
    -------
    CampaignTruth
        As written.

    Raises
    ------
    InputError
        Without an experiment, for one without a name, or for two of one name.
    FileError
        When a directory cannot be made or written.
    """
    names = [series.experiment for series in campaign]
    if not all(names) or len(set(names)) < len(names):
        raise InputError(f"experiments {names} are not distinct; each name is that of a directory")
    under = conditions or {}
    truth = CampaignTruth(
        tuple(truth_of(series, kinetics=kinetics, conditions=under.get(series.experiment)) for series in campaign)
    )
    for series in campaign:
        _write_datasets(series, Path(directory) / series.experiment)
    write_truth(truth, Path(directory) / "truth.json")
    return truth


def _write_datasets(series: SimulatedSeries, folder: Path) -> None:
    make_directory(folder)
    for dataset in series.datasets:
        write_bytes(folder / f"{dataset.name}.mtz", _mtz(series, dataset).write_to_bytes())


def _mtz(series: SimulatedSeries, dataset: SimulatedDataset) -> gemmi.Mtz:
    mtz = gemmi.Mtz(with_base=True)
    mtz.title = f"simulated: {dataset.name}"
    mtz.spacegroup = series.reflections.space_group
    mtz.set_cell_for_all(series.reflections.cell)
    mtz.add_dataset(dataset.name)
    for label, kind in COLUMNS:
        mtz.add_column(label, kind)
    measured = dataset.measured
    rows = np.column_stack(
        [
            series.reflections.hkl[measured],
            dataset.amplitude[measured],
            dataset.sigma_amplitude[measured],
            series.free[measured],
        ]
    )
    mtz.set_data(rows.astype(np.float32))
    mtz.history = ["simulated by torchref-kinetic-plugin"]
    return mtz
