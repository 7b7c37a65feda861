"""Everything that a joint refinement moves, as one vector."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchref_kinetic_plugin.bridge.shared_atoms import AtomValues
from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Floats

Indices = NDArray[np.int64]


class Occupancies(Protocol):
    """What gives the occupancies of all experiments: `plugins.SeriesOccupancies`, or nothing that moves."""

    modules_by_experiment: Any
    regularization_weight: float

    def __call__(self) -> list[Tensor]:
        """Of each experiment (K, N)."""
        ...

    def get_regularization_loss(self) -> Tensor:
        """Priors, a scalar."""
        ...


@final
@dataclass(frozen=True, eq=False)
class RowVariables:
    """Which rows of atoms move, and the hydrogens that ride on them.

    Attributes
    ----------
    free : ndarray
        (m,) rows with coordinates and displacement of their own.
    riding, parent : ndarray
        (r,) rows of hydrogens and of the atoms they ride on.
    """

    free: Indices
    riding: Indices
    parent: Indices


@final
class JointVariables:
    """Coordinates and displacements of rows, a provider's raw parameters, and the scales of all experiments.

    In the vector coordinates come first (A), then ln B of isotropic rows and U of anisotropic ones (A^2), then the raw
    parameters, then the coefficients of the scales.

    Parameters
    ----------
    rows : RowVariables
        Which rows move.
    start : AtomValues
        Where all rows are.
    anisotropic : Tensor
        (n_rows,) bool.
    provider : Occupancies
        Its refined parameters move, if wanted.
    models : sequence of ExperimentModel
        Their scales move, if wanted.
    """

    def __init__(
        self,
        rows: RowVariables,
        start: AtomValues,
        anisotropic: Tensor,
        provider: Occupancies,
        models: Sequence[ExperimentModel],
        *,
        refine_provider: bool = True,
        refine_scale: bool = True,
    ) -> None:
        self.rows, self.provider, self.models = rows, provider, list(models)
        self.values = start
        self._free, self._riding, self._parent = (
            torch.as_tensor(each, device=start.xyz.device) for each in (rows.free, rows.riding, rows.parent)
        )
        self._flags = anisotropic
        flags = anisotropic[self._free]
        self._isotropic, self._anisotropic = self._free[~flags], self._free[flags]
        self._search = SecondOrderFit(list(provider.modules_by_experiment) if refine_provider else [], [])
        self.refine_scale = refine_scale
        sizes = [
            3 * len(self._free),
            len(self._isotropic),
            6 * len(self._anisotropic),
            self._search.size,
            sum(model.nuisances.scale.size for model in self.models) if refine_scale else 0,
        ]
        ends = np.cumsum([0, *sizes])
        self.xyz, self.b, self.u, self.kinetics, self.scales = (
            slice(a, b) for a, b in itertools.pairwise(ends.tolist())
        )
        self.size = int(ends[-1])

    def without_provider(self) -> JointVariables:
        """The same from here on, but for the provider, whose parameters stay."""
        return JointVariables(
            self.rows,
            self.values,
            self._flags,
            self.provider,
            self.models,
            refine_provider=False,
            refine_scale=self.refine_scale,
        )

    @property
    def isotropic(self) -> Tensor:
        """Free rows whose ln B is in the vector, in its order."""
        return self._isotropic

    @property
    def atoms(self) -> slice:
        """Of the vector, what belongs to atoms."""
        return slice(0, self.u.stop)

    def columns_of(self, block: slice) -> Indices:
        """Of the vector, coordinates and then ln B of the free rows in a block of rows, in the vector's order."""
        places = np.arange(block.start or 0, len(self.values.b) if block.stop is None else block.stop)
        free = np.flatnonzero(np.isin(self.rows.free, places))
        isotropic = np.flatnonzero(np.isin(self._isotropic.cpu().numpy(), places))
        return np.concatenate([(3 * free[:, None] + np.arange(3)).ravel(), self.b.start + isotropic])

    def get(self) -> Floats:
        """The present vector (size,)."""
        values = self.values
        parts = [
            values.xyz[self._free].flatten(),
            torch.log(values.b[self._isotropic]),
            values.u[self._anisotropic].flatten(),
        ]
        scales = [model.nuisances.scale.ravel() for model in self.models] if self.refine_scale else []
        return np.concatenate([*(part.detach().cpu().numpy() for part in parts), self._search.get(), *scales])

    def set(self, vector: Floats) -> None:
        """Go to a vector: the values, the provider and the models' scales follow."""
        with torch.no_grad():
            self.values = self.atom_values(torch.from_numpy(vector))
        self.set_provider(vector)
        if self.refine_scale:
            for number, model in enumerate(self.models):
                model.nuisances.scale = self.scale_of(torch.from_numpy(vector), number).numpy().copy()

    def place(self, xyz: Floats, b: Floats, u: Floats) -> None:
        """Set the values of all rows, also of those that do not move."""
        like = self.values.xyz
        self.values = AtomValues(*(torch.tensor(part).to(like) for part in (xyz, b, u)))

    def set_provider(self, vector: Floats) -> None:
        """Set the provider's parameters alone."""
        self._search.set(vector[self.kinetics])

    def atom_values(self, vector: Tensor) -> AtomValues:
        """Values of all rows at a vector, with gradients to it; moved to their device here."""
        before = self.values
        vector = vector.to(before.xyz.device)
        xyz = before.xyz.index_put((self._free,), vector[self.xyz].reshape(-1, 3))
        b = before.b.index_put((self._isotropic,), torch.exp(vector[self.b]))
        u = before.u.index_put((self._anisotropic,), vector[self.u].reshape(-1, 6))
        if len(self._riding):
            offset = before.xyz[self._riding] - before.xyz[self._parent]
            ratio = before.b[self._riding] / before.b[self._parent].clamp(min=1e-3)
            xyz = xyz.index_put((self._riding,), xyz[self._parent] + offset)
            b = b.index_put((self._riding,), b[self._parent] * ratio)
        return AtomValues(xyz, b, u)

    def scale_of(self, vector: Tensor, experiment: int) -> Tensor:
        """Coefficients (T, p) of the scales of an experiment."""
        shapes = [model.nuisances.scale.shape for model in self.models]
        if not self.refine_scale:
            return torch.as_tensor(self.models[experiment].nuisances.scale)
        first = self.scales.start + sum(t * p for t, p in shapes[:experiment])
        t, p = shapes[experiment]
        return vector[first : first + t * p].reshape(t, p)

    @property
    def provider_parameters(self) -> list[torch.nn.Parameter]:
        """What of the provider moves, in the vector's order."""
        return list(self._search.parameters.values())
