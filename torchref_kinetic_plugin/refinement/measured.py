"""What was measured in one experiment, and the coefficients that describe its scales and errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.bridge import Crystal
from torchref_kinetic_plugin.errors import ShapeError
from torchref_kinetic_plugin.reflections import Grid

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@final
@dataclass(frozen=True, eq=False)
class ExperimentData:
    """What was measured in one experiment.

    Attributes
    ----------
    name : str
        Name of the experiment.
    datasets : tuple of str
        (T,) names; references come first.
    times : tuple of float
        (N,) delays of the timepoints in seconds, N = T - n_references.
    grid : Grid
        All datasets, in the same order.
    references_move : bool
        Whether the occupancies of the references depend on what is refined, as before a temperature jump; the provider
        then gives them too, first.
    """

    name: str
    datasets: tuple[str, ...]
    times: tuple[float, ...]
    grid: Grid
    references_move: bool = False

    def __post_init__(self) -> None:
        if len(self.datasets) != len(self.grid.amplitude) or len(self.times) > len(self.datasets):
            raise ShapeError(
                f"experiment {self.name!r}: {len(self.datasets)} names and {len(self.times)} times for "
                f"{len(self.grid.amplitude)} datasets"
            )

    @property
    def n_references(self) -> int:
        """Number of datasets without a delay."""
        return len(self.datasets) - len(self.times)

    @property
    def n_fixed(self) -> int:
        """Number of datasets whose occupancies stand still, those that the provider does not give."""
        return 0 if self.references_move else self.n_references

    @property
    def crystal(self) -> Crystal:
        """Cell and space group of the data."""
        return Crystal(self.grid.cell, self.grid.spacegroup)


@final
@dataclass
class Nuisances:
    """What the likelihood depends on beside the occupancies; coefficients of linear forms.

    Attributes
    ----------
    scale : ndarray
        (T, p), of ln k on `ScaleForm`, added to the scales found before the fit.
    error : ndarray
        (q,), of ln of the variance of the common error, in 1/d^2.
    inflation : ndarray
        (T, 3), of ln of the factor by which sigmas are too small: constant, 1/d^2, ln(1 + I / sigma).
    """

    scale: Floats
    error: Floats
    inflation: Floats

    def copy(self) -> Nuisances:
        """A copy that does not follow."""
        return Nuisances(self.scale.copy(), self.error.copy(), self.inflation.copy())
