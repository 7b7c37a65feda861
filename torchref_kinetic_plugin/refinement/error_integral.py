"""The integral over the common error, in polar coordinates about the reference's phase.

    L = log integral p(z - rho) exp(-misfit(r, phi) / 2) d^2 z,   z = r exp(i phi),

with a misfit that is a quartic in r for each angle. Angles lie on a trapezoid over what the data allow, and on a finer
one where the integrand is sharp; centric reflections have both signs. Radii are Gauss-Hermite nodes
about the most likely one where datasets are alike and strong, else Gauss-Legendre nodes about each maximum. The
derivatives of L in all that it depends on are posterior means of monomials of r, cos phi and sin phi, which the same
nodes give; so nothing is kept for a backward pass.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from torchref_kinetic_plugin.refinement.error_angles import numbers_of_angles, sharpness_on, trapezoid
from torchref_kinetic_plugin.refinement.quartic import Quartic, hermite_nodes, legendre_nodes

#: Names of the sums over datasets: of w, w x, w y, w x^2, w x y, w y^2, w q, w x q, w y q, w q^2.
STATISTICS = ("w", "x", "y", "xx", "xy", "yy", "q", "xq", "yq", "qq")
_W, _XX, _YY, _Q = (STATISTICS.index(name) for name in ("w", "xx", "yy", "q"))

#: Angles that look for where the integrand is, over how many widths of the prior, or over a full turn where the data
#: pull beyond; then those of the integral.
_SEARCH_ANGLES = 11
_ANGLE_WIDTHS = 8.0
_N_ANGLES = 15
#: Sharpness of the integrand on the angles (see `sharpness_on`) above which there were too few (a trapezoid over a
#: normal curve with a step of h standard deviations, curvature h^2, is wrong by 2 exp(-2 pi^2 / h^2)), and how many
#: then serve, one after the other until they are enough.
_SHARP = 1.6
_CLOSE_SEARCH = 61
_MORE_ANGLES = (25, 61, 121)
#: Logarithm below its largest value at which the integrand is left out, and at which it may end where a search ends.
_NEGLIGIBLE = 18.0
_BARELY = 10.0
#: Nodes about the most likely radius of datasets that are alike; nodes and widths to either side of it in others, and
#: nodes about the likely radii of centric reflections, for which they are all there is.
_HERMITE_NODES = 7
_LEGENDRE_NODES = 24
_CENTRIC_NODES = 40
_WIDTHS = 7.0
#: Total amplitude over its error above which, and differences of structure factors to the first, r.m.s. in units of the
#: amplitude, below which datasets are alike: there is one maximum, far from zero. Where differences are too many errors
#: of the amplitude large, the most likely radius changes with the angle by more than a parabola knows.
_STRONG = 12.0
_ALIKE = 0.1
_MANY_ERRORS = 20.0
#: Numbers of one array of a block of reflections: bounds memory.
_BLOCK_NUMBERS = 600_000
#: The same on a device that works on many at once.
_FAR_BLOCK_NUMBERS = 20_000_000


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
        value, sharpness = torch.empty_like(reference), torch.zeros_like(reference)
        slopes = sums.new_empty(12, len(reference))
        typical, information = _typical_radius(sums)
        strong = typical * torch.sqrt(information) > _STRONG
        largest = sums[_W] * torch.minimum(_ALIKE**2 * typical**2, _MANY_ERRORS**2 / information.clamp(min=1e-300))
        alike = strong & (sums[_XX] + sums[_YY] < largest) & ~centric
        half = (_ANGLE_WIDTHS / torch.sqrt(precision * typical * reference)).clamp(max=math.pi)

        def integrate(chosen: Tensor, n_search: int, n_angles: int, alike: bool) -> None:
            nodes = n_angles * (_HERMITE_NODES if alike else _LEGENDRE_NODES)
            for rows in _parts(chosen, nodes):
                block = _Block(
                    sums[:, rows], reference[rows], precision[rows], typical[rows], information[rows], alike=alike
                )
                found = block.integral(half[rows], n_search, n_angles)
                for kept, new in zip((value, slopes, sharpness), found, strict=True):
                    kept[..., rows] = (
                        new if isinstance(rows, Tensor) else torch.where(chosen[rows], new, kept[..., rows])
                    )

        integrate(centric, 0, 4, False)
        integrate(alike, _SEARCH_ANGLES, _N_ANGLES, True)
        integrate(~alike & ~centric, _SEARCH_ANGLES, _N_ANGLES, False)
        # Where the angles were too far apart, or looked in the wrong place, the search is closer; there may be two
        # places apart.
        for n_angles in _MORE_ANGLES:
            half = torch.where((sharpness == math.inf) | (half > math.pi / 2.0), math.pi, half)
            sharp = sharpness > _SHARP
            for kind in (True, False):
                integrate(sharp & (alike == kind), _CLOSE_SEARCH, n_angles, kind)
        ctx.save_for_backward(slopes, precision, variance)
        return value

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        slopes, precision, variance = ctx.saved_tensors
        slopes = slopes * gradient
        return slopes[:10], slopes[10], -slopes[11] * precision / variance, None


def _parts(chosen: Tensor, nodes: int) -> Iterable[Tensor | slice]:
    """Numbers of the chosen reflections in blocks; or all reflections, of which only the chosen ones are to be kept.

    How many are chosen is known to their device alone. A processor is asked at no cost; another device would have to
    be waited for four times in every evaluation, while nodes that are not needed cost it little.
    """
    if not _is_far(chosen.device):
        rows = torch.nonzero(chosen).flatten()
        return torch.split(rows, max(1, _BLOCK_NUMBERS // nodes)) if len(rows) else ()
    length, count = max(1, _FAR_BLOCK_NUMBERS // nodes), len(chosen)
    return (slice(first, min(first + length, count)) for first in range(0, count, length))


def _is_far(device: torch.device) -> bool:
    """Whether the device has to be waited for."""
    return device.type != "cpu"


def _typical_radius(sums: Tensor) -> tuple[Tensor, Tensor]:
    """Radius (H,) that the intensities suggest, and the inverse of its variance."""
    w, q = sums[_W], sums[_Q]
    safe = torch.where(w > 0.0, w, 1.0)
    # The weighted mean intensity, not below half its own error.
    radius = torch.sqrt(torch.maximum(q / safe, torch.rsqrt(safe) / 2.0))
    return radius, 4.0 * w * radius**2


class _Block:
    """Reflections of one kind: sums (10, h), the reference's amplitude, the prior's precision, and the typical radius.

    Those whose datasets are alike have one likely radius at every angle, far from zero.
    """

    def __init__(
        self, sums: Tensor, reference: Tensor, precision: Tensor, typical: Tensor, information: Tensor, *, alike: bool
    ) -> None:
        self.sums = dict(zip(STATISTICS, sums, strict=True))
        self.reference, self.precision = reference, precision
        self.typical, self.information = typical, information
        self.alike = alike

    def integral(self, half: Tensor, n_search: int, n_angles: int) -> tuple[Tensor, Tensor, Tensor]:
        """Value (h,), derivatives (12, h) in the sums, reference and precision, and the sharpness (h,) on the angles.

        The sharpness is infinite where the integrand reaches further from the reference's phase than half (h,).
        Without angles that search for where the integrand is, reflections are centric; then there are four "angles":
        the outer and the inner likely radius of either sign.
        """
        s, reference, precision = self.sums, self.reference, self.precision
        centric = n_search == 0
        if centric:
            cosine = torch.where(numbers_of_angles(reference.device) < 2, 1.0, -1.0).to(reference)
            sine = log_width = torch.zeros_like(cosine)
        else:
            low, high, beyond = self._angular_range(half, n_search)
            angle, log_width = trapezoid(low, high, n_angles)
            cosine, sine = torch.cos(angle), torch.sin(angle)
        quartic = self._quartic(cosine, sine)
        if self.alike:
            x, powers, weights = hermite_nodes(_HERMITE_NODES, reference.device)
            centre, curvature = self._single_maximum(quartic)
            spread = torch.rsqrt(curvature)
            # There is no radius below zero, and angles that bring a node there are all but excluded by the data.
            log_width = torch.where(centre > -x[0] * spread, log_width, -math.inf)
        else:
            x, powers, weights = legendre_nodes(_CENTRIC_NODES if centric else _LEGENDRE_NODES, reference.device)
            low, high = self._both_maxima(quartic) if centric else self._largest_maximum(quartic)
            centre, spread = (low + high) / 2.0, (high - low) / 2.0
        exponent = torch.mm(powers[:, :5], torch.stack(quartic.about(centre, spread)).flatten(1))
        exponent = exponent.view(len(x), *centre.shape) + (log_width + torch.log(spread))
        top = exponent.amax((0, 1))
        share = torch.exp(exponent - top)
        moments = torch.mm(powers.T * weights, share.flatten(1)).view(6, *centre.shape)
        # The area element of polar coordinates is one power of r more.
        at_angle, m1, m2, m3, m4 = _moments_of_radius(moments, centre, spread)[0 if centric else 1 :][:5]
        total = at_angle.sum(0)
        sharpness = (
            torch.zeros_like(total) if centric else torch.where(beyond, math.inf, sharpness_on(at_angle / total))
        )
        m1, m2, m3, m4 = (m / total for m in (m1, m2, m3, m4))
        log_norm = torch.log(precision / (2.0 * math.pi))
        log_norm = 0.5 * log_norm if centric else log_norm
        value = top + torch.log(total) - 0.5 * (s["qq"] + precision * reference**2) + log_norm
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
        return value, slopes, sharpness

    def _quartic(self, cosine: Tensor, sine: Tensor) -> Quartic:
        """The exponent in the radius at each angle (n_angles, h), prior included."""
        s = self.sums
        c1 = -4.0 * (cosine * s["xq"] + sine * s["yq"]) - 2.0 * self.precision * self.reference * cosine
        squares = cosine**2 * s["xx"] + 2.0 * cosine * sine * s["xy"] + sine**2 * s["yy"]
        c2 = 4.0 * squares - 2.0 * s["q"] + self.precision
        c3 = 4.0 * (cosine * s["x"] + sine * s["y"])
        # Without any observation only the prior is left, a parabola; a trace of c4 makes no difference to it.
        return Quartic(c1, c2, c3, torch.maximum(s["w"], 1e-12 * self.precision / self.typical**2).expand_as(c3))

    def _angular_range(self, half: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Lowest and highest angle (h,) about the reference's phase at which the integrand is not negligible.

        Sought at so many angles up to half (h,) to either side; last, whether it reaches beyond.
        """
        angles, _ = trapezoid(-half, half, count)
        profile = self._profile(torch.cos(angles), torch.sin(angles))
        top = profile.max(0).values
        inside = profile > top - _NEGLIGIBLE
        before, after = (each.to(torch.int8).argmax(0) for each in (inside, inside.flip(0)))
        step = 2.0 * half / (count - 1)
        # One step more to either side: there the integrand falls below.
        low, high = step * (before - 1).clamp(min=0) - half, half - step * (after - 1).clamp(min=0)
        return low, high, (half < math.pi) & (torch.maximum(profile[0], profile[-1]) > top - _BARELY)

    def _profile(self, cosine: Tensor, sine: Tensor) -> Tensor:
        """Logarithm of the integral over the radius (n_angles, h), about, but for a constant."""
        quartic = self._quartic(cosine, sine)
        if self.alike:
            # The parabola about the typical radius tells where there is anything.
            slope = quartic.slope(self.typical)
            return quartic.value(self.typical) + 0.5 * slope**2 / self._curvature(quartic, self.typical)
        radius, curvature = self._single_maximum(quartic)
        return quartic.value(radius) + torch.log(radius) - 0.5 * torch.log(curvature)

    def _single_maximum(self, quartic: Quartic) -> tuple[Tensor, Tensor]:
        """Most likely radius at each angle, and the curvature there, (n_angles, h) each."""
        least = 1e-3 * self.typical
        if self.alike:
            radius = self.typical
        else:
            low, _, high = quartic.extrema()
            low, high = torch.maximum(low, least), torch.maximum(high, least)
            radius = torch.where(quartic.value(low) > quartic.value(high), low, high)
        # Newton's steps find one maximum near the typical radius, or take away what the formulas lost to rounding.
        for _ in range(2 if self.alike else 1):
            curvature = self._curvature(quartic, radius)
            radius = torch.maximum(radius + quartic.slope(radius) / curvature, least)
        return radius, curvature

    def _curvature(self, quartic: Quartic, radius: Tensor) -> Tensor:
        return torch.maximum(quartic.curvature(radius), 0.05 * (self.precision + self.information))

    def _reach(self, curvature: Tensor) -> Tensor:
        """Distance from a maximum at which the integrand is negligible."""
        # Near zero the curvature says little of the width; that of the prior and the intensities bounds it.
        return _WIDTHS * torch.maximum(torch.rsqrt(curvature), torch.rsqrt(self.precision + self.information))

    def _largest_maximum(self, quartic: Quartic) -> tuple[Tensor, Tensor]:
        """Lowest and highest radius (n_angles, h) about the most likely one."""
        radius, curvature = self._single_maximum(quartic)
        reach = self._reach(curvature)
        return (radius - reach).clamp(min=0.0), radius + reach

    def _both_maxima(self, quartic: Quartic) -> tuple[Tensor, Tensor]:
        """The same (4, h) for the outer and the inner maximum of either sign, parted at the minimum between them."""
        inner, between, outer = (each.clamp(min=0.0) for each in quartic.extrema())
        near, far = (self._reach(self._curvature(quartic, radius)) for radius in (inner, outer))
        low = torch.maximum(outer - far, between)
        # One maximum is both, and all of the line is the outer one's.
        low = torch.where(inner == outer, (outer - far).clamp(min=0.0), low)
        below, above = (inner - near).clamp(min=0.0), torch.minimum(inner + near, between)
        above = torch.where(inner == outer, below, above).maximum(below)
        is_outer = numbers_of_angles(low.device) % 2 == 0
        return torch.where(is_outer, low, below), torch.where(is_outer, outer + far, above)


def _moments_of_radius(moments: Tensor, centre: Tensor, spread: Tensor) -> list[Tensor]:
    """Sums of powers 0 to 5 of ``centre + spread x`` from those (6, n_angles, h) of x."""
    rows = list(moments)
    result = [rows[0]]
    while len(rows) > 1:
        # Times the radius: each sum of r^m x^k leads to that of r^(m + 1) x^k.
        rows = [centre * low + spread * high for low, high in itertools.pairwise(rows)]
        result.append(rows[0])
    return result
