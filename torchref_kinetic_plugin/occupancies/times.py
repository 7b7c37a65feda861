"""Times and rates as a user may give them: numbers in one unit, or text with units of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from torchref_kinetic_plugin.errors import TimeError, UnitError
from torchref_kinetic_plugin.kinetics.parameters import as_number
from torchref_kinetic_plugin.scheme import parse_rate, parse_time, seconds_per

#: What users may pass as times.
Times = Sequence[float] | Sequence[str] | Tensor | Iterable[Any]


def times_tensor(time: Times, time_unit: str | None) -> Tensor:
    """Read times as a tensor.

    Parameters
    ----------
    time : sequence or tensor
        Numbers in ``time_unit``, or text such as ``"100 ns"`` where a ``time_unit`` is given. Any order;
        repeats, negative and infinite times are allowed.
    time_unit : str or None
        The unit of the result.

    Returns
    -------
    Tensor
        (n_times,), float64.

    Raises
    ------
    TimeError
        For no times, more than one dimension, or a time that is not a number.
    UnitError
        For text without a ``time_unit``, or text that cannot be read.
    """
    if isinstance(time, Tensor):
        times = time.detach().to(torch.float64).clone()
    elif isinstance(time, str):
        raise TimeError(f"times are a list, not the text {time!r}; write [{time!r}]")
    else:
        try:
            entries = list(time)
        except TypeError:
            raise TimeError(f"times are a list of numbers, not {time!r}") from None
        times = torch.tensor([_time_in(entry, time_unit) for entry in entries], dtype=torch.float64)
    if times.dim() != 1:
        raise TimeError(f"times are one list of numbers; a shape of {tuple(times.shape)} was given")
    if not times.numel():
        raise TimeError("there is no timepoint; give at least one time")
    bad = torch.nonzero(torch.isnan(times)).flatten().tolist()
    if bad:
        raise TimeError(f"time {bad[0] + 1} of {times.numel()} is not a number (NaN)")
    return times


def _time_in(entry: Any, time_unit: str | None) -> float:
    if not isinstance(entry, str):
        try:
            return as_number(entry, "a time")
        except ValueError as error:
            raise TimeError(str(error)) from None
    if time_unit is None:
        raise UnitError(f"the time {entry!r} is text; give time_unit, the unit in which to count, e.g. 'ns'")
    return parse_time(entry) / seconds_per(time_unit)


def rate_in(value: Any, time_unit: str | None, transition: str) -> float:
    """Read a rate constant: a number per time unit, ``inf``, or text such as ``"1/(500 ns)"``.

    Raises
    ------
    UnitError
        For text without a ``time_unit`` (``"inf"`` needs none), or text that cannot be read.
    """
    if not isinstance(value, str):
        return as_number(value, f"rate constant of {transition}")
    per_second = parse_rate(value)
    if math.isinf(per_second):
        return per_second
    if time_unit is None:
        raise UnitError(
            f"the rate constant {value!r} of {transition} is text; give time_unit, the unit in which to count, "
            "e.g. 'ns'"
        )
    return per_second * seconds_per(time_unit)
