"""Rows of a result: parameters, occupancies, agreement, history, shifts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

#: Kinds that may be negative or zero: their errors and intervals are of the value, not of its logarithm.
SIGNED_KINDS = frozenset(
    {
        "activation_energy",
        "activation_enthalpy",
        "activation_entropy",
        "activation_gibbs_energy",
        "reaction_enthalpy",
        "reaction_entropy",
    }
)
#: What stands in place of an experiment's name for what all share.
ALL_EXPERIMENTS = "all"


@final
@dataclass(frozen=True)
class Estimate:
    """One parameter of a provider.

    Attributes
    ----------
    experiment : str
        Whose it is; ``"all"`` for what all experiments share.
    kind : str
        ``rate_constant``, ``second_order_rate_constant``, ``equilibrium_constant``, ``efficiency``, ``activation``,
        ``saturation_energy``, ``response``, one of `SIGNED_KINDS`, or ``parameter`` of another provider.
    name : str
        A transition, as ``"A->B"``, a pair, as ``"A<->B"``, or the parameter's own name.
    value : float
        In ``unit``.
    unit : str
        Rate constants are per second, times in seconds, energies in kJ/mol; fractions have none.
    std_error_ln : float or None
        Standard error of ln(value); None when it was not refined and for `SIGNED_KINDS`, infinite when the data do not
        determine it.
    lower, upper : float or None
        95 % interval; None when it was not refined.
    start : float
        Where the refinement began.
    std_error : float or None
        Standard error of the value, in its unit; None when it was not refined.
    """

    experiment: str
    kind: str
    name: str
    value: float
    unit: str
    std_error_ln: float | None
    lower: float | None
    upper: float | None
    start: float
    std_error: float | None = None

    @property
    def refined(self) -> bool:
        """Whether it was refined."""
        return self.std_error_ln is not None or self.std_error is not None


@final
@dataclass(frozen=True)
class OccupancyEstimate:
    """Occupancy of one structure at one timepoint.

    Attributes
    ----------
    experiment, timepoint, structure : str
        Which.
    time_s : float
        Delay, s.
    occupancy : float
        In [0, 1].
    lower, upper : float or None
        95 % interval, symmetric, so it may leave [0, 1]; None when nothing was refined.
    """

    experiment: str
    timepoint: str
    time_s: float
    structure: str
    occupancy: float
    lower: float | None
    upper: float | None


@final
@dataclass(frozen=True)
class DatasetStatistics:
    """Agreement of one dataset with the model at the end of a cycle.

    Attributes
    ----------
    experiment, dataset : str
        Which; references among them.
    cycle : int
        0 is before the refinement.
    n_work, n_free : int
        Reflections.
    r_work, r_free : float
        R factors.
    cc_diff_work, cc_diff_free : float or None
        Correlation of Fobs(t) - Fobs(reference) with the model's difference; None for references.
    """

    experiment: str
    dataset: str
    cycle: int
    n_work: int
    n_free: int
    r_work: float
    r_free: float
    cc_diff_work: float | None
    cc_diff_free: float | None


@final
@dataclass(frozen=True)
class FitStep:
    """One step of the fit: minus the log-likelihood of the work reflections plus the regularization, and its parts.

    ``halvings`` says how often the step made things worse and was undone and halved.
    """

    number: int
    objective: float
    log_likelihood_work: float
    log_likelihood_free: float
    regularization: float
    halvings: int = 0


@final
@dataclass(frozen=True)
class CycleSummary:
    """One macro-cycle of structures and kinetics.

    Attributes
    ----------
    number : int
        From 1.
    terms : mapping
        Terms of the objective after the joint step; ``data`` is minus the log-likelihood.
    gain : float
        What the joint step gained.
    log_likelihood_work, log_likelihood_validation, log_likelihood_free : float
        At the end of the cycle; work without validation.
    shift : float
        R.m.s. shift of the atoms that move, A.
    parameters : mapping
        Rate constants, yields and what else the provider has, by experiment, kind and name, after the cycle.
    n_undone : int
        Trials of the joint step that led where the objective is no number; each was undone and shortened.
    """

    number: int
    terms: Mapping[str, float]
    gain: float
    log_likelihood_work: float
    log_likelihood_validation: float
    log_likelihood_free: float
    shift: float
    parameters: Mapping[str, float]
    n_undone: int = 0


@final
@dataclass(frozen=True)
class ResidueShift:
    """How far a residue of an intermediate lies from the reference.

    Attributes
    ----------
    structure, residue : str
        Which.
    n_atoms : int
        Atoms compared, without hydrogens.
    rms, maximum : float
        Displacement, A.
    furthest : str
        The atom that moved furthest.
    std_error : float
        Standard error of an atom's position along one axis, r.m.s. over the atoms, A; NaN where it was not refined.
    experiment : str
        The one that its crystal form is named after.
    """

    structure: str
    residue: str
    n_atoms: int
    rms: float
    maximum: float
    furthest: str
    std_error: float
    experiment: str = ""


@final
@dataclass(frozen=True)
class GeometrySummary:
    """Deviations of a structure from ideal geometry, r.m.s.: bonds in A, angles in degrees, and how many there are.

    ``experiment`` is the one that its crystal form is named after.
    """

    structure: str
    n_bonds: int
    rms_bonds: float
    n_angles: int
    rms_angles: float
    experiment: str = ""
