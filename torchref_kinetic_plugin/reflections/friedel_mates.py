"""Friedel mates in one row to their mean."""

from __future__ import annotations

import numpy as np

from torchref_kinetic_plugin.reflections.asymmetric_unit import Flags, Floats


def mean_of_mates(values: Floats, sigmas: Floats, centric: Flags) -> tuple[Floats, Floats, int]:
    """Mean of Friedel mates with inverse-variance weights; one mate alone is taken as it is.

    The two mates of a centric reflection are one reflection: programs that write the same value and sigma twice
    have measured it once.

    Parameters
    ----------
    values, sigmas : ndarray
        (2, n), plus and minus; NaN where there is none, sigmas above zero elsewhere.
    centric : ndarray
        (n,) bool.

    Returns
    -------
    tuple
        Mean (n,), its sigma (n,), NaN where both mates are missing; and how many means were taken.
    """
    seen = np.isfinite(values) & np.isfinite(sigmas)
    repeated = centric & seen.all(axis=0) & (values[0] == values[1]) & (sigmas[0] == sigmas[1])
    seen[1] &= ~repeated
    # Of one mate, value and sigma stay as they were written, to the last digit.
    mean = np.where(seen[0], values[0], np.where(seen[1], values[1], np.nan))
    error = np.where(seen[0], sigmas[0], np.where(seen[1], sigmas[1], np.nan))
    both = seen.all(axis=0)
    plus, minus = sigmas[:, both] ** -2.0
    mean[both] += (values[1, both] - values[0, both]) * minus / (plus + minus)
    error[both] = (plus + minus) ** -0.5
    return mean, error, int(both.sum())
