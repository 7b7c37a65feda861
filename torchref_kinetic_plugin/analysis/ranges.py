"""Refined parameters on their way to an end of their range."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.kinetics.constraints import Between, Positive, Unit
from torchref_kinetic_plugin.kinetics.parameters import ScalarParameter
from torchref_kinetic_plugin.occupancies.second_order import SecondOrderFit
from torchref_kinetic_plugin.plugins.series import SeriesOccupancies
from torchref_kinetic_plugin.refinement.experiment import Floats

Flags = NDArray[np.bool_]

#: Logit beyond which a bounded number is at its end, and change of ln beyond which a positive one runs away.
_END, _RUN_AWAY = 9.0, 9.0


@final
class RefinedRanges:
    """Which refined parameter has reached an end of its range.

    Parameters
    ----------
    provider : SeriesOccupancies
        Whose scalar parameters are looked at.
    """

    def __init__(self, provider: SeriesOccupancies) -> None:
        modules = list(provider.modules_by_experiment)
        scalars = {
            id(module.raw): module
            for module in provider.modules()
            if isinstance(module, ScalarParameter) and not module.frozen
        }
        self._watched: list[tuple[int, ScalarParameter]] = []
        place = 0
        for parameter in SecondOrderFit(modules, []).parameters.values():
            if id(parameter) in scalars:
                self._watched.append((place, scalars[id(parameter)]))
            place += parameter.numel()

    def reached(self, raw: Floats, best: Floats, held: Flags) -> dict[int, str]:
        """What has reached an end at raw parameters (n_refined,) and had not at the best: its place, and that in words.

        Parameters
        ----------
        raw, best : ndarray
            (n_refined,).
        held : ndarray
            (n_refined,) bool, those on which the value that is held depends; nothing is said of them.
        """
        ends = {
            place: _end(parameter, float(raw[place]), float(best[place]))
            for place, parameter in self._watched
            if not held[place]
        }
        return {place: text for place, text in ends.items() if text}


def _end(parameter: ScalarParameter, raw: float, best: float) -> str:
    constraint, label = parameter.constraint, parameter.label
    if isinstance(constraint, Unit | Between):
        if abs(raw) < _END or abs(best) > _END:
            return ""
        lower, upper = (0.0, 1.0) if isinstance(constraint, Unit) else (constraint.lower, constraint.upper)
        return f"{label} reaches {lower if raw < 0.0 else upper:g}, the end of its range,"
    if isinstance(constraint, Positive) and abs(raw - best) > _RUN_AWAY:
        return f"{label} goes to {'0' if raw < best else 'infinity'}"
    return ""
