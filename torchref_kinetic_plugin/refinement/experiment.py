"""One experiment: its datasets on one grid, the structures' structure factors there, and all that is not kinetics."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torchref_kinetic_plugin.bridge import (
    AbsoluteScale,
    AnisotropicScales,
    Crystal,
    ScaleForm,
    StructureFactorBank,
    fit_absolute_scale,
    fit_relative_scales,
    with_solvent,
)
from torchref_kinetic_plugin.errors import ShapeError
from torchref_kinetic_plugin.refinement.common_error import CommonErrorLikelihood, Scores
from torchref_kinetic_plugin.reflections import Grid

_log = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: Chebyshev polynomials in 1/d^2 that describe ln of the error's variance.
_ERROR_TERMS = 3
#: Smallest starting variance of the common error, as a fraction of the mean intensity.
_LEAST_ERROR = 1e-3


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


@final
@dataclass(frozen=True, eq=False)
class Evaluation:
    """Log-likelihood of one experiment at some occupancies and nuisances, with its derivatives.

    Attributes
    ----------
    occupancies : Tensor
        (K, T), references included.
    scores : Scores
        Of each reflection.
    work, free : float
        Sum of the log-likelihood over the work and the free reflections.
    """

    occupancies: Tensor
    scores: Scores
    work: float
    free: float


@final
class ExperimentModel:
    """Forward model and likelihood of one experiment; structures as given.

    Parameters
    ----------
    data : ExperimentData
        What was measured.
    components : Tensor
        (K, H) complex128, structure factors of the structures with their solvent, in electrons.
    log_scale : ndarray
        (T, H), ln of what takes amplitudes in electrons to those of each dataset.
    reference_occupancies : ndarray
        (K,), of the references; without any, of the first dataset, at the start.
    resolution_terms : int
        See `ScaleForm`.
    """

    def __init__(
        self,
        data: ExperimentData,
        components: Tensor,
        log_scale: Floats,
        reference_occupancies: Floats,
        *,
        resolution_terms: int = 3,
    ) -> None:
        grid = data.grid
        n_sets, n_reflections = grid.amplitude.shape
        if components.shape[1] != n_reflections or log_scale.shape != (n_sets, n_reflections):
            raise ShapeError(
                f"structure factors {tuple(components.shape)} and scales {log_scale.shape} do not fit data "
                f"{grid.amplitude.shape}"
            )
        self.data = data
        self.components = components
        self.reference_occupancies = np.asarray(reference_occupancies, dtype=np.float64)
        device = components.device
        self._intensities = torch.as_tensor(grid.intensity, device=device)
        self._sigmas = torch.as_tensor(grid.intensity_sigma, device=device)
        self.likelihood = CommonErrorLikelihood(
            self._intensities, self._sigmas, torch.as_tensor(grid.centric, device=device)
        )
        present = grid.mask.any(axis=0)
        self.work: Flags = ~grid.free & present
        self.free: Flags = grid.free & present
        self.free_rows = torch.as_tensor(np.flatnonzero(self.free), device=device)
        self._free_likelihood = CommonErrorLikelihood(
            self._intensities[:, self.free_rows],
            self._sigmas[:, self.free_rows],
            self.likelihood.centric[self.free_rows],
        )
        self.base_log_scale = torch.as_tensor(log_scale, device=device)
        self.scale_design = torch.as_tensor(
            ScaleForm.over(data.crystal, grid.hkl, resolution_terms).design(grid.hkl), device=device
        )
        squares = grid.resolution**-2.0
        x = 2.0 * (squares - squares.min()) / max(float(np.ptp(squares)), 1e-12) - 1.0
        self.error_design = torch.as_tensor(np.polynomial.chebyshev.chebvander(x, _ERROR_TERMS - 1), device=device)
        self._x = torch.as_tensor(x, device=device)
        self._log_epsilon = torch.as_tensor(np.log(grid.epsilon), device=device)
        start = self.components.T.abs().square().mean(1) * _LEAST_ERROR
        self.nuisances = Nuisances(
            scale=np.zeros((n_sets, self.scale_design.shape[1])),
            error=np.zeros(_ERROR_TERMS),
            inflation=np.zeros((n_sets, 3)),
        )
        self.nuisances.error[0] = float(torch.log(self._starting_variance().clamp(min=start.mean())))
        self.inflation_design = self._inflation_design(self.mixture(self._all_reference()))

    @property
    def n_timepoints(self) -> int:
        """N, datasets whose occupancies the provider gives."""
        return len(self.data.datasets) - self.data.n_fixed

    def with_references(self, occupancies: Tensor) -> Tensor:
        """Occupancies (K, T) of all datasets from those (K, N) that the provider gives."""
        before = torch.as_tensor(self.reference_occupancies, dtype=torch.float64).unsqueeze(1)
        return torch.cat([before.expand(-1, self.data.n_fixed), occupancies.to(torch.float64).cpu()], dim=1)

    def _all_reference(self) -> Tensor:
        return self.with_references(
            torch.as_tensor(self.reference_occupancies).unsqueeze(1).expand(-1, self.n_timepoints)
        )

    def mixture(self, occupancies: Tensor) -> Tensor:
        """Structure factors (T, H) of each dataset, in electrons, from occupancies (K, T)."""
        weights = occupancies.to(self.components.device, self.components.real.dtype)
        parts = torch.view_as_real(self.components).flatten(1)
        return torch.view_as_complex((weights.T @ parts).reshape(len(weights.T), -1, 2))

    def log_scale(self, nuisances: Nuisances | None = None) -> Tensor:
        """(T, H), ln of what takes electrons to each dataset's amplitudes."""
        used = self.nuisances if nuisances is None else nuisances
        return self.base_log_scale + torch.as_tensor(used.scale).to(self.scale_design) @ self.scale_design.T

    def error_variance(self, nuisances: Nuisances | None = None) -> Tensor:
        """(H,), variance of the common error, electrons squared."""
        used = self.nuisances if nuisances is None else nuisances
        logarithm = self.error_design @ torch.as_tensor(used.error).to(self.error_design)
        return torch.exp(logarithm + self._log_epsilon)

    def log_inflation(self, nuisances: Nuisances | None = None) -> Tensor:
        """(T, H), ln of the factor by which sigmas are too small."""
        used = self.nuisances if nuisances is None else nuisances
        coefficients = torch.as_tensor(used.inflation).to(self.inflation_design)
        return (self.inflation_design * coefficients.unsqueeze(1)).sum(2)

    def log_likelihood(self, components: Tensor, occupancies: Tensor, scale: Tensor) -> Tensor:
        """Log-likelihood of each reflection (H,), with gradients to all arguments.

        At structure factors (K, H) with solvent, occupancies (K, N) of the timepoints and coefficients (T, p) of the
        scales; the error model stands still.
        """
        weights = self.with_references(occupancies).to(components.device)
        parts = torch.view_as_real(components).flatten(1)
        mixture = torch.view_as_complex((weights.T @ parts).reshape(weights.shape[1], -1, 2))
        log_scale = self.base_log_scale + scale.to(self.scale_design) @ self.scale_design.T
        return self.likelihood(mixture, self.error_variance(), log_scale, self.log_inflation())

    def evaluate(self, occupancies: Tensor, nuisances: Nuisances | None = None) -> Evaluation:
        """Log-likelihood at occupancies (K, N) of the timepoints, with all derivatives."""
        everywhere = self.with_references(occupancies)
        scores = self.likelihood.scores(
            self.mixture(everywhere),
            self.error_variance(nuisances),
            self.log_scale(nuisances),
            self.log_inflation(nuisances),
        )
        each = scores.log_likelihood.cpu().numpy()
        return Evaluation(everywhere, scores, float(each[self.work].sum()), float(each[self.free].sum()))

    def free_scores(self, occupancies: Tensor) -> Scores:
        """Log-likelihood and derivatives of the free reflections alone (n_free), in the order of `free`.

        At occupancies (K, N) of the timepoints; costs what their share of the reflections is.
        """
        rows, used = self.free_rows, self.nuisances
        weights = self.with_references(occupancies).to(self.components.device, self.components.dtype)
        scale = torch.as_tensor(used.scale).to(self.scale_design)
        inflation = torch.as_tensor(used.inflation).to(self.inflation_design).unsqueeze(1)
        return self._free_likelihood.scores(
            weights.T @ self.components[:, rows],
            self.error_variance()[rows],
            self.base_log_scale[:, rows] + scale @ self.scale_design[rows].T,
            (self.inflation_design[:, rows] * inflation).sum(2),
        )

    def calculated_amplitudes(self, occupancies: Tensor) -> tuple[Floats, Floats]:
        """Amplitudes (T, H) of the model in electrons, and the factor (T, H) that takes them to the data."""
        with torch.no_grad():
            model = self.mixture(self.with_references(occupancies)).abs()
            return model.cpu().numpy(), torch.exp(self.log_scale()).cpu().numpy()

    def refresh_inflation_design(self, occupancies: Tensor) -> None:
        """Let the sigmas' model depend on the intensities that the model now expects."""
        self.inflation_design = self._inflation_design(self.mixture(self.with_references(occupancies)))

    def _inflation_design(self, mixture: Tensor) -> Tensor:
        """(T, H, 3); from the model's intensities, since those measured would tie a weight to its own noise."""
        expected = mixture.abs().square() + self.error_variance()
        sigmas = torch.where(torch.isfinite(self._sigmas), self._sigmas, 1.0)
        strength = torch.log1p(expected * torch.exp(2.0 * self.log_scale()) / sigmas)
        strength = strength - strength.mean(1, keepdim=True)
        return torch.stack([torch.ones_like(strength), self._x.expand_as(strength), strength], dim=2)

    def _starting_variance(self) -> Tensor:
        """What the first reference differs from the model, beyond its own error, mean over the free reflections."""
        model = self.mixture(self._all_reference())[0].abs()
        observed = torch.sqrt(self._intensities[0].clamp(min=0.0)) * torch.exp(-self.base_log_scale[0])
        chosen = torch.as_tensor(self.free, device=model.device) & self.likelihood.present[0]
        # An error shows in an amplitude with one of its two components.
        return 2.0 * (observed - model)[chosen].square().mean()


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
