"""A structure that leaves its geometry behind stops the refinement, by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchref_kinetic_plugin.bridge.row_restraints import RowRestraints
from torchref_kinetic_plugin.bridge.shared_atoms import AtomValues
from torchref_kinetic_plugin.errors import DriftError

#: R.m.s. deviation of bonds from their ideal lengths beyond which no structure is one, A; good models have 0.02.
_LARGEST = 0.1
#: A structure that was worse at the start has drifted when it has become so many times worse.
_FACTOR = 2.0


@final
class BondWatch:
    """Bonds of structures that move, compared with those at the start.

    Parameters
    ----------
    geometry : RowRestraints
        Of the rows.
    rows : mapping
        Structure to its rows.
    start : AtomValues
        Of all rows.
    """

    def __init__(self, geometry: RowRestraints, rows: Mapping[str, NDArray[np.int64]], start: AtomValues) -> None:
        self._geometry = geometry
        bonded = geometry.bonded
        self._bonds = {
            name: torch.isin(bonded, torch.tensor(own, device=bonded.device)).all(1) for name, own in rows.items()
        }
        self._start = self.deviations(start)

    def deviations(self, values: AtomValues) -> dict[str, float]:
        """Structure to the r.m.s. deviation of its bonds of which an atom moves, A; 0 without any."""
        square: Tensor = self._geometry.bond_deviations(values.xyz).square()
        return {name: float(square[own].mean().sqrt()) if own.any() else 0.0 for name, own in self._bonds.items()}

    def refuse_drift(self, values: AtomValues, when: str) -> None:
        """See that no structure has come apart.

        Raises
        ------
        DriftError
            For a structure whose bonds are no bonds any more, or no numbers.
        """
        for name, deviation in self.deviations(values).items():
            start = self._start[name]
            if not deviation <= max(_LARGEST, _FACTOR * start):
                raise DriftError(
                    f"structure {name!r} drifts off: {when} its bonds are {deviation:.2g} A (r.m.s.) from their ideal "
                    f"lengths, {start:.2g} A at the start. Restraints do not hold its atoms against the data: lower "
                    "weights.data or raise weights.geometry, let fewer atoms move (structures.moving), or leave "
                    '"structures" out of refine'
                )
