"""Covariances from curvatures, and what of a spectrum is rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def rounding_of(spectrum: NDArray[np.floating[Any]]) -> float:
    """Size of an eigenvalue that may as well be rounding; ``spectrum`` (n,) is in ascending order."""
    return len(spectrum) * float(np.finfo(float).eps) * max(float(spectrum[-1]), 0.0) if len(spectrum) else 0.0


def covariance_of(hessian: Floats, floor: float) -> Floats:
    """Inverse of a Hessian; the variance of what has a curvature below ``floor`` is infinite."""
    known = np.diag(hessian) > floor
    covariance = np.diag(np.where(known, 0.0, np.inf))
    part = hessian[np.ix_(known, known)]
    scale = np.sqrt(np.diag(part))
    values, vectors = np.linalg.eigh(part / np.outer(scale, scale))
    if values.size and values[0] <= rounding_of(values):
        # Only combinations are determined; which ones is a question for the identifiability analysis.
        return np.diag(np.full(len(hessian), np.inf))
    covariance[np.ix_(known, known)] = (vectors / values) @ vectors.T / np.outer(scale, scale)
    return covariance
