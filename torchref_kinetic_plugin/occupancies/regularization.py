"""The regularization table: which priors a model's rates and efficiencies carry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchref_kinetic_plugin.errors import ParameterError, TimeError, UnknownNameError
from torchref_kinetic_plugin.kinetics.parameters import as_number
from torchref_kinetic_plugin.kinetics.priors import BetaPrior, LogNormalPrior
from torchref_kinetic_plugin.kinetics.starts import observable_window
from torchref_kinetic_plugin.scheme import Scheme

#: Keys of the table and their defaults; a weight of 0 is off, a mean of None follows the time range.
DEFAULTS: dict[str, float | None] = {
    "rate_prior_weight": 0.0,
    "rate_prior_mean": None,
    "rate_prior_std": 2.0,
    "efficiency_prior_weight": 0.0,
}


class Regularization:
    """Priors of all transitions, read from a user's table.

    Each key of `DEFAULTS` takes a number, or a table from transition to number with ``default`` for
    the others.

    Parameters
    ----------
    scheme : Scheme
        The mechanism.
    delays : ndarray
        Delays after the trigger, from which the default mean of ln k comes: minus the mean of the
        logarithms of the first and the last.
    table : mapping or None
        The user's table.

    Raises
    ------
    UnknownNameError
        For an unknown key or transition.
    ParameterError
        For a negative weight, a standard deviation that is not above 0, or a prior on an ``inf`` rate.
    """

    def __init__(self, scheme: Scheme, delays: NDArray[np.float64], table: Mapping[str, Any] | None) -> None:
        self.table: dict[str, Any] = {} if table is None else dict(table)
        self._scheme = scheme
        for key in self.table:
            if key not in DEFAULTS:
                raise UnknownNameError("key", key, DEFAULTS, "regularization")
        self._values = {key: self._read(key) for key in DEFAULTS}
        means = self._values["rate_prior_mean"]
        for name, weight in self._values["rate_prior_weight"].items():
            if weight and means[name] is None and name not in scheme.impulsive:
                means[name] = _default_mean(delays)
        # What followed from the times is written down, so that a saved model finds the same priors again.
        resolved = {name: mean for name, mean in means.items() if mean is not None}
        if resolved:
            self.table["rate_prior_mean"] = resolved

    def _read(self, key: str) -> dict[str, float | None]:
        given = self.table.get(key, DEFAULTS[key])
        table = dict(given) if isinstance(given, Mapping) else {"default": given}
        default = table.pop("default", DEFAULTS[key])
        self._scheme.require_transitions(table, f"regularization {key}")
        if key.startswith("rate"):
            for name in table:
                if name in self._scheme.impulsive:
                    raise ParameterError(
                        f"regularization {key} names {name}, whose rate is inf; it has no rate constant to restrain"
                    )
        return {name: _checked(key, table.get(name, default), name) for name in self._scheme.transitions}

    def rate_prior(self, name: str) -> LogNormalPrior | None:
        """Prior on the rate constant of a transition, or None where it is off."""
        weight = self._values["rate_prior_weight"][name]
        std = self._values["rate_prior_std"][name]
        if not weight or std is None or name in self._scheme.impulsive:
            return None
        mean = self._values["rate_prior_mean"][name]
        assert mean is not None
        return LogNormalPrior(weight, mean, std)

    def efficiency_priors(self) -> dict[str, BetaPrior]:
        """Prior on the efficiency of each transition that has one."""
        weights = self._values["efficiency_prior_weight"]
        return {name: BetaPrior(weight) for name, weight in weights.items() if weight}


def _default_mean(delays: NDArray[np.float64]) -> float:
    try:
        first, last = observable_window(delays)
    except TimeError:
        raise ParameterError(
            "rate_prior_mean cannot follow from the times, none of which is after the trigger; give it"
        ) from None
    return -(math.log(first) + math.log(last)) / 2.0


def _checked(key: str, value: Any, name: str) -> float | None:
    if value is None and DEFAULTS[key] is None:
        return None
    number = as_number(value, f"regularization {key} of {name}")
    if not math.isfinite(number):
        raise ParameterError(f"regularization {key} = {number:g} for {name}: it must be finite")
    if key.endswith("weight") and number < 0.0:
        raise ParameterError(f"regularization {key} = {number:g} for {name}: it must be 0 (off) or above")
    if key.endswith("std") and number <= 0.0:
        raise ParameterError(f"regularization {key} = {number:g} for {name}: it must be above 0")
    return number
