"""The integral over the common error, in polar coordinates about the reference's phase.

    L = log integral p(z - rho) exp(-misfit(r, phi) / 2) d^2 z,   z = r exp(i phi),

with a misfit that is a quartic in r for each angle. Angles lie on a trapezoid over what the data allow, both signs for
centric reflections; radii are Gauss-Hermite nodes about the most likely one, or Gauss-Legendre nodes from zero where a
reflection is weak. The derivatives of L in all that it depends on are posterior means of monomials of r, cos phi and
sin phi, which the same nodes give; so nothing is kept for a backward pass.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

#: Names of the sums over datasets: of w, w x, w y, w x^2, w x y, w y^2, w q, w x q, w y q, w q^2.
STATISTICS = ("w", "x", "y", "xx", "xy", "yy", "q", "xq", "yq", "qq")

#: Angles that look for where the integrand is, over how many widths of the prior; then those of the integral.
_SEARCH_ANGLES = (25,)
_ANGLE_WIDTHS = 8.0
_N_ANGLES = 21
#: Logarithm below its largest value at which the integrand is left out.
_NEGLIGIBLE = 18.0
#: Nodes about the most likely radius, and nodes and widths where the radius may be zero.
_STRONG_NODES = 7
_WEAK_NODES = 24
_WEAK_WIDTHS = 7.0
#: Total amplitude over its error above which a reflection is strong.
_STRONG = 12.0
#: Numbers of one array of a block of reflections: bounds memory.
_BLOCK_NUMBERS = 120_000


def log_integral(sums: Tensor, reference: Tensor, variance: Tensor, centric: Tensor) -> Tensor:
    """Logarithm of the integral for each reflection.

    Parameters
    ----------
    sums : Tensor
        (10, H) float64, in the order of `STATISTICS`.
    reference : Tensor
        (H,), amplitude of the first dataset's structure factor, rho.
    variance : Tensor
        (H,), ``<|E|^2>``.
    centric : Tensor
        (H,) bool.

    Returns
    -------
    Tensor
        (H,); differentiable once in the first three.
    """
    result: Tensor = _LogIntegral.apply(sums, reference, variance, centric)  # type: ignore[no-untyped-call]
    return result


class _LogIntegral(torch.autograd.Function):
    """Computes the derivatives along with the value, since they are means over the same nodes."""

    @staticmethod
    def forward(ctx: Any, sums: Tensor, reference: Tensor, variance: Tensor, centric: Tensor) -> Tensor:
        # E of a centric reflection has all its variance along one line, of another half of it along each axis.
        precision = torch.where(centric, 1.0, 2.0) / variance
        value = torch.empty_like(reference)
        slopes = sums.new_empty(12, len(reference))
        radius, information = _typical_radius(sums)
        strong = radius * torch.sqrt(information) > _STRONG
        for is_centric, is_strong in itertools.product((False, True), repeat=2):
            chosen = torch.nonzero((centric == is_centric) & (strong == is_strong)).flatten()
            nodes = (2 if is_centric else _N_ANGLES) * (_STRONG_NODES if is_strong else _WEAK_NODES)
            step = max(1, _BLOCK_NUMBERS // nodes)
            for block in (chosen[i : i + step] for i in range(0, len(chosen), step)):
                value[block], slopes[:, block] = _block(
                    sums[:, block],
                    reference[block],
                    precision[block],
                    radius[block],
                    information[block],
                    is_centric,
                    is_strong,
                )
        ctx.save_for_backward(slopes, precision, variance)
        return value

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        slopes, precision, variance = ctx.saved_tensors
        slopes = slopes * gradient
        return slopes[:10], slopes[10], -slopes[11] * precision / variance, None


def _typical_radius(sums: Tensor) -> tuple[Tensor, Tensor]:
    """Radius (H,) that the intensities suggest, and the inverse of its variance."""
    w, q = sums[0], sums[STATISTICS.index("q")]
    safe = torch.where(w > 0.0, w, 1.0)
    # The weighted mean intensity, not below half its own error.
    radius = torch.sqrt(torch.maximum(q / safe, torch.rsqrt(safe) / 2.0))
    return radius, 4.0 * w * radius**2


def _block(
    sums: Tensor,
    reference: Tensor,
    precision: Tensor,
    typical: Tensor,
    information: Tensor,
    centric: bool,
    strong: bool,
) -> tuple[Tensor, Tensor]:
    """Value (h,) and derivatives (12, h): in the sums, the reference and the precision."""
    s = dict(zip(STATISTICS, sums, strict=True))
    if centric:
        cosine = torch.tensor([[1.0], [-1.0]], dtype=reference.dtype, device=reference.device)
        sine, log_width = torch.zeros_like(cosine), torch.zeros_like(cosine)
    else:
        low, high = _angular_range(s, reference, precision, typical, information)
        angles, log_width = _trapezoid(low, high, _N_ANGLES)
        cosine, sine = torch.cos(angles), torch.sin(angles)
    quartic = _quartic(s, reference, precision, cosine, sine)
    radius, curvature = _most_likely(quartic, typical, precision, information)
    nodes = _strong_nodes if strong else _weak_nodes
    r, log_weight = nodes(radius, curvature, precision, information)
    exponent = _exponent(quartic, r) + log_weight + log_width
    top = exponent.amax((0, 1))
    share = torch.exp(exponent - top)
    if not centric:
        # The area element of polar coordinates.
        share = share * r
    total = share.sum((0, 1))
    share = share / total
    log_norm = torch.log(precision / (2.0 * math.pi))
    log_norm = 0.5 * log_norm if centric else log_norm
    value = top + torch.log(total) - 0.5 * (s["qq"] + precision * reference**2) + log_norm
    # Means over radii first, (n_angles, h) each; then over angles.
    power = share * r
    m1 = power.sum(0)
    power = power * r
    m2 = power.sum(0)
    power = power * r
    m3 = power.sum(0)
    m4 = (power * r).sum(0)
    first, second = (cosine * m1).sum(0), m2.sum(0)
    slopes = torch.stack(
        [
            -0.5 * m4.sum(0),
            -2.0 * (cosine * m3).sum(0),
            -2.0 * (sine * m3).sum(0),
            -2.0 * (cosine**2 * m2).sum(0),
            -4.0 * (cosine * sine * m2).sum(0),
            -2.0 * (sine**2 * m2).sum(0),
            second,
            2.0 * first,
            2.0 * (sine * m1).sum(0),
            torch.full_like(first, -0.5),
            precision * (first - reference),
            -0.5 * (second - 2.0 * reference * first + reference**2) + (0.5 if centric else 1.0) / precision,
        ]
    )
    return value, slopes


def _quartic(
    s: dict[str, Tensor], reference: Tensor, precision: Tensor, cosine: Tensor, sine: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Coefficients of the exponent -(c1 r + c2 r^2 + c3 r^3 + c4 r^4) / 2, (n_angles, h) each, prior included."""
    c1 = -4.0 * (cosine * s["xq"] + sine * s["yq"]) - 2.0 * precision * reference * cosine
    squares = cosine**2 * s["xx"] + 2.0 * cosine * sine * s["xy"] + sine**2 * s["yy"]
    c2 = 4.0 * squares - 2.0 * s["q"] + precision
    c3 = 4.0 * (cosine * s["x"] + sine * s["y"])
    return c1, c2, c3, s["w"].expand_as(c3)


