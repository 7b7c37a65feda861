"""The likelihood of all datasets of a reflection, with the model error they share integrated out.

Every structure lacks the same waters and the same loop at every delay: one complex error E adds to the structure
factors of all datasets. It turns the phase along which a difference is seen, so that a likelihood without it finds
differences, and with them yields, about a tenth too small; counted as independent noise it would hide them.
Here it is neither: E is normal with a variance known from the reference, and

    p(I_1 ... I_T) = integral over E of p(E) product_t N(I_t; |G_t + E|^2, sigma_t^2)

is evaluated for every reflection, in polar coordinates about the reference's phase: angles on a trapezoid (both signs
for centric reflections), radii by Gauss-Hermite nodes about the most likely one, or by Gauss-Legendre nodes from zero
where the reflection is weak.

Measurements enter as intensities, whose errors are normal also where they are weak or negative.
"""

from __future__ import annotations

import math
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from torchref_kinetic_plugin.errors import ParameterError, ShapeError

#: Angles, and how many posterior widths to either side of the reference's phase they cover.
_N_ANGLES = 33
_ANGLE_WIDTHS = 8.0
#: Steps to the most likely radius, nodes about it, and nodes and widths where the radius may be zero.
_RADIUS_STEPS = 4
_STRONG_NODES = 7
_WEAK_NODES = 24
_WEAK_WIDTHS = 7.0
#: Total amplitude over its error above which a reflection is strong.
_STRONG = 12.0
#: Numbers of one block of reflections: bounds memory, and is recomputed for the gradient.
_BLOCK_NUMBERS = 4_000_000


