"""What the numbers of a refinement are worth, as plain typed values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class ExpectedError:
    """What an experiment as planned would tell of one refined parameter, at its starting value.

    ``std_error`` is of the value in its unit, ``std_error_ln`` of its logarithm (None where it may be negative); both
    infinite where the data would not determine it.
    """

    experiment: str
    kind: str
    name: str
    value: float
    unit: str
    std_error: float
    std_error_ln: float | None


@final
@dataclass(frozen=True)
class Identifiability:
    """Before a fit: which parameters the data can determine.

    Attributes
    ----------
    expected : tuple of ExpectedError
        Of each refined parameter.
    spectrum : tuple of float
        Eigenvalues of the expected information about the parameters, largest first, each parameter in units of the
        error it would have if all others were known.
    weak : tuple of str
        Each direction that the data leave open, in words.
    """

    expected: tuple[ExpectedError, ...]
    spectrum: tuple[float, ...]
    weak: tuple[str, ...]


@final
@dataclass(frozen=True)
class Correlations:
    """After a fit: how the refined parameters depend on each other.

    Attributes
    ----------
    labels : tuple of str
        (n,) parameters, as ``"k(A->B)"``, with the experiment's name where there are several.
    matrix : tuple of tuple of float
        (n, n), correlations.
    std_errors, sandwich : tuple of float
        (n,) standard errors of ln k, of the logit of fractions, of the value of energies: from the curvature of the
        likelihood, and from curvature and scatter of the scores (sandwich), which holds also where the likelihood's own
        assumptions do not.
    """

    labels: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]
    std_errors: tuple[float, ...]
    sandwich: tuple[float, ...]


@final
@dataclass(frozen=True)
class ProfilePoint:
    """One point of a profile: the parameter's value in its unit, and the log-likelihood lost there.

    The loss is that with the error model held, times the share of the variance that remains then.
    """

    value: float
    drop: float


@final
@dataclass(frozen=True)
class Profile:
    """Profile likelihood of one parameter, the others refined anew at each point.

    Attributes
    ----------
    experiment, kind, name, unit : str
        Which, as of `Estimate`.
    value : float
        The best.
    points : tuple of ProfilePoint
        In the order of their values, the best among them.
    lower, upper : float or None
        95 % interval, where the profile has fallen by 1.92; None on a side where it does not fall so far.
    remarks : tuple of str
        Where it stays flat, or another parameter reaches an end of its range, in words.
    """

    experiment: str
    kind: str
    name: str
    unit: str
    value: float
    points: tuple[ProfilePoint, ...]
    lower: float | None
    upper: float | None
    remarks: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class BootstrapEstimate:
    """What resampled or simulated data say of one parameter.

    Attributes
    ----------
    experiment, kind, name, unit : str
        Which, as of `Estimate`.
    value : float
        From the data themselves.
    values : tuple of float
        From each resampling.
    lower, upper : float
        95 % percentile interval.
    std_error_ln : float or None
        Standard deviation of the logarithm; None where a value may be negative.
    """

    experiment: str
    kind: str
    name: str
    unit: str
    value: float
    values: tuple[float, ...]
    lower: float
    upper: float
    std_error_ln: float | None


@final
@dataclass(frozen=True)
class LeftOut:
    """A timepoint predicted by all others.

    Attributes
    ----------
    experiment, timepoint : str
        Which.
    n_reflections : int
        Differences to the reference that were predicted.
    cc_left_out, cc_included : float
        Correlation of the observed differences with those predicted without the timepoint, and with those of the
        refinement that has it.
    log_likelihood : float
        Of the timepoint's data given all others, at what the others say.
    """

    experiment: str
    timepoint: str
    n_reflections: int
    cc_left_out: float
    cc_included: float
    log_likelihood: float


@final
@dataclass(frozen=True)
class FreeOccupancy:
    """Occupancy of one structure at one timepoint, no scheme behind it, with its standard error."""

    experiment: str
    timepoint: str
    structure: str
    occupancy: float
    std_error: float


@final
@dataclass(frozen=True)
class SchemeTest:
    """Whether a timepoint speaks against the scheme.

    Score test (Rao, 1948) of the hypothesis that its occupancies are the scheme's, the scheme's parameters and the
    scales eliminated: ``statistic`` is chi-square with ``freedom`` degrees of freedom if they are.
    """

    experiment: str
    timepoint: str
    statistic: float
    freedom: int
    p_value: float


@final
@dataclass(frozen=True)
class NullTest:
    """A reference given as a timepoint: what is excited in it, which should be nothing, with its standard error."""

    experiment: str
    dataset: str
    excited: float
    std_error: float


@final
@dataclass(frozen=True)
class Validation:
    """What nobody can tune to; each part empty where it was not asked for or cannot be had."""

    left_out: tuple[LeftOut, ...] = ()
    free_occupancies: tuple[FreeOccupancy, ...] = ()
    scheme_tests: tuple[SchemeTest, ...] = ()
    null_tests: tuple[NullTest, ...] = ()
