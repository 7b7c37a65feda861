"""How many of the possible reflections were observed, in shells of resolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import gemmi
import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.reflections.asymmetric_unit import Floats, resolution_of
from torchref_kinetic_plugin.reflections.observations import Observations

# Widens limits, so that rounding does not exclude the reflections that define them.
_EDGE = 1e-6


@final
@dataclass(frozen=True)
class CompletenessShell:
    """One shell.

    Attributes
    ----------
    d_max, d_min : float
        Its limits, A.
    n_observed, n_possible : int
        Reflections.
    """

    d_max: float
    d_min: float
    n_observed: int
    n_possible: int

    @property
    def completeness(self) -> float:
        """Observed of possible; NaN when none is possible."""
        return self.n_observed / self.n_possible if self.n_possible else float("nan")


@final
@dataclass(frozen=True)
class Completeness:
    """Overall and in shells of equal volume, low resolution first."""

    overall: CompletenessShell
    shells: tuple[CompletenessShell, ...]


def completeness(
    observations: Observations, n_shells: int = 10, d_min: float | None = None, d_max: float | None = None
) -> Completeness:
    """Count observed against possible reflections; systematic absences are not possible.

    Parameters
    ----------
    observations : Observations
        A dataset.
    n_shells : int
        How many shells.
    d_min, d_max : float, optional
        Limits, A; by default those of the dataset.

    Raises
    ------
    InputError
        For less than one shell, or limits that exclude each other.
    """
    low = observations.d_min if d_min is None else d_min
    high = observations.d_max if d_max is None else d_max
    if n_shells < 1 or not 0.0 < low < high:
        raise InputError(f"n_shells = {n_shells!r}, d_min = {low!r}, d_max = {high!r}: 0 < d_min < d_max is wanted")
    low, high = low * (1.0 - _EDGE), high * (1.0 + _EDGE)
    possible = gemmi.make_miller_array(observations.cell, observations.spacegroup, low, high)
    edges = shell_edges(low, high, n_shells)
    seen = _count(observations.resolution, edges)
    all_of = _count(resolution_of(observations.cell, possible), edges)
    limits = edges ** (-1.0 / 3.0)
    shells = tuple(
        CompletenessShell(float(limits[i]), float(limits[i + 1]), int(seen[i]), int(all_of[i])) for i in range(n_shells)
    )
    return Completeness(CompletenessShell(high, low, int(seen.sum()), int(all_of.sum())), shells)


def shell_edges(d_min: float, d_max: float, n_shells: int) -> Floats:
    """Limits (n_shells + 1,) in 1/d^3 of shells of equal volume, rising."""
    return np.asarray(np.linspace(d_max**-3.0, d_min**-3.0, n_shells + 1))


def _count(resolution: Floats, edges: Floats) -> NDArray[np.intp]:
    return np.asarray(np.histogram(resolution**-3.0, bins=edges)[0], dtype=np.intp)
