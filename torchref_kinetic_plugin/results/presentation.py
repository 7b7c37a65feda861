"""What a report shows beside estimates: the data, what is left of them, curves between delays, pictures of maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class DatasetSummary:
    """One dataset of the data table.

    Attributes
    ----------
    experiment, name, file : str
        Which.
    time_s : float or None
        Delay, s; None for a reference.
    n_reflections : int
        Within the limits.
    d_max, d_min : float
        Resolution, A.
    completeness : float
        Of the possible reflections between these limits.
    r_reference : float or None
        Sum of |F_ref - k F| over sum of F_ref, against the first reference; None for itself.
    difference_over_sigma : float or None
        Robust r.m.s. of the difference to the first reference over its sigma.
    remarks : tuple of str
        What was found on reading.
    """

    experiment: str
    name: str
    file: str
    time_s: float | None
    n_reflections: int
    d_max: float
    d_min: float
    completeness: float
    r_reference: float | None
    difference_over_sigma: float | None
    remarks: tuple[str, ...]


@final
@dataclass(frozen=True)
class ShellResidual:
    """What the model leaves of one dataset in one shell of resolution; work and free reflections together.

    Attributes
    ----------
    experiment, dataset : str
        Which; references among them.
    d_max, d_min : float
        The shell, A.
    n_reflections, n_differences : int
        Amplitudes, and differences to the reference, 0 for a reference.
    r : float or None
        Sum of |F_obs - F_calc| over sum of F_obs; None without reflections.
    difference : float or None
        R.m.s. of the observed difference to the reference, less the model's, over its standard deviation: 1 where
        errors of measurement are all that is left. None without differences.
    """

    experiment: str
    dataset: str
    d_max: float
    d_min: float
    n_reflections: int
    n_differences: int
    r: float | None
    difference: float | None


@final
@dataclass(frozen=True)
class OccupancyCurve:
    """Occupancy of one structure between the delays; one unbroken part of a curve.

    Attributes
    ----------
    experiment, structure : str
        Which.
    times_s : tuple of float
        (n,) delays as measured, s.
    occupancy : tuple of float
        (n,), in [0, 1].
    lower, upper : tuple of float
        (n,) ends of the 95 % interval, symmetric, so it may leave [0, 1]; empty when nothing was refined.
    """

    experiment: str
    structure: str
    times_s: tuple[float, ...]
    occupancy: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]


@final
@dataclass(frozen=True)
class MapView:
    """A picture of the observed and the model's difference map at a residue that moved.

    Attributes
    ----------
    file : str
        The picture, relative to the output directory.
    experiment, timepoint, structure, residue : str
        Whose map it is, and where.
    time_s : float
        Delay, s.
    occupancy : float
        Of the structure at the timepoint.
    rms_shift : float
        Displacement of the residue, r.m.s. over its atoms, A.
    level : float
        Of the first contour, e/A^3, in both maps.
    sigma : float
        The same in root-mean-square densities of the observed map.
    correlation : float
        Of the two maps within 2 A of the residue's atoms, in either structure.
    """

    file: str
    experiment: str
    timepoint: str
    structure: str
    residue: str
    time_s: float
    occupancy: float
    rms_shift: float
    level: float
    sigma: float
    correlation: float