def _angular_range(
    s: dict[str, Tensor], reference: Tensor, precision: Tensor, typical: Tensor, information: Tensor
) -> tuple[Tensor, Tensor]:
    """Lowest and highest angle (h,) about the reference's phase at which the integrand is not negligible."""
    half = (_ANGLE_WIDTHS / torch.sqrt(precision * typical * reference)).clamp(max=math.pi)
    low, high = -half, half
    for count in _SEARCH_ANGLES:
        angles, _ = _trapezoid(low, high, count)
        quartic = _quartic(s, reference, precision, torch.cos(angles), torch.sin(angles))
        radius, curvature = _most_likely(quartic, typical, precision, information)
        profile = _exponent(quartic, radius) + torch.log(radius) - 0.5 * torch.log(curvature)
        inside = profile > profile.max(0).values - _NEGLIGIBLE
        first = inside.to(torch.int8).argmax(0)
        last = count - 1 - inside.flip(0).to(torch.int8).argmax(0)
        step = (high - low) / (count - 1)
        # One step more to either side: there the integrand falls below.
        low, high = low + step * (first - 1).clamp(min=0), low + step * (last + 1).clamp(max=count - 1)
    return low, high


def _trapezoid(low: Tensor, high: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Angles (count, h) and the logarithms of their weights; right also for a full turn, whose ends are one place."""
    steps = torch.linspace(0.0, 1.0, count, dtype=low.dtype, device=low.device).unsqueeze(1)
    ends = torch.where((steps == 0.0) | (steps == 1.0), 0.5, 1.0)
    return low + (high - low) * steps, torch.log((high - low) / (count - 1) * ends)


def _most_likely(
    quartic: tuple[Tensor, Tensor, Tensor, Tensor], typical: Tensor, precision: Tensor, information: Tensor
) -> tuple[Tensor, Tensor]:
    """Most likely radius at each angle, and the curvature there, (n_angles, h) each.

    The exponent's derivative is a cubic: its outer roots are the maxima of the exponent, by Cardano's formulas.
    """
    c1, c2, c3, c4 = quartic
    # Without any observation only the prior is left, a parabola; a trace of c4 makes no difference to it.
    leading = torch.maximum(c4, 1e-12 * precision / typical**2)
    shift = c3 / (4.0 * leading)
    b, c = c2 / (2.0 * leading), c1 / (4.0 * leading)
    p = b - 3.0 * shift**2
    half_q = shift**3 - 0.5 * b * shift + 0.5 * c
    discriminant = half_q**2 + (p / 3.0) ** 3
    outer = torch.pow(half_q.abs() + torch.sqrt(discriminant.clamp(min=0.0)), 1.0 / 3.0).clamp(min=1e-150)
    outer = torch.where(half_q > 0.0, -outer, outer)
    single = outer - p / (3.0 * outer)
    size = torch.sqrt((-p / 3.0).clamp(min=0.0))
    third = torch.acos((-half_q / size.clamp(min=1e-100) ** 3).clamp(-1.0, 1.0)) / 3.0
    largest = 2.0 * size * torch.cos(third)
    smallest = 2.0 * size * torch.cos(third - 4.0 * math.pi / 3.0)
    alone, least = discriminant > 0.0, 1e-3 * typical
    high = torch.maximum(torch.where(alone, single, largest) - shift, least)
    low = torch.maximum(torch.where(alone, single, smallest) - shift, least)
    radius = torch.where(_exponent(quartic, low) > _exponent(quartic, high), low, high)
    # A step of Newton's takes away what the formulas lost to rounding.
    expected = 0.5 * (precision + information)
    slope = -0.5 * (c1 + radius * (2.0 * c2 + radius * (3.0 * c3 + radius * 4.0 * c4)))
    curvature = torch.maximum(c2 + radius * (3.0 * c3 + radius * 6.0 * c4), 0.1 * expected)
    return torch.maximum(radius + slope / curvature, least), curvature


def _exponent(quartic: tuple[Tensor, Tensor, Tensor, Tensor], radius: Tensor) -> Tensor:
    c1, c2, c3, c4 = quartic
    return -0.5 * radius * (c1 + radius * (c2 + radius * (c3 + radius * c4)))


def _strong_nodes(radius: Tensor, curvature: Tensor, precision: Tensor, information: Tensor) -> tuple[Tensor, Tensor]:
    """Radii (n_nodes, n_angles, h) and the logarithms of their weights, where a radius of zero is excluded."""
    del precision, information
    nodes, weights = np.polynomial.hermite_e.hermegauss(_STRONG_NODES)
    spread = torch.rsqrt(curvature)
    radii = radius + spread * _column(nodes, radius)
    log_weight = _column(np.log(weights) + nodes**2 / 2.0, radius) + torch.log(spread)
    # There is no radius below zero; at angles that the data all but exclude, a node may fall there.
    return radii.clamp(min=1e-300), torch.where(radii > 0.0, log_weight, -math.inf)


def _weak_nodes(radius: Tensor, curvature: Tensor, precision: Tensor, information: Tensor) -> tuple[Tensor, Tensor]:
    """As `_strong_nodes`, from a radius of zero."""
    # Near zero the curvature says little of the width; that of the prior and the intensities bounds it.
    reach = _WEAK_WIDTHS * torch.maximum(torch.rsqrt(curvature), torch.rsqrt(precision + information))
    low, high = (radius - reach).clamp(min=0.0), radius + reach
    nodes, weights = np.polynomial.legendre.leggauss(_WEAK_NODES)
    half = (high - low) / 2.0
    return low + half * (1.0 + _column(nodes, radius)), _column(np.log(weights), radius) + torch.log(half)


def _column(values: Any, like: Tensor) -> Tensor:
    return torch.as_tensor(np.asarray(values)[:, None, None], dtype=like.dtype, device=like.device)
