"""Starting rate constants from what a series of delays can observe."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.errors import TimeError
from torchref_kinetic_plugin.scheme import Scheme

#: Ratio by which parallel exits of one state start apart, so that their products differ.
_SIBLING_RATIO = 2.0
#: Decades given to a window of a single delay.
_SINGLE_DELAY_DECADES = 1.0


def observable_window(delays: NDArray[np.float64]) -> tuple[float, float]:
    """Shortest and longest time constant that a series can see.

    Parameters
    ----------
    delays : ndarray
        Delays after the trigger (n_times,), in any unit, any order; infinite ones are ignored.

    Returns
    -------
    tuple of float
        First and last finite delay after the trigger; a decade around it when there is only one.

    Raises
    ------
    TimeError
        Without any finite delay after the trigger.
    """
    seen = delays[np.isfinite(delays) & (delays > 0.0)]
    if not seen.size:
        raise TimeError(
            "no finite delay after the trigger, so the times do not suggest starting rates; give rate_constants"
        )
    first, last = float(seen.min()), float(seen.max())
    if last == first:
        half = 10.0 ** (_SINGLE_DELAY_DECADES / 2.0)
        return first / half, last * half
    return first, last


def starting_rates(scheme: Scheme, delays: NDArray[np.float64]) -> dict[str, float]:
    """Starting rate constants of all finite transitions.

    Every time constant lies inside the observable window. The window's decades are divided evenly among
    the distances from the initial state, nearest first; parallel exits of a state start a factor of up
    to two apart.

    Parameters
    ----------
    scheme : Scheme
        The mechanism.
    delays : ndarray
        Delays after the trigger (n_times,).

    Returns
    -------
    dict
        Rate constant of each finite transition, in the inverse unit of the delays.
    """
    first, last = observable_window(delays)
    depth = {step.name: scheme.depths[step.source] for step in scheme.finite_steps}
    ranks = {value: rank for rank, value in enumerate(sorted(set(depth.values())))}
    slot = math.log(last / first) / max(len(ranks), 1)
    rates = {}
    for step in scheme.finite_steps:
        siblings = [other.name for other in scheme.finite_steps if other.source == step.source]
        centre = math.log(first) + (ranks[depth[step.name]] + 0.5) * slot
        # Siblings never leave the state's own part of the window.
        apart = min(math.log(_SIBLING_RATIO), slot / len(siblings))
        offset = (siblings.index(step.name) - (len(siblings) - 1) / 2.0) * apart
        rates[step.name] = math.exp(-(centre + offset))
    return rates
