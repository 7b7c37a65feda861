"""What goes into a deposition file, as plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from torchref_kinetic_plugin.results import RefinementResult
from torchref_kinetic_plugin.scheme import Scheme
from torchref_kinetic_plugin.structures import AtomicStructure


@final
@dataclass(frozen=True)
class DepositedDataset:
    """One measured dataset.

    Attributes
    ----------
    name : str
        As tables call it.
    path : Path
        Its file.
    time_s : float or None
        Delay, s; None for a reference.
    n_reflections : int
        Observations within the resolution limits.
    d_min, d_max : float
        Resolution, A.
    """

    name: str
    path: Path
    time_s: float | None
    n_reflections: int
    d_min: float
    d_max: float


@final
@dataclass(frozen=True)
class DepositedScheme:
    """The kinetic mechanism of one experiment.

    Attributes
    ----------
    scheme : Scheme
        States and transitions.
    structure_of : mapping
        State to the name of its structure.
    populations : tuple of tuple of float
        (n_timepoints, n_states), in the order of the experiment's timepoints in the result and of the scheme's states.
    """

    scheme: Scheme
    structure_of: Mapping[str, str]
    populations: tuple[tuple[float, ...], ...]


@final
@dataclass(frozen=True, eq=False)
class DepositedCrystal:
    """Structures in one cell: one crystal form.

    Attributes
    ----------
    name : str
        Of the first experiment measured on it.
    structures : tuple of AtomicStructure
        In the order of the result.
    """

    name: str
    structures: tuple[AtomicStructure, ...]


@final
@dataclass(frozen=True)
class DepositedExperiment:
    """One experiment: its condition, its datasets, its mechanism.

    Attributes
    ----------
    name : str
        As tables call it.
    crystal : int
        Number of its crystal among those of the deposition.
    datasets : tuple of DepositedDataset
        References first.
    temperature, temperature_before : float or None
        K; the second before a temperature jump.
    concentration : float or None
        Of a ligand, mol/L.
    pump_energy : float or None
        J.
    scheme : DepositedScheme or None
        None where occupancies follow no scheme.
    """

    name: str
    crystal: int
    datasets: tuple[DepositedDataset, ...]
    temperature: float | None = None
    temperature_before: float | None = None
    concentration: float | None = None
    pump_energy: float | None = None
    scheme: DepositedScheme | None = None

    @property
    def static(self) -> bool:
        """Whether nothing was triggered: all timepoints are of the stationary state, which ratios of rates decide."""
        return all(math.isinf(each.time_s) for each in self.datasets if each.time_s is not None)


@final
@dataclass(frozen=True)
class Deposition:
    """Everything that a deposition file says.

    Attributes
    ----------
    result : RefinementResult
        Parameters, occupancies, statistics, versions.
    crystals : tuple of DepositedCrystal
        Structures, refined or as given.
    experiments : tuple of DepositedExperiment
        In the order of the refinement file.
    """

    result: RefinementResult
    crystals: tuple[DepositedCrystal, ...]
    experiments: tuple[DepositedExperiment, ...]

    @property
    def structures_refined(self) -> bool:
        """Whether structures moved, or are as given."""
        return "structures" in self.result.refined
