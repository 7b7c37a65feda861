"""The time axis of a pump-probe series: decades after the trigger, what came before it, and infinity."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from torchref_kinetic_plugin.plotting.style import GREY
from torchref_kinetic_plugin.scheme import format_time, seconds_per

Array = NDArray[np.float64]

#: Widths in decades of the margin beyond the outermost delays and of the gap at a break.
_MARGIN = 0.25
_GAP = 0.3
#: Share of the decades that the part before the trigger takes.
_BEFORE_SHARE = 0.14
_MOST_DECADE_LABELS = 10
_DENSE = 240


@dataclass(frozen=True)
class TimeAxis:
    """Places of delays on paper.

    On a logarithmic axis the places are log10 of the delay; delays before the trigger lie, linearly, on a
    panel of their own left of it, and the infinite delay right of it, both behind a break.

    Attributes
    ----------
    logarithmic : bool
        Whether delays after the trigger are drawn across decades.
    low, high : float
        Ends of the main part, in places (log10 of the delay, or the delay); NaN without a finite delay.
    earliest : float
        Earliest finite delay at or before the trigger; NaN without one, and on a linear axis.
    infinite : bool
        Whether an infinite delay is shown.
    """

    logarithmic: bool
    low: float
    high: float
    earliest: float
    infinite: bool

    @classmethod
    def of(cls, delays: Array, *, logarithmic: bool) -> TimeAxis:
        """Choose the axis that shows all delays (n,), of which none may be NaN."""
        finite = delays[np.isfinite(delays)]
        positive = finite[finite > 0.0]
        infinite = bool(np.isposinf(delays).any())
        if logarithmic and positive.size:
            low, high = math.log10(positive.min()), math.log10(positive.max())
            margin = _MARGIN if high > low else 2.0 * _MARGIN
            before = finite[finite <= 0.0]
            earliest = float(before.min()) if before.size else math.nan
            if bool(np.isneginf(delays).any()) and math.isnan(earliest):
                earliest = 0.0
            return cls(True, low - margin, high + margin, earliest, infinite)
        if not finite.size:
            return cls(False, math.nan, math.nan, math.nan, infinite)
        low, high = float(finite.min()), float(finite.max())
        margin = 0.04 * (high - low) if high > low else max(abs(low), 1.0) * 0.5
        return cls(False, low - margin, high + margin, math.nan, infinite)

    @property
    def boundless(self) -> bool:
        """Whether there is no finite delay, so that infinities are all there is to show."""
        return math.isnan(self.low)

    @property
    def _span(self) -> float:
        return self.high - self.low

    @property
    def _gap(self) -> float:
        return _GAP if self.logarithmic else 0.05 * self._span

    @property
    def _before(self) -> tuple[float, float]:
        """Ends of the part before the trigger, in places."""
        end = self.low - self._gap
        return end - max(_BEFORE_SHARE * self._span, 2.0 * _MARGIN), end

    @property
    def limits(self) -> tuple[float, float]:
        """Ends of the whole axis, in places."""
        if self.boundless:
            return -1.5, 1.5
        left = self._before[0] - self._gap / 2.0 if not math.isnan(self.earliest) else self.low
        return left, self.high + (2.5 * self._gap if self.infinite else 0.0)

    def place(self, delays: Array) -> Array:
        """Places of delays (n,)."""
        delays = np.asarray(delays, dtype=np.float64)
        places = np.empty_like(delays)
        for number, delay in enumerate(delays):
            places[number] = self._place(float(delay))
        return places

    def _place(self, delay: float) -> float:
        if self.boundless:
            return 0.0 if delay > 0.0 else -1.0
        if delay == math.inf:
            return self.high + 1.75 * self._gap
        if not self.logarithmic:
            return max(delay, self.low)
        if delay > 0.0:
            return math.log10(delay)
        start, end = self._before
        if delay == -math.inf:
            return start
        # The panel ends a little right of the trigger's own place, so that a point at 0 is not cut.
        return end - (end - start) * (0.2 + 0.8 * (delay / self.earliest if self.earliest else 0.0))

    def dense(self) -> tuple[Array, ...]:
        """Finite delays at which a smooth curve is drawn: one array for each unbroken part."""
        if self.boundless:
            return ()
        if not self.logarithmic:
            return (np.linspace(self.low, self.high, 2 * _DENSE),)
        after = np.logspace(self.low, self.high, 2 * _DENSE)
        if math.isnan(self.earliest):
            return (after,)
        return np.linspace(self.earliest, 0.0, _DENSE)[:-1], after

    def draw(self, axes: Axes, time_unit: str | None) -> None:
        """Set limits, ticks, labels and break marks."""
        axes.set_xlim(*self.limits)
        axes.set_xlabel("time after trigger")
        ticks, labels = self._ticks(time_unit)
        if self.logarithmic or self.infinite or self.boundless:
            axes.set_xticks(ticks, labels)
        elif time_unit is not None:
            axes.xaxis.set_major_formatter(FuncFormatter(lambda delay, _: _time_label(delay, time_unit)))
        if self.logarithmic:
            exponents = np.arange(math.floor(self.low), math.ceil(self.high) + 1)
            minor = (exponents[:, None] + np.log10(np.arange(2, 10))[None, :]).ravel()
            axes.set_xticks(minor[(minor > self.low) & (minor < self.high)], minor=True)
        if self.boundless:
            return
        breaks = [] if math.isnan(self.earliest) else [self.low - self._gap / 2.0]
        breaks += [self.high + self._gap / 2.0] if self.infinite else []
        left, right = self.limits
        for place in breaks:
            for edge in (-0.006, 0.006):
                x = (place - left) / (right - left) + edge
                axes.plot(
                    [x - 0.006, x + 0.006],
                    [-0.015, 0.015],
                    transform=axes.transAxes,
                    color=GREY,
                    linewidth=1.2,
                    clip_on=False,
                    zorder=10,
                )
            axes.axvline(place, color=GREY, linewidth=0.6, linestyle=(0, (1, 3)))

    def _ticks(self, time_unit: str | None) -> tuple[list[float], list[str]]:
        ticks: list[float] = []
        labels: list[str] = []
        if self.logarithmic:
            if not math.isnan(self.earliest):
                for delay in dict.fromkeys((self.earliest, 0.0)):
                    ticks.append(self._place(delay))
                    labels.append(_time_label(delay, time_unit))
            first, last = math.ceil(self.low), math.floor(self.high)
            every = max(1, math.ceil((last - first + 1) / _MOST_DECADE_LABELS))
            for exponent in range(first, last + 1, every):
                ticks.append(float(exponent))
                labels.append(_decade_label(exponent, time_unit))
        elif self.infinite and not self.boundless:
            span = np.linspace(self.low, self.high, 6)
            step = 10.0 ** math.floor(math.log10(span[1] - span[0]))
            ticks = [
                round(value / step) * step for value in span if self.low <= round(value / step) * step <= self.high
            ]
            labels = [_time_label(value, time_unit) for value in ticks]
        if self.infinite:
            ticks.append(self._place(math.inf))
            labels.append("∞")
        return ticks, labels


def _decade_label(exponent: int, time_unit: str | None) -> str:
    if time_unit is None:
        return f"{10.0**exponent:g}" if -3 <= exponent <= 3 else rf"$10^{{{exponent}}}$"
    return _time_label(10.0**exponent, time_unit)


def _time_label(delay: float, time_unit: str | None) -> str:
    if time_unit is None or delay == 0.0:
        return f"{delay:.3g}".replace("-", "−")
    number, unit = format_time(delay * seconds_per(time_unit)).split()
    return f"{float(number):g} {unit}".replace("-", "−").replace("us", "µs")
