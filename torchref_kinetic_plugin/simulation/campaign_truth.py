"""``truth.json``: the truth of a series, or of a campaign of several experiments."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torchref_kinetic_plugin.errors import FileError, InputError, UnknownNameError
from torchref_kinetic_plugin.files import write_text
from torchref_kinetic_plugin.simulation.truth import DatasetTruth, Truth

#: Versions of the file; each is raised when a key changes its meaning.
SERIES_SCHEMA, CAMPAIGN_SCHEMA = 1, 2
#: What all experiments of a campaign have in common, and its file has once.
_COMMON = ("seed", "noise_seed", "d_min", "solvent", "noise", "model_error", "kinetics")


@dataclass(frozen=True)
class CampaignTruth:
    """Truth of several experiments.

    Attributes
    ----------
    experiments : tuple of Truth
        In the order of the simulation file.

    Raises
    ------
    InputError
        Without an experiment.
    """

    experiments: tuple[Truth, ...]

    def __post_init__(self) -> None:
        if not self.experiments:
            raise InputError("a campaign has at least one experiment")

    def __getitem__(self, name: str) -> Truth:
        for each in self.experiments:
            if each.experiment == name:
                return each
        raise UnknownNameError("experiment", name, [each.experiment for each in self.experiments])

    @property
    def kinetics(self) -> dict[str, Any]:
        """Scheme, rate constants and what else the occupancies of all experiments came from."""
        return self.experiments[0].kinetics


def write_truth(truth: Truth | CampaignTruth, path: str | os.PathLike[str]) -> None:
    """Write ``truth.json`` atomically; infinite delays as the text ``"inf"``."""
    tables = [_table(each) for each in truth.experiments]
    content: dict[str, Any] = {"schema": SERIES_SCHEMA, **tables[0]}
    if isinstance(truth, CampaignTruth):
        own = [{key: value for key, value in table.items() if key not in _COMMON} for table in tables]
        content = {"schema": CAMPAIGN_SCHEMA, **{key: tables[0][key] for key in _COMMON}, "experiments": own}
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _table(truth: Truth) -> dict[str, Any]:
    content = asdict(truth)
    for dataset in content["datasets"]:
        if dataset["time_s"] is not None and math.isinf(dataset["time_s"]):
            dataset["time_s"] = str(dataset["time_s"])
    # What a series that is the only one does not have.
    return {key: value for key, value in content.items() if value or key not in {"experiment", "conditions"}}


def read_truth(path: str | os.PathLike[str]) -> Truth | CampaignTruth:
    """Read ``truth.json`` of a series or of a campaign; either has its ``experiments``.

    Raises
    ------
    FileError
        When the file is missing, no JSON, of another schema, or incomplete.
    """
    place = repr(str(path))
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"cannot read the truth {place}: {error.strerror}") from error
    except ValueError as error:
        raise FileError(f"{place} is no JSON: {error}") from error
    found = content.pop("schema", None) if isinstance(content, dict) else None
    if found not in {SERIES_SCHEMA, CAMPAIGN_SCHEMA}:
        raise FileError(
            f"{place} has schema {found!r}; this version reads schemas {SERIES_SCHEMA} and {CAMPAIGN_SCHEMA}"
        )
    try:
        if found == SERIES_SCHEMA:
            return _truth(content)
        experiments = content.pop("experiments")
        return CampaignTruth(tuple(_truth({**content, **each}) for each in experiments))
    except (KeyError, TypeError, InputError) as error:
        raise FileError(f"{place} is no complete truth of a series: {error}") from error


def _truth(content: Mapping[str, Any]) -> Truth:
    datasets = tuple(
        DatasetTruth(
            **{
                **dataset,
                "b_cart": tuple(dataset["b_cart"]),
                "time_s": None if dataset["time_s"] is None else float(dataset["time_s"]),
            }
        )
        for dataset in content["datasets"]
    )
    error_settings = {**content["model_error"], "b_range": tuple(content["model_error"]["b_range"])}
    return Truth(**{**content, "cell": tuple(content["cell"]), "model_error": error_settings, "datasets": datasets})
