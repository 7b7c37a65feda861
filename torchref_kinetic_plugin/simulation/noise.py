"""How uncertain each intensity is: a formula, or the sigmas of a real measurement."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import gemmi
import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.errors import FileError, ParameterError
from torchref_kinetic_plugin.simulation.structure_factors import Reals, Reflections

_SHELLS = 10
#: Neighbours on each side, in the order of relative intensity, that a sigma is drawn from.
_REACH = 5
#: Fewest reflections a measurement needs for shells with a mean and neighbours that are alike.
_FEWEST = 50 * _SHELLS
#: Relative slack of the resolution range, for rounding of cells.
_EDGE = 0.02


class NoiseModel(ABC):
    """Standard deviation of each intensity; the noise itself is Gaussian with that deviation."""

    @abstractmethod
    def sigma(self, intensity: Reals, reflections: Reflections, rng: np.random.Generator) -> Reals:
        """Standard deviations (n,) of true intensities (n,), in their unit."""

    @abstractmethod
    def description(self) -> dict[str, object]:
        """What to write down, so that the series can be made again."""


@final
@dataclass(frozen=True)
class IntensityNoise(NoiseModel):
    """``sigma_I^2 = (proportional I)^2 + counting <I> I + (background <I>)^2``.

    ``<I>`` is the mean intensity of the dataset, so that the constant part makes I/sigma fall with resolution.

    Attributes
    ----------
    proportional : float
        Part that grows with the intensity: scaling, crystal, detector.
    counting : float
        Poisson part.
    background : float
        Constant part.
    """

    proportional: float = 0.04
    counting: float = 0.001
    background: float = 0.02

    def __post_init__(self) -> None:
        for name, value in (
            ("proportional", self.proportional),
            ("counting", self.counting),
            ("background", self.background),
        ):
            if not (math.isfinite(value) and value >= 0.0):
                raise ParameterError(f"noise {name} = {value!r}: a number from 0 up is wanted")
        if self.background == 0.0:
            # Without it an intensity of zero would have sigma zero, which no program can weight.
            raise ParameterError("noise background = 0: a positive number is wanted")

    def sigma(self, intensity: Reals, reflections: Reflections, rng: np.random.Generator) -> Reals:  # noqa: ARG002
        """Standard deviations (n,) by the formula; nothing random."""
        mean = float(np.mean(intensity))
        variance = (
            (self.proportional * intensity) ** 2 + self.counting * mean * intensity + (self.background * mean) ** 2
        )
        return np.asarray(np.sqrt(variance), dtype=np.float64)

    def description(self) -> dict[str, object]:
        """Give the three parts by name."""
        return {
            "model": "intensity",
            "proportional": self.proportional,
            "counting": self.counting,
            "background": self.background,
        }


@final
@dataclass(frozen=True)
class MeasuredNoise(NoiseModel):
    """Sigmas of a real MTZ, taken over by resolution and relative intensity.

    The measured reflections are sorted into ten shells of equal numbers. A simulated reflection takes
    ``sigma_I / <I>``, with <I> the mean of the shell, of a random one among the eleven measured in its shell
    that come closest in relative intensity ``I / <I>``.

    Attributes
    ----------
    path : str or path
        MTZ with amplitudes (types F, Q) or intensities (types J, Q). For amplitudes, ``sigma_I = 2 F sigma_F``.
    columns : tuple of str, optional
        Labels of the values and their sigmas; by default the first of the types above, intensities first.
    """

    path: str | os.PathLike[str]
    columns: tuple[str, str] | None = None
    _table: _SigmaTable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_table", _SigmaTable.read(Path(self.path), self.columns))

    def sigma(self, intensity: Reals, reflections: Reflections, rng: np.random.Generator) -> Reals:
        """Standard deviations (n,) of random measured reflections alike in resolution and intensity.

        Raises
        ------
        ParameterError
            For reflections outside the measurement's resolution range: nothing is extrapolated.
        """
        return self._table.sigma(intensity, reflections, rng)

    def description(self) -> dict[str, object]:
        """Give the file's name and columns."""
        return {"model": "measured", "file": Path(self.path).name, "columns": list(self._table.columns)}


