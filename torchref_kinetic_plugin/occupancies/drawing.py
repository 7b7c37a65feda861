"""Where the rate constants of models may start: over what their delays can observe."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter
from torchref_kinetic_plugin.kinetics.starts import observable_window, starting_rates
from torchref_kinetic_plugin.occupancies.experiment_tables import geometric_mean
from torchref_kinetic_plugin.occupancies.kinetic import occupancies_kinetics


@final
@dataclass(frozen=True, eq=False)
class DrawnLevel:
    """A refined rate constant, once however many transitions and experiments are in proportion to it.

    Attributes
    ----------
    parameter : ScalarParameter
        It.
    suggested : float
        Value at which the delays can observe it.
    slowest, fastest : float
        Values whose time constants are the longest and the shortest delay.
    """

    parameter: ScalarParameter
    suggested: float
    slowest: float
    fastest: float

    def at(self, share: float) -> float:
        """Value at a share, in [0, 1], of the way from the fastest to the slowest, in ln."""
        return self.fastest * math.exp(share * math.log(self.slowest / self.fastest))


def drawn_levels(models: Iterable[occupancies_kinetics]) -> list[DrawnLevel]:
    """Every refined rate constant with the range over which it may be drawn.

    Raises
    ------
    TimeError
        For one that no experiment with a finite delay shows.
    """
    found: dict[int, ScalarParameter] = {}
    values: dict[int, list[tuple[float, float, float]]] = {}
    blind: dict[int, NDArray[np.float64]] = {}
    for model in models:
        network = model.kinetics.network
        refined = {name: p for name, p in network.rate_parameters().items() if not p.frozen}
        if not refined:
            continue
        found.update({id(p): p for p in refined.values()})
        delays = (model.time - model.kinetics.time_zero.number).cpu().numpy()
        if not bool((np.isfinite(delays) & (delays > 0.0)).any()):
            blind.update({id(p): delays for p in refined.values()})
            continue
        first, last = observable_window(delays)
        suggested = starting_rates(model.scheme, delays)
        for name, parameter in refined.items():
            scale = network.proportion(name)
            values.setdefault(id(parameter), []).append(
                (suggested[name] / scale, 1.0 / (last * scale), 1.0 / (first * scale))
            )
    for key, delays in blind.items():
        if key not in values:
            # It says what is missing.
            observable_window(delays)
    return [
        DrawnLevel(
            parameter,
            geometric_mean([each[0] for each in values[key]]),
            min(each[1] for each in values[key]),
            max(each[2] for each in values[key]),
        )
        for key, parameter in found.items()
    ]
