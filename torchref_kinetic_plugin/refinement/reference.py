"""The reference structure, refined against the reference datasets alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from torchref_kinetic_plugin.bridge import fit_absolute_scale
from torchref_kinetic_plugin.bridge.row_restraints import RowRestraints
from torchref_kinetic_plugin.bridge.shared_atoms import AtomValues, SharedAtomBank
from torchref_kinetic_plugin.refinement.atom_terms import AtomRestraints
from torchref_kinetic_plugin.refinement.drift import BondWatch
from torchref_kinetic_plugin.refinement.experiment import ExperimentData
from torchref_kinetic_plugin.refinement.form_restraints import FormRestraints
from torchref_kinetic_plugin.refinement.joint_fit import refine_jointly, validation_set
from torchref_kinetic_plugin.refinement.joint_objective import JointExperiment
from torchref_kinetic_plugin.refinement.joint_progress import JointFit, JointProgress
from torchref_kinetic_plugin.refinement.joint_variables import JointVariables, RowVariables
from torchref_kinetic_plugin.refinement.preparation import prepare_experiment

#: Width of the distribution of differences of bonded atoms' shifts, A: a reference has usually been refined before.
_WIDTH = 0.05


@final
class Nothing(nn.Module):
    """Occupancies of experiments without timepoints."""

    def __init__(self, n_structures: int = 1, n_experiments: int = 1) -> None:
        super().__init__()
        self.modules_by_experiment: Any = ()
        self.regularization_weight = 1.0
        self._n_structures, self._n_experiments = n_structures, n_experiments

    def forward(self) -> list[Tensor]:
        """Tables (K, 0)."""
        return [torch.zeros(self._n_structures, 0, dtype=torch.float64) for _ in range(self._n_experiments)]

    def get_regularization_loss(self) -> Tensor:
        """Zero."""
        return torch.zeros((), dtype=torch.float64)


@final
@dataclass(frozen=True, eq=False)
class ReferenceFit:
    """A refined reference structure.

    Attributes
    ----------
    values : AtomValues
        Of its atoms, in their order, in the cell of the first experiment.
    fit : JointFit
        What happened.
    """

    values: AtomValues
    fit: JointFit


def references_of(data: ExperimentData) -> ExperimentData:
    """The reference datasets of an experiment, on the same reflections."""
    grid, n = data.grid, data.n_references
    alone = replace(
        grid,
        paths=grid.paths[:n],
        amplitude=grid.amplitude[:n],
        sigma=grid.sigma[:n],
        intensity=grid.intensity[:n],
        intensity_sigma=grid.intensity_sigma[:n],
        cell_changes=grid.cell_changes[:n],
    )
    return replace(data, datasets=data.datasets[:n], times=(), grid=alone, references_move=False)


def given_values(data: ExperimentData, structure: gemmi.Structure) -> AtomValues:
    """Values of a structure's atoms as they are, in the data's cell."""
    n = structure[0].count_atom_sites()
    still = np.zeros(n, dtype=np.bool_)
    return SharedAtomBank([structure], [np.arange(n)], data.grid.hkl[:1], data.crystal, moving=still).start


def refine_reference(
    data: Sequence[ExperimentData],
    structure: gemmi.Structure,
    moving: NDArray[np.bool_],
    riding: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    name: str,
    cycles: int,
    seed: int = 1,
    restraint_files: Sequence[Path] = (),
    device: str = "cpu",
    weights: dict[str, float] | None = None,
    on_cycle: Callable[[JointProgress], None] | None = None,
) -> ReferenceFit:
    """Refine coordinates and displacement parameters of one structure, if that makes it better.

    It stays as given unless the validation reflections speak for the refined one: who had refined it before has lost
    nothing then, and noise in the reference does not get into the differences.

    Parameters
    ----------
    data : sequence of ExperimentData
        Of one crystal form; of each the references are used.
    structure : gemmi.Structure
        One model.
    moving : ndarray
        (n_atoms,) bool, without hydrogens that ride.
    riding : pair of ndarray
        (r,) hydrogens that ride, and the atoms they ride on.
    name : str
        Of the structure.
    cycles : int
        Largest number of macro-cycles.
    seed : int
        Of the validation set and of random probes.
    restraint_files : sequence of path
        Of monomers that TorchRef does not know.
    device : str
        Where to compute.
    weights : dict, optional
        As of `AtomRestraints`.
    on_cycle : callable, optional
        Called after each cycle.

    Raises
    ------
    ScalingError
        When the data cannot be scaled to the model.
    DriftError
        When the structure that the data prefer has come apart.
    """
    every = moving.copy()
    every[riding[0]] = True
    first = data[0].crystal.orthogonalization
    parts = []
    for each in data:
        alone = references_of(each)
        prepared = prepare_experiment(alone, [structure], np.ones(1), device=device)
        bank = SharedAtomBank(
            [structure],
            [np.arange(len(moving))],
            alone.grid.hkl,
            alone.crystal,
            moving=every,
            restraint_files=restraint_files,
            device=device,
        )
        model = prepared.model
        train = model.work & ~validation_set(model.work, seed)
        mask_scale = torch.as_tensor(prepared.absolute.mask_scale, device=device).clone()
        to_cell = torch.as_tensor(alone.crystal.orthogonalization @ np.linalg.inv(first), device=device)
        parts.append(JointExperiment(model, bank, mask_scale, train, None if each is data[0] else to_cell))
    bank = parts[0].bank
    provider = Nothing(n_experiments=len(parts))
    variables = JointVariables(
        RowVariables(np.flatnonzero(moving), *riding),
        bank.start,
        bank.anisotropic,
        provider,
        [part.model for part in parts],
    )
    geometry = RowRestraints(bank)
    watch = BondWatch(geometry, {name: np.arange(len(moving))}, bank.start)
    restraints = AtomRestraints(
        geometry,
        np.flatnonzero(moving),
        bank.start,
        np.zeros(len(moving), dtype=np.bool_),
        bank.anisotropic,
        width=_WIDTH,
        weights=weights,
    )

    def rescale() -> None:
        for part in parts:
            _rescale(part, variables.values)

    fit = refine_jointly(
        parts,
        variables,
        FormRestraints((restraints,), (slice(None),)),
        cycles=cycles,
        seed=seed,
        find_width=False,
        doubt=True,
        on_cycle=on_cycle,
        after_refresh=rescale,
    )
    watch.refuse_drift(variables.values, "refined against the references")
    return ReferenceFit(variables.values, fit)


def _rescale(part: JointExperiment, values: AtomValues) -> None:
    """Let the absolute scale and the solvent of an experiment follow the atoms."""
    model, grid = part.model, part.model.data.grid
    with torch.no_grad():
        atoms = part.bank.structure_factors(part.in_cell(values))[0]
        masks = part.bank.structures.mask_structure_factors()[0]
    found = fit_absolute_scale(
        grid.amplitude[0], grid.sigma[0], grid.hkl, model.data.crystal, atoms=atoms, masks=masks, free=grid.free
    )
    part.mask_scale.copy_(torch.as_tensor(found.mask_scale))
    model.base_log_scale = model.base_log_scale + (
        torch.as_tensor(np.log(found.scale)).to(model.base_log_scale) - model.base_log_scale[0]
    )
    model.nuisances.scale[:] = 0.0
    with torch.no_grad():
        model.components = part.components(values)
