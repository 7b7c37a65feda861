"""How well amplitudes of a model agree with those measured: R factors and correlations of differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from torch import Tensor

from torchref_kinetic_plugin.bridge import fit_scales_to_model
from torchref_kinetic_plugin.refinement.experiment import ExperimentModel, Flags, Floats


@final
@dataclass(frozen=True)
class Agreement:
    """Of one dataset.

    Attributes
    ----------
    dataset : str
        Its name.
    n_work, n_free : int
        Reflections it has.
    r_work, r_free : float
        Sum of |F_obs - F_calc| over sum of F_obs; NaN without reflections.
    cc_diff_work, cc_diff_free : float
        Correlation of the observed difference to the reference with the model's; NaN for references.
    """

    dataset: str
    n_work: int
    n_free: int
    r_work: float
    r_free: float
    cc_diff_work: float
    cc_diff_free: float


@final
@dataclass(frozen=True, eq=False)
class ScaledAmplitudes:
    """Amplitudes on the model's scale, electrons.

    Attributes
    ----------
    observed, sigmas : ndarray
        (n, H), NaN where missing.
    calculated : ndarray
        (n, H).
    """

    observed: Floats
    sigmas: Floats
    calculated: Floats


def agreements(model: ExperimentModel, occupancies: Tensor) -> list[Agreement]:
    """Agreement of each dataset, references first, at occupancies (K, N) of the timepoints.

    Differences of a timepoint are to the weighted mean of the references, on reflections that both have.
    """
    grid, first = model.data.grid, model.data.n_references
    scaled = scaled_amplitudes(model, occupancies)
    observed, calculated = scaled.observed, scaled.calculated
    reference = weighted_mean(observed[:first], scaled.sigmas[:first]) if first else None
    result = []
    for row, name in enumerate(model.data.datasets):
        seen = grid.mask[row]
        work, free = seen & ~grid.free, seen & grid.free
        cc_work = cc_free = math.nan
        if reference is not None and row >= first:
            both = np.isfinite(reference)
            pair = observed[row] - reference, calculated[row] - calculated[0]
            cc_work, cc_free = (correlation(*pair, chosen & both) for chosen in (work, free))
        result.append(
            Agreement(
                name,
                int(work.sum()),
                int(free.sum()),
                _r_factor(observed[row], calculated[row], work),
                _r_factor(observed[row], calculated[row], free),
                cc_work,
                cc_free,
            )
        )
    return result


def scaled_amplitudes(
    model: ExperimentModel, occupancies: Tensor, rows: Sequence[int] | None = None
) -> ScaledAmplitudes:
    """Amplitudes of some datasets, by default all, put on the model's scale by least squares on the work reflections.

    At occupancies (K, N) of the timepoints; each dataset is scaled by itself.
    """
    chosen = list(range(len(model.data.datasets))) if rows is None else list(rows)
    calculated = model.calculated_amplitudes(occupancies)[0][chosen]
    grid = model.data.grid
    amplitude, sigma = grid.amplitude[chosen], grid.sigma[chosen]
    factors = fit_scales_to_model(
        amplitude,
        sigma,
        calculated,
        grid.hkl,
        model.data.crystal,
        use=~grid.free,
        names=[model.data.datasets[row] for row in chosen],
        max_residual=math.inf,
    ).values(grid.hkl)
    return ScaledAmplitudes(amplitude / factors, sigma / factors, calculated)


def differences(model: ExperimentModel, occupancies: Tensor, row: int) -> tuple[Floats, Floats]:
    """Observed and calculated differences (n,) of a timepoint's amplitudes to the references, as of `agreements`.

    On all reflections, work and free, that the dataset in ``row`` shares with a reference; none without references.
    """
    first = model.data.n_references
    if not first:
        return np.zeros(0), np.zeros(0)
    scaled = scaled_amplitudes(model, occupancies, [*range(first), row])
    observed = scaled.observed[-1] - weighted_mean(scaled.observed[:-1], scaled.sigmas[:-1])
    both = np.isfinite(observed)
    return observed[both], (scaled.calculated[-1] - scaled.calculated[0])[both]


def weighted_mean(values: Floats, sigmas: Floats) -> Floats:
    """Mean (H,) of several measurements (n, H), weighted by their inverse variances; NaN where there is none."""
    seen = np.isfinite(values)
    weights = np.where(seen, np.where(seen, sigmas, 1.0) ** -2.0, 0.0)
    total = weights.sum(axis=0)
    mean: Floats = np.divide(
        (weights * np.where(seen, values, 0.0)).sum(axis=0), total, out=np.full(total.shape, np.nan), where=total > 0.0
    )
    return mean


def _r_factor(observed: Floats, calculated: Floats, chosen: Flags) -> float:
    total = float(observed[chosen].sum())
    return float(np.abs(observed - calculated)[chosen].sum()) / total if total else math.nan


def correlation(first: Floats, second: Floats, chosen: Flags) -> float:
    """Correlation of two rows (H,) on the reflections chosen; NaN where it has no meaning."""
    if chosen.sum() < 3 or np.ptp(first[chosen]) == 0.0 or np.ptp(second[chosen]) == 0.0:
        return math.nan
    return float(np.corrcoef(first[chosen], second[chosen])[0, 1])
