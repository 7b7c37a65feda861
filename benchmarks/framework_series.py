"""A series as the framework holds it: `DatasetCollection`, `ModelCollection`, `KineticRefinement`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import gemmi
import numpy as np
import torch

from benchmarks.series import Series
from torchref_kinetic_plugin.bridge import Crystal
from torchref_kinetic_plugin.bridge.atom_table import reader_of
from torchref_kinetic_plugin.bridge.environment import framework, quiet
from torchref_kinetic_plugin.reflections import FreeSet, Observations
from torchref_kinetic_plugin.scheme import parse_rate

#: Its only way to an impulse is a rate that is over before the first delay, per nanosecond.
_IMPULSE = 10.0


def reflection_data(observations: Observations, free_set: FreeSet) -> Any:
    """One dataset in the framework's default precision."""
    free, _ = free_set.at(observations.hkl)
    present = np.isfinite(observations.amplitude)
    with quiet():
        return framework().ReflectionData.from_tensors(
            torch.as_tensor(observations.hkl[present]),
            torch.as_tensor(observations.amplitude[present], dtype=torch.float32),
            torch.as_tensor(observations.sigma[present], dtype=torch.float32),
            list(observations.cell.parameters),
            observations.spacegroup,
            rfree_flags=torch.as_tensor(~free[present]),
            verbose=0,
            device="cpu",
            friedel_merged=True,
        )


def collected(names: Sequence[str], datasets: Sequence[Any]) -> Any:
    """A `DatasetCollection`, not scaled."""
    collection = framework().DatasetCollection(verbose=0)
    for name, dataset in zip(names, datasets, strict=True):
        collection.add_dataset(name, dataset)
    return collection


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
    """The framework's precision float64 inside; its scaling calls more than eight sets undetermined in float32."""
    dtypes = framework("config").dtypes
    before = dtypes.float, dtypes.complex
    try:
        dtypes.float, dtypes.complex = torch.float64, torch.complex128
        yield
    finally:
        dtypes.float, dtypes.complex = before


def kinetic_model(series: Series) -> Any:
    """Its `occupancies_kinetics` at the starts of the refinement file, with the same parameters free.

    The reference counts as a time before the trigger. It has no efficiency; the yield is one minus the baseline of
    the first state, which its `set_baseline` makes refinable.
    """
    section = series.settings["kinetics"]
    structures = [state["name"] for state in series.settings["structures"]["states"]]
    rates = {name: 1e-9 * parse_rate(value) for name, value in section["rate_constants"].items()}
    first, trigger = section["scheme"][0], section["refine_efficiencies"][0]
    started = section["efficiencies"][trigger]
    times = torch.tensor([-1.0, *(1e9 * time for time in series.data.times)])
    model = framework("experimental.kinetic").occupancies_kinetics(
        section["scheme"],
        times,
        rate_constants={name: rate if np.isfinite(rate) else _IMPULSE for name, rate in rates.items()},
        light_activated=section["light_activated"],
        state_mapping={state: structures.index(name) for state, name in section["state_mapping"].items()},
        activation_level=started,
        verbose=0,
    )
    model.kinetics.set_baseline(first, 1.0 - started, refinable=True)
    return model


def kinetic_refinement(series: Series, kinetics: Any) -> Any:
    """Its `KineticRefinement`, set up and scaled, ready for `refine_kinetics`."""
    names = ["dark", *(f"t{number}" for number in range(1, len(series.data.times) + 1))]
    parts = [reflection_data(each, series.free_set) for each in series.observations]
    with quiet():
        datasets = collected(names, parts)
        with double_precision():
            datasets.scale()
        d_min = float(series.data.grid.resolution.min())
        parts = [_model(structure, series.data.crystal, d_min) for structure in series.structures]
        models = framework("model.model_collection").ModelCollection(parts)
        models.add_dark()
        for number, name in enumerate(names[1:], start=1):
            # Scaled at the starting occupancies. One activation must serve all timepoints, theirs is of the first.
            models.add_timepoint(name, _shared_activation(kinetics, number))
        refinement = framework("experimental.kinetic").KineticRefinement(datasets, models, verbose=0)
        refinement.setup(kinetic_model=kinetics, timepoints_map={name: place for place, name in enumerate(names)})
    return refinement


def _shared_activation(kinetics: Any, number: int) -> list[float]:
    with torch.no_grad():
        occupancies = kinetics()
    activation, excited = 1.0 - float(occupancies[0, 1]), occupancies[1:, number]
    shares = (excited + 1e-6) / (excited + 1e-6).sum()
    return [1.0 - activation, *(activation * shares).tolist()]


def _model(structure: gemmi.Structure, crystal: Crystal, d_min: float) -> Any:
    model = framework("model").ModelFT(max_res=d_min, verbose=0, device=torch.device("cpu"))
    model.load(reader_of(structure, crystal))
    return model