@dataclass(frozen=True)
class _SigmaTable:
    """Relative sigmas of a measurement: by shell, in the order of relative intensity."""

    columns: tuple[str, str]
    shell_edges: Reals
    relative: list[Reals]
    donors: list[Reals]

    @classmethod
    def read(cls, path: Path, columns: tuple[str, str] | None) -> _SigmaTable:
        try:
            mtz = gemmi.read_mtz_file(str(path))
        except (OSError, RuntimeError) as error:
            raise FileError(f"cannot read the MTZ {str(path)!r}: {error}") from error
        value, sigma = _find_columns(mtz, path) if columns is None else columns
        for label in (value, sigma):
            if mtz.column_with_label(label) is None:
                raise FileError(f"{str(path)!r} has no column {label!r}; it has {', '.join(mtz.column_labels())}")
        found = mtz.column_with_label(value)
        assert found is not None
        values = np.asarray(mtz.column_with_label(value), dtype=np.float64)
        sigmas = np.asarray(mtz.column_with_label(sigma), dtype=np.float64)
        s_squared = np.asarray(mtz.make_1_d2_array(), dtype=np.float64)
        if found.type in ("F", "G"):
            values, sigmas = values**2, 2.0 * np.abs(values) * sigmas
        usable = np.isfinite(values) & np.isfinite(sigmas) & (sigmas > 0.0)
        if int(usable.sum()) < _FEWEST:
            raise FileError(
                f"{str(path)!r} has {int(usable.sum())} reflections with a value and a sigma; at least "
                f"{_FEWEST} are needed to take its sigmas over"
            )
        return cls.build((value, sigma), values[usable], sigmas[usable], s_squared[usable])

    @classmethod
    def build(cls, columns: tuple[str, str], values: Reals, sigmas: Reals, s_squared: Reals) -> _SigmaTable:
        edges = np.asarray(np.quantile(s_squared, np.linspace(0.0, 1.0, _SHELLS + 1)), dtype=np.float64)
        shell = _places(s_squared, edges)
        relative: list[Reals] = []
        donors: list[Reals] = []
        for number in range(_SHELLS):
            inside = np.flatnonzero(shell == number)
            mean = float(np.mean(values[inside]))
            if mean <= 0.0:
                raise FileError("a resolution shell of the measurement has a mean intensity of zero or below")
            inside = inside[np.argsort(values[inside], kind="stable")]
            relative.append(values[inside] / mean)
            donors.append(sigmas[inside] / mean)
        return cls(columns, edges, relative, donors)

    def sigma(self, intensity: Reals, reflections: Reflections, rng: np.random.Generator) -> Reals:
        s_squared = reflections.s_squared
        low, high = self.shell_edges[0], self.shell_edges[-1]
        if s_squared.max() > high * (1.0 + _EDGE):
            raise ParameterError(
                f"the series reaches {s_squared.max() ** -0.5:.2f} A, the measurement that gives its sigmas "
                f"only {high**-0.5:.2f} A; raise d_min"
            )
        if s_squared.min() < low * (1.0 - _EDGE):
            raise ParameterError(
                f"the series starts at {s_squared.min() ** -0.5:.1f} A, the measurement that gives its sigmas "
                f"at {low**-0.5:.1f} A; set d_max"
            )
        sigma = np.empty(len(intensity))
        shell = _places(s_squared, self.shell_edges)
        for number in np.unique(shell):
            inside = np.flatnonzero(shell == number)
            mean = float(np.mean(intensity[inside]))
            place = np.searchsorted(self.relative[number], intensity[inside] / mean)
            place = place + rng.integers(-_REACH, _REACH, size=len(inside), endpoint=True)
            # Beyond the strongest measured reflection, the strongest ones are the most alike.
            place = np.clip(place, 0, len(self.donors[number]) - 1)
            sigma[inside] = mean * self.donors[number][place]
        return sigma


def _places(values: Reals, edges: Reals) -> NDArray[np.int64]:
    """Number of the interval each value lies in; those beyond the ends belong to the end intervals."""
    return np.asarray(np.searchsorted(edges[1:-1], values, side="right"), dtype=np.int64)


def _find_columns(mtz: gemmi.Mtz, path: Path) -> tuple[str, str]:
    """First intensities, else first amplitudes, that a column of sigmas follows."""
    for wanted in ("J", "F"):
        for column, following in zip(mtz.columns, list(mtz.columns)[1:], strict=False):
            if column.type == wanted and following.type == "Q":
                return column.label, following.label
    raise FileError(
        f"{str(path)!r} has neither intensities nor amplitudes followed by their sigmas; it has "
        + ", ".join(f"{column.label} ({column.type})" for column in mtz.columns)
    )
