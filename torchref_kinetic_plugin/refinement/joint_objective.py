"""The one objective of structures and kinetics: likelihood of all data, restraints of atoms, priors of kinetics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, final

import numpy as np
import torch
from torch import Tensor

from torchref_kinetic_plugin.bridge import with_solvent
from torchref_kinetic_plugin.bridge.shared_atoms import AtomValues, SharedAtomBank
from torchref_kinetic_plugin.refinement.data_loss import DataLoss
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Flags, Floats
from torchref_kinetic_plugin.refinement.joint_variables import JointVariables


class AtomTerms(Protocol):
    """Restraints of the rows of atoms."""

    def __call__(self, values: AtomValues) -> dict[str, Tensor]:
        """Terms by name, each minus the logarithm of a prior."""
        ...


@final
@dataclass(frozen=True, eq=False)
class JointExperiment:
    """An experiment whose structures move.

    Attributes
    ----------
    model : ExperimentModel
        Forward model and likelihood.
    bank : SharedAtomBank
        The structures in its cell.
    mask_scale : Tensor
        (H,), what the solvent masks are multiplied with.
    train : ndarray
        (H,) bool, reflections that atoms are refined against.
    to_cell : Tensor, optional
        (3, 3), takes Cartesian coordinates in the cell of the values to those in this experiment's.
    block : slice
        Rows of all values that are the bank's: those of its crystal form.
    """

    model: ExperimentModel
    bank: SharedAtomBank
    mask_scale: Tensor
    train: Flags
    to_cell: Tensor | None = None
    block: slice = field(default_factory=lambda: slice(None))

    def in_cell(self, values: AtomValues) -> AtomValues:
        """The bank's rows of all values, in this experiment's cell, fractional coordinates kept."""
        values = values.rows(self.block)
        return values if self.to_cell is None else replace(values, xyz=values.xyz @ self.to_cell.T)

    def components(self, values: AtomValues) -> Tensor:
        """Structure factors (K, H) with solvent, whose masks stand still."""
        masks = self.bank.structures.mask_structure_factors()
        atoms = self.bank.structure_factors(self.in_cell(values))
        result: Tensor = with_solvent(atoms, masks, self.mask_scale).to(torch.complex128)
        return result


@final
@dataclass(frozen=True, eq=False)
class Terms:
    """The objective at one vector.

    Attributes
    ----------
    by_name : dict
        ``data``, ``kinetics``, and the terms of the atoms.
    gradient : ndarray
        (size,).
    """

    by_name: dict[str, float]
    gradient: Floats

    @property
    def total(self) -> float:
        """Their sum."""
        return sum(self.by_name.values())

    @property
    def finite(self) -> bool:
        """Whether value and gradient are numbers."""
        return math.isfinite(self.total) and bool(np.isfinite(self.gradient).all())


@final
class JointObjective:
    """Value and gradient in everything that moves, with one evaluation of the structure factors.

    Parameters
    ----------
    experiments : sequence of JointExperiment
        In the order of the provider's.
    variables : JointVariables
        What moves.
    atom_terms : AtomTerms
        Restraints.
    """

    def __init__(
        self, experiments: Sequence[JointExperiment], variables: JointVariables, atom_terms: AtomTerms
    ) -> None:
        self.experiments, self.variables, self.atom_terms = list(experiments), variables, atom_terms
        self._losses = [DataLoss(each.model, each.train) for each in self.experiments]

    def __call__(self, vector: Floats) -> Terms:
        """Evaluate; the provider's parameters are set to those of the vector."""
        variables = self.variables
        point = torch.from_numpy(vector).requires_grad_()
        variables.set_provider(vector)
        inputs = [point, *variables.provider_parameters]
        with torch.enable_grad():
            values = variables.atom_values(point)
            occupancies = variables.provider()
            # An experiment's part of the graph is gone when the next one's is made: memory is that of one of them.
            scales = [variables.scale_of(point, number) for number in range(len(self.experiments))]
            parts = [self._data(number, values, occupancies[number], scale) for number, scale in enumerate(scales)]
            of_atoms = [torch.stack(each).sum(0) for each in zip(*(slopes[:3] for _, slopes in parts), strict=True)]
            ends = [values.xyz, values.b, values.u, *occupancies, *scales]
            pulls = [*of_atoms, *(slopes[3] for _, slopes in parts), *(slopes[4] for _, slopes in parts)]
            of_kinetics = variables.provider.get_regularization_loss().to(point)
            restraints = self.atom_terms(values)
            # Restraints of atoms come from their device together.
            terms = torch.cat([of_kinetics.reshape(1), _stacked(restraints, values.xyz).to(point)])
            rest = terms.sum()
            moving = [(end, pull) for end, pull in zip(ends, pulls, strict=True) if end.requires_grad]
            slopes = torch.autograd.grad(
                [rest, *(end for end, _ in moving)],
                inputs,
                [torch.ones_like(rest), *(pull for _, pull in moving)],
                allow_unused=True,
                materialize_grads=True,
            )
        data = torch.stack([value for value, _ in parts]).sum()
        gradient = slopes[0].cpu().numpy().copy()
        if slopes[1:]:
            gradient[variables.kinetics] = torch.cat([each.flatten() for each in slopes[1:]]).cpu().numpy()
        names = ("data", "kinetics", *restraints)
        return Terms(dict(zip(names, [float(data), *terms.tolist()], strict=True)), gradient)

    def _data(
        self, number: int, values: AtomValues, occupancies: Tensor, scale: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Minus the log-likelihood of an experiment, and its slopes in coordinates, B, U, occupancies and scales."""
        each = self.experiments[number]
        at = [part.detach().requires_grad_() for part in (values.xyz, values.b, values.u)]
        components = each.components(AtomValues(at[0], at[1], at[2]))
        found = self._losses[number](components, occupancies, scale)
        of_atoms: tuple[Tensor, ...] = tuple(torch.zeros_like(part) for part in at)
        if components.requires_grad:
            of_atoms = torch.autograd.grad(
                components, at, found.by_components, allow_unused=True, materialize_grads=True
            )
        return found.value, (*of_atoms, found.by_occupancies.to(occupancies), found.by_scale.to(scale))


def _stacked(terms: dict[str, Tensor], like: Tensor) -> Tensor:
    """(n,) float64; of nothing on the device of another tensor."""
    if not terms:
        return torch.zeros(0, dtype=torch.float64, device=like.device)
    return torch.stack([term.to(torch.float64) for term in terms.values()])