@final
class CommonErrorLikelihood:
    """Likelihood of the intensities of T datasets on H reflections.

    Parameters
    ----------
    intensities, sigmas : Tensor
        (T, H) float64, on the scale of the structure factors squared; NaN where a dataset lacks a reflection,
        which then counts in the others only. The first row is the reference.
    error_variance : Tensor
        (H,), variance of the common error, ``<|E|^2>``, > 0.
    centric : Tensor
        (H,) bool; there E lies along the line of the structure factor.

    Raises
    ------
    ShapeError
        When shapes disagree.
    ParameterError
        For a variance or a sigma that is not above 0, or a reflection that no dataset has.
    """

    def __init__(self, intensities: Tensor, sigmas: Tensor, error_variance: Tensor, centric: Tensor) -> None:
        n_reflections = intensities.shape[-1]
        if intensities.dim() != 2 or intensities.shape != sigmas.shape:
            raise ShapeError(f"intensities {tuple(intensities.shape)} and sigmas {tuple(sigmas.shape)} are not (T, H)")
        if error_variance.shape != (n_reflections,) or centric.shape != (n_reflections,):
            raise ShapeError(f"error_variance and centric must have the {n_reflections} reflections of the intensities")
        self.present = torch.isfinite(intensities) & torch.isfinite(sigmas)
        if not bool((sigmas[self.present] > 0.0).all()):
            raise ParameterError("a sigma is not above 0")
        if not bool((error_variance > 0.0).all()):
            raise ParameterError("a variance of the common error is not above 0")
        if not bool(self.present.any(0).all()):
            raise ParameterError("a reflection has no observation in any dataset; leave it out")
        self.intensities = torch.where(self.present, intensities, 0.0)
        self.weights = torch.where(self.present, sigmas**-2.0, 0.0)
        self.error_variance = error_variance
        self.centric = centric
        # Amplitudes for the starting radius alone; nothing of them remains in the result.
        spread = torch.where(self.present, sigmas, 1.0)
        amplitudes = torch.sqrt(torch.maximum(self.intensities, spread / 2.0))
        self._radius_weights = torch.where(self.present, (2.0 * amplitudes / spread) ** 2, 0.0)
        self._radius = (self._radius_weights * amplitudes).sum(0) / self._radius_weights.sum(0)
        self._constant = torch.where(self.present, torch.log(spread) + 0.5 * math.log(2.0 * math.pi), 0.0).sum(0)
        strong = self._radius * torch.sqrt(self._radius_weights.sum(0)) > _STRONG
        self._order = torch.argsort(strong.to(torch.int8), stable=True)
        self._n_weak = int((~strong).sum())

    def __call__(self, mixture: Tensor) -> Tensor:
        """Log-likelihood of each reflection.

        Parameters
        ----------
        mixture : Tensor
            (T, H) complex128, the model's structure factors of every dataset, with solvent, without scale.

        Returns
        -------
        Tensor
            (H,), normalized; differentiable.
        """
        if mixture.shape != self.intensities.shape:
            raise ShapeError(f"mixture {tuple(mixture.shape)} is not {tuple(self.intensities.shape)} = (T, H)")
        result = self._constant.new_zeros(mixture.shape[1])
        for which, nodes in ((self._order[: self._n_weak], _WEAK_NODES), (self._order[self._n_weak :], _STRONG_NODES)):
            step = max(1, _BLOCK_NUMBERS // (_N_ANGLES * nodes * mixture.shape[0]))
            for block in torch.split(which, step):
                value = checkpoint(self._block, mixture[:, block], block, nodes == _WEAK_NODES, use_reentrant=False)
                result = result.index_add(0, block, value)
        return result

    def _block(self, mixture: Tensor, block: Tensor, weak: bool) -> Tensor:
        centric, variance = self.centric[block], self.error_variance[block]
        reference = mixture[0].abs()
        direction = torch.where(reference > 0.0, mixture[0] / torch.where(reference > 0.0, reference, 1.0), 1.0)
        differences = (mixture - mixture[0]) * direction.conj()
        angles, log_angle_weights = self._angles(reference, block)
        turned = differences.unsqueeze(0) * torch.exp(-1j * angles).unsqueeze(1)
        along, across = turned.real, turned.imag
        # E of a centric reflection has all its variance along one line, of another half of it along each axis.
        precision = torch.where(centric, 1.0, 2.0) / variance
        prior_radius = reference * torch.cos(angles)
        radii, log_radius_weights = self._radii(along.detach(), across.detach(), prior_radius.detach(), block, weak)
        residual = (
            self.intensities[:, block] - (radii.unsqueeze(2) + along.unsqueeze(1)) ** 2 - across.unsqueeze(1) ** 2
        )
        misfit = (self.weights[:, block] * residual**2).sum(2)
        # The prior of E = radius at the angle, less the reference: along the angle, and what is left across it.
        prior = precision * ((radii - prior_radius.unsqueeze(1)) ** 2 + (reference**2 - prior_radius**2).unsqueeze(1))
        area = torch.where(
            centric,
            -0.5 * torch.log(2.0 * math.pi * variance),
            torch.log(radii) - torch.log(math.pi * variance),
        )
        terms = area - 0.5 * (misfit + prior) + log_radius_weights + log_angle_weights.unsqueeze(1)
        return torch.logsumexp(terms.flatten(0, 1), 0) - self._constant[block]

    @torch.no_grad()
    def _radii(
        self, along: Tensor, across: Tensor, prior_radius: Tensor, block: Tensor, weak: bool
    ) -> tuple[Tensor, Tensor]:
        """Radii (n_angles, n_nodes, H) and the logarithms of their weights, about the most likely radius."""
        weights, observed = self.weights[:, block], self.intensities[:, block]
        precision = torch.where(self.centric[block], 1.0, 2.0) / self.error_variance[block]
        offset = (self._radius_weights[:, block] * along).sum(1) / self._radius_weights[:, block].sum(0)
        least = 1e-3 * self._radius[block]
        radius = torch.maximum(self._radius[block] - offset, least)
        for _ in range(_RADIUS_STEPS):
            total = radius.unsqueeze(1) + along
            slope = 2.0 * (weights * total * (observed - total**2 - across**2)).sum(1)
            slope = slope - precision * (radius - prior_radius)
            curvature = 4.0 * (weights * total**2).sum(1) + precision
            radius = torch.maximum(radius + slope / curvature, least)
        if not weak:
            nodes, log_weights = _hermite(radius)
            spread = torch.rsqrt(curvature).unsqueeze(1)
            radii = radius.unsqueeze(1) + spread * nodes
            # There is no radius below zero; at angles that the data all but exclude, a node may fall there.
            inside = torch.where(radii > 0.0, 0.0, -math.inf)
            return radii.clamp(min=1e-300), log_weights + torch.log(spread) + inside
        # Near zero the curvature says little of the width; half the error's own amplitude bounds it.
        total_error = torch.rsqrt(precision + self._radius_weights[:, block].sum(0))
        reach = _WEAK_WIDTHS * torch.maximum(torch.rsqrt(curvature), total_error)
        low, high = (radius - reach).clamp(min=0.0).unsqueeze(1), (radius + reach).unsqueeze(1)
        nodes, log_weights = _legendre(radius)
        half = (high - low) / 2.0
        return low + half * (1.0 + nodes), log_weights + torch.log(half)

    def _angles(self, reference: Tensor, block: Tensor) -> tuple[Tensor, Tensor]:
        """Angles (n_angles, H) about the reference's phase and the logarithms of their weights."""
        centric = self.centric[block]
        steps = torch.linspace(-1.0, 1.0, _N_ANGLES, dtype=torch.float64, device=reference.device).unsqueeze(1)
        number = torch.arange(_N_ANGLES, device=reference.device).unsqueeze(1)
        concentration = 2.0 * self._radius[block] * reference.detach() / self.error_variance[block]
        half = (_ANGLE_WIDTHS / torch.sqrt(concentration)).clamp(max=math.pi)
        angles = torch.where(centric, torch.where(number == 1, math.pi, 0.0), half * steps)
        # The ends of a full turn are one place, and get half a weight each; those of a part hold nothing.
        ends = torch.where(steps.abs() == 1.0, 0.5, 1.0)
        width = torch.log(2.0 * half / (_N_ANGLES - 1) * ends)
        both_signs = torch.where(number < 2, 0.0, -math.inf)
        return angles, torch.where(centric, both_signs, width)


def _hermite(like: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes in standard deviations and log weights of a plain integral, (n_nodes, 1) each."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_STRONG_NODES)
    return torch.from_numpy(nodes[:, None]).to(like), torch.from_numpy((np.log(weights) + nodes**2 / 2.0)[:, None]).to(
        like
    )


def _legendre(like: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes on [-1, 1] and log weights, (n_nodes, 1) each."""
    nodes, weights = np.polynomial.legendre.leggauss(_WEAK_NODES)
    return torch.from_numpy(nodes[:, None]).to(like), torch.from_numpy(np.log(weights)[:, None]).to(like)
