"""Whether the rates that ``[kinetics]`` gives fit each other: their order, their bounds."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from torchref_kinetic_plugin.errors import ParameterError
from torchref_kinetic_plugin.plugins.kinetics_values import number_of
from torchref_kinetic_plugin.scheme.amounts import is_second_order

#: Place in the section to transition to rates as the user wrote them.
RateTables = Mapping[str, Mapping[str, Sequence[str]]]


def require_orders(tables: RateTables, second_order: Collection[str]) -> None:
    """Second-order rates where, and only where, pseudo_first_order asks for them.

    Raises
    ------
    ParameterError
        Naming the place, the transition and the rate.
    """
    for where, table in tables.items():
        for name, rates in table.items():
            for rate in rates:
                if is_second_order(rate) and name not in second_order:
                    raise ParameterError(
                        f"{where} of {name} = {rate!r} is of second order; name the transition in pseudo_first_order"
                    )
                if name in second_order and not is_second_order(rate) and not math.isinf(number_of(rate)):
                    raise ParameterError(
                        f"{where} of {name} = {rate!r}: with pseudo_first_order it is per concentration and time, e.g. "
                        "'2e5 /(M s)'"
                    )


def require_within_bounds(tables: RateTables, bounds: Mapping[str, Sequence[str]]) -> None:
    """Bounds with the lower one first, and rates between them.

    Raises
    ------
    ParameterError
        Naming the transition, the rate and the bounds as the user wrote them.
    """
    for name, (lower, upper) in bounds.items():
        if not number_of(lower) < number_of(upper):
            raise ParameterError(f"bounds of {name} are {lower!r} to {upper!r}; the lower one comes first")
        for where, table in tables.items():
            for rate in table.get(name, ()):
                if not number_of(lower) < number_of(rate) < number_of(upper):
                    raise ParameterError(
                        f"{where} of {name} = {rate!r}: its bounds are {lower!r} to {upper!r}, both excluded"
                    )
