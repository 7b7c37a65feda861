"""From structures and datasets to a model of an experiment: structure factors, relative and absolute scales."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import gemmi
import numpy as np
import torch
from torch import Tensor

from torchref_kinetic_plugin.bridge import (
    AbsoluteScale,
    AnisotropicScales,
    StructureFactorBank,
    fit_absolute_scale,
    fit_relative_scales,
    with_solvent,
)
from torchref_kinetic_plugin.refinement.experiment import ExperimentData, ExperimentModel, Floats

_log = logging.getLogger(__name__)


@final
@dataclass(frozen=True, eq=False)
class Preparation:
    """What was found on the way from structures and datasets to a model of an experiment.

    Attributes
    ----------
    model : ExperimentModel
        Ready to be fitted.
    relative : AnisotropicScales
        Datasets against the first reference.
    absolute : AbsoluteScale
        Of the first reference, with bulk solvent.
    atoms, masks : Tensor
        (K, H), structure factors of the atoms, and of the solvent masks at 1 e/A^3.
    """

    model: ExperimentModel
    relative: AnisotropicScales
    absolute: AbsoluteScale
    atoms: Tensor = field(repr=False)
    masks: Tensor = field(repr=False)


def prepare_experiment(
    data: ExperimentData,
    structures: Sequence[gemmi.Structure],
    reference_occupancies: Floats,
    *,
    device: str = "cpu",
    wavelength: float | None = None,
) -> Preparation:
    """Evaluate the structures in the data's cell and put the datasets on an absolute scale.

    Parameters
    ----------
    data : ExperimentData
        What was measured.
    structures : sequence of gemmi.Structure
        K structures, one model each.
    reference_occupancies : ndarray
        (K,), of the first dataset's state.
    device : str
        Where structure factors and likelihood are computed.
    wavelength : float, optional
        A; adds f' of the elements that have it.

    Raises
    ------
    ScalingError
        When the datasets cannot be scaled to each other or to the model.
    """
    grid, crystal = data.grid, data.crystal
    bank = StructureFactorBank(structures, grid.hkl, crystal, device=device, wavelength=wavelength)
    with torch.no_grad():
        atoms, masks = bank.structure_factors(), bank.mask_structure_factors()
    relative = fit_relative_scales(
        grid.amplitude, grid.sigma, grid.hkl, crystal, use=~grid.free, names=list(data.datasets)
    )
    weights = torch.as_tensor(reference_occupancies, dtype=torch.float64).to(atoms)
    absolute = fit_absolute_scale(
        grid.amplitude[0],
        grid.sigma[0],
        grid.hkl,
        crystal,
        atoms=weights @ atoms,
        masks=weights @ masks.to(atoms),
        free=grid.free,
    )
    solvent_scale = torch.as_tensor(absolute.mask_scale, device=atoms.device)
    components = with_solvent(atoms, masks, solvent_scale).to(torch.complex128)
    log_scale = np.log(absolute.scale) + relative.log_values(grid.hkl)
    _log.info("%s: %d datasets, %d reflections", data.name, *grid.amplitude.shape)
    model = ExperimentModel(data, components, log_scale, reference_occupancies)
    return Preparation(model, relative, absolute, atoms, masks)
