"""The likelihood of all datasets of a reflection, with the model error they share integrated out.

Every structure lacks the same waters and the same loop at every delay: one complex error E adds to the structure
factors of all datasets. It turns the phase along which a difference is seen, so that a likelihood without it finds
differences, and with them yields, about a tenth too small; counted as independent noise it would hide them.
Here it is neither: E is normal with a variance known from the free reflections, and

    p(I_1 ... I_T) = integral over E of p(E) product_t N(I_t; k_t^2 |G_t + E|^2, sigma_t^2)

is evaluated for every reflection. With z = G_1 + E = r exp(i phi), phi counted from the phase of G_1, the exponent is
a polynomial of fourth degree in r whose coefficients are sums over the datasets (see `statistics`); the integral
itself (see `error_integral`) therefore costs the same for 4 datasets and for 1,000.

Measurements enter as intensities, whose errors are normal also where they are weak or negative.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import final

import torch
from torch import Tensor

from torchref_kinetic_plugin.errors import ParameterError, ShapeError
from torchref_kinetic_plugin.refinement.error_integral import STATISTICS, log_integral
from torchref_kinetic_plugin.refinement.streamed_sums import MANY, streamed_sums


@final
@dataclass(frozen=True)
class Scores:
    """Derivatives of the log-likelihood of each reflection, all by one backward pass.

    Attributes
    ----------
    log_likelihood : Tensor
        (H,).
    mixture : Tensor
        (T, H) complex, d/d Re + i d/d Im of the mixture.
    log_scale : Tensor
        (T, H).
    log_inflation : Tensor
        (T, H).
    log_error_variance : Tensor
        (H,).
    """

    log_likelihood: Tensor
    mixture: Tensor
    log_scale: Tensor
    log_inflation: Tensor
    log_error_variance: Tensor

    @classmethod
    def joined(cls, parts: Iterable[Scores]) -> Scores:
        """Those of several blocks of reflections as those of all of them."""
        each = list(parts)
        if len(each) == 1:
            return each[0]
        return cls(*(torch.cat([getattr(part, of.name) for part in each], dim=-1) for of in fields(cls)))


def require_sigmas(intensities: Tensor, sigmas: Tensor) -> None:
    """Refuse a sigma (T, H) that is not above 0, of what was measured.

    Raises
    ------
    ParameterError
        When there is one.
    """
    present = torch.isfinite(intensities) & torch.isfinite(sigmas)
    if not bool((sigmas[present] > 0.0).all()):
        raise ParameterError("a sigma is not above 0")


@final
class CommonErrorLikelihood:
    """Likelihood of the intensities of T datasets on H reflections.

    Parameters
    ----------
    intensities, sigmas : Tensor
        (T, H) float64, as measured; NaN where a dataset lacks a reflection, which then counts in the others only.
    centric : Tensor
        (H,) bool; there E lies along the line of the structure factor.
    sigmas_checked : bool
        Whether it is known that they are above 0: a device would have to be waited for to ask.

    Raises
    ------
    ShapeError
        When shapes disagree.
    ParameterError
        For a sigma that is not above 0.
    """

    def __init__(self, intensities: Tensor, sigmas: Tensor, centric: Tensor, *, sigmas_checked: bool = False) -> None:
        if intensities.dim() != 2 or intensities.shape != sigmas.shape:
            raise ShapeError(f"intensities {tuple(intensities.shape)} and sigmas {tuple(sigmas.shape)} are not (T, H)")
        if centric.shape != intensities.shape[1:]:
            raise ShapeError(f"centric must have the {intensities.shape[1]} reflections of the intensities")
        self.present = torch.isfinite(intensities) & torch.isfinite(sigmas)
        if not sigmas_checked:
            require_sigmas(intensities, sigmas)
        self.intensities = torch.where(self.present, intensities, 0.0)
        self.weights = torch.where(self.present, sigmas**-2.0, 0.0)
        self.centric = centric
        log_sigma = torch.where(self.present, torch.log(sigmas) + 0.5 * math.log(2.0 * math.pi), 0.0)
        self._constant = log_sigma.sum(0)

    @property
    def shape(self) -> tuple[int, int]:
        """(T, H)."""
        return self.intensities.shape[0], self.intensities.shape[1]

    def __call__(
        self,
        mixture: Tensor,
        error_variance: Tensor,
        log_scale: Tensor | None = None,
        log_inflation: Tensor | None = None,
    ) -> Tensor:
        """Log-likelihood of each reflection.

        Parameters
        ----------
        mixture : Tensor
            (T, H) complex128, the model's structure factors of every dataset, with solvent, in electrons.
        error_variance : Tensor
            (H,), variance of the common error, ``<|E|^2>``, > 0, in electrons squared.
        log_scale : Tensor, optional
            (T, H), logarithm of k, which takes the amplitudes of the model to those measured.
        log_inflation : Tensor, optional
            (T, H), logarithm of the factor by which the sigmas are too small.

        Returns
        -------
        Tensor
            (H,), normalized; 0 for a reflection that no dataset has. Differentiable once in all arguments.

        Raises
        ------
        ShapeError
            When shapes disagree.
        ParameterError
            For a variance that is not above 0.
        """
        if mixture.shape != self.intensities.shape:
            raise ShapeError(f"mixture {tuple(mixture.shape)} is not {self.shape} = (T, H)")
        if error_variance.shape != self.centric.shape:
            raise ShapeError(f"error_variance must have the {self.shape[1]} reflections of the intensities")
        if not bool((error_variance > 0.0).all()):
            raise ParameterError("a variance of the common error is not above 0")
        return self.of_each(mixture, error_variance, log_scale, log_inflation)

    def of_each(
        self,
        mixture: Tensor,
        error_variance: Tensor,
        log_scale: Tensor | None = None,
        log_inflation: Tensor | None = None,
    ) -> Tensor:
        """The same, of arguments known to be right: asks nothing of the device that it would have to wait for."""
        intensities, weights, constant = self.intensities, self.weights, self._constant
        if log_inflation is not None:
            constant = constant + torch.where(self.present, log_inflation, 0.0).sum(0)
        if log_scale is not None and log_inflation is not None and mixture.numel() > MANY:
            sums, reference = streamed_sums(statistics, mixture, intensities, weights, log_scale, log_inflation)
            return log_integral(sums, reference, error_variance, self.centric) - constant
        if log_inflation is not None:
            weights = weights * torch.exp(-2.0 * log_inflation)
        if log_scale is not None:
            square = torch.exp(2.0 * log_scale)
            intensities = intensities / square
            weights = weights * square**2
        sums, reference = statistics(mixture, intensities, weights)
        return log_integral(sums, reference, error_variance, self.centric) - constant

    def scores(self, mixture: Tensor, error_variance: Tensor, log_scale: Tensor, log_inflation: Tensor) -> Scores:
        """Log-likelihood of each reflection and its derivatives in everything that it depends on.

        A reflection's likelihood depends on its own column of the arguments alone, so the gradient of the sum
        holds the derivatives of each. Arguments are as of a call.
        """
        inputs = [
            value.detach().clone().requires_grad_()
            for value in (mixture, torch.log(error_variance), log_scale, log_inflation)
        ]
        with torch.enable_grad():
            value = self.of_each(inputs[0], torch.exp(inputs[1]), inputs[2], inputs[3])
            by_mixture, by_variance, by_scale, by_inflation = torch.autograd.grad(value.sum(), inputs)
        return Scores(value.detach(), by_mixture, by_scale, by_inflation, by_variance)


def statistics(mixture: Tensor, intensities: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over the datasets on which the likelihood of a reflection depends.

    With d = x + i y, the difference of a dataset's structure factor to the first one's in the frame where that is
    real, and q = I - |d|^2, the misfit is

        sum_t w (I - |r e^(i phi) + d|^2)^2 = sum_t w (q - r^2 - 2 r (x cos phi + y sin phi))^2 .

    Parameters
    ----------
    mixture : Tensor
        (T, H) complex.
    intensities, weights : Tensor
        (T, H); on the scale of the mixture squared, and inverse variances, 0 where missing.

    Returns
    -------
    sums : Tensor
        (10, H), in the order of `error_integral.STATISTICS`.
    reference : Tensor
        (H,), |G_1|.
    """
    reference = mixture[0].abs()
    direction = mixture[0] / torch.where(reference > 0.0, reference, 1.0)
    direction = torch.where(reference > 0.0, direction, 1.0)
    turned = (mixture - mixture[0]) * direction.conj()
    x, y = turned.real.contiguous(), turned.imag.contiguous()
    q = torch.addcmul(torch.addcmul(intensities, x, x, value=-1.0), y, y, value=-1.0)
    wx, wy, wq = weights * x, weights * y, weights * q
    rows = {
        "w": weights,
        "x": wx,
        "y": wy,
        "xx": wx * x,
        "xy": wx * y,
        "yy": wy * y,
        "q": wq,
        "xq": wx * q,
        "yq": wy * q,
        "qq": wq * q,
    }
    return torch.stack([rows[name].sum(0) for name in STATISTICS]), reference
