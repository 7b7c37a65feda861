"""Combinations of parameters that data leave open, in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from torchref_kinetic_plugin.analysis.limits import undetermined
from torchref_kinetic_plugin.analysis.quantities import OCCUPANCY, Quantity
from torchref_kinetic_plugin.refinement.experiment import Floats
from torchref_kinetic_plugin.refinement.uncertainty import half_inverse, standard_errors

#: Eigenvalue of the information scaled to unit diagonal below which a direction is weak. That of two parameters is 1
#: less their correlation: at 0.95 each has three times the error that it would have if the other were known.
WEAK = 0.05
#: Share of a direction, as the square of its component, from which a parameter belongs to it.
_MEMBER = 0.1
#: Ratio of the changes of two logarithms along a direction up to which they trade one for one.
_ONE_FOR_ONE = 1.5


def weak_directions(
    quantities: Sequence[Quantity],
    data: Floats,
    whole: Floats,
    why_unseen: Callable[[Quantity], str | None],
) -> list[str]:
    """One sentence for each direction in the space of some independent quantities that is weak.

    Parameters
    ----------
    quantities : sequence of Quantity
        (m,) independent ones.
    data, whole : ndarray
        (m, m), information by the data alone, and with all priors.
    why_unseen : callable
        Reason from the scheme, if there is one, for a quantity that the data leave open.
    """
    open_with_priors = _undetermined(quantities, whole)
    own = np.diag(data)
    alone = np.where(own > 0.0, 1.0 / np.sqrt(np.maximum(own, 1e-300)), np.inf)
    blind = [undetermined(each, float(error)) for each, error in zip(quantities, alone, strict=True)]
    seen = [number for number, each in enumerate(blind) if not each]
    within = data[np.ix_(seen, seen)]
    ridges = [
        ridge
        for members, n_open in _groups(within)
        if not all(quantities[seen[number]].kind == OCCUPANCY for number in members)
        for ridge in [_ridge([quantities[n] for n in seen], members, n_open, within)]
    ]
    on_ridge = {seen[number] for ridge in ridges for number in ridge.members}
    open_by_data = _undetermined(quantities, data)
    found = []
    for ridge in ridges:
        mine = [seen[number] for number in ridge.members]
        saved = any(open_by_data[n] for n in mine) and not any(open_with_priors[n] for n in mine)
        found.append(ridge.text + (", and only the prior tells them apart" if saved else ""))
    for number, quantity in enumerate(quantities):
        if not open_by_data[number] or quantity.kind == OCCUPANCY:
            continue
        reason = why_unseen(quantity)
        if reason is None and number in on_ridge:
            continue
        if reason is None:
            alone_text = _error(quantity, float(alone[number]))
            reason = f"the data are too weak (expected standard error {alone_text}, even if all else were known)"
            if not blind[number]:
                error = float(standard_errors(np.eye(len(data))[number : number + 1], data)[0])
                reason = f"the data are too weak (expected standard error {_error(quantity, error)})"
        prior = "" if open_with_priors[number] else "only the prior determines "
        found.append(f"{prior}{quantity.label}: {reason}")
    return found


def _undetermined(quantities: Sequence[Quantity], information: Floats) -> list[bool]:
    errors = standard_errors(np.eye(len(information)), information)
    return [undetermined(each, float(error)) for each, error in zip(quantities, errors, strict=True)]


def _error(quantity: Quantity, error: float) -> str:
    if math.isinf(error):
        return "without limit"
    if quantity.coordinate.form == "ln":
        return f"of ln: {error:.2g}"
    return f"{quantity.error_of_value(error):.2g} {quantity.unit}".strip()


def scaled(information: Floats) -> Floats:
    """Information (m, m) in units of the error that each would have if all others were known; zero where none is."""
    size = np.sqrt(np.maximum(np.diag(information), 0.0))
    inverse = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0.0)
    result: Floats = information * np.outer(inverse, inverse)
    return result


def _groups(information: Floats) -> list[tuple[tuple[int, ...], int]]:
    """Members of each set of weak directions that share members, and how many directions it has."""
    if not len(information):
        return []
    values, vectors = np.linalg.eigh(scaled(information))
    groups: list[tuple[set[int], int]] = []
    for vector in vectors.T[values < WEAK]:
        members, count = set(np.flatnonzero(vector**2 > _MEMBER).tolist()), 1
        apart = []
        for other, number in groups:
            if other & members:
                members, count = members | other, count + number
            else:
                apart.append((other, number))
        groups = [*apart, (members, count)]
    return [(tuple(sorted(members)), count) for members, count in groups]


@final
@dataclass(frozen=True)
class _Ridge:
    members: tuple[int, ...]
    text: str


def _ridge(quantities: Sequence[Quantity], members: tuple[int, ...], n_open: int, information: Floats) -> _Ridge:
    labels = [quantities[number].label for number in members]
    names = f"{', '.join(labels[:-1])} and {labels[-1]}"
    known = not any(_undetermined(quantities, information)[number] for number in members)
    if len(members) == 2 and n_open == 1:
        what, row = _pair(quantities, members, information)
        if known:
            each = np.zeros((2, len(information)))
            each[[0, 1], list(members)] = [_log_or_place(quantities[number]) for number in members]
            errors = standard_errors(np.vstack([each, row]), information)
            better = min(errors[0], errors[1]) / errors[2]
            return _Ridge(members, f"{names}: {what} is determined {better:.2g} times better than either of them")
        return _Ridge(members, f"{names}: only {what} is determined")
    count = len(members) - n_open
    what = "one combination of them is" if count == 1 else f"{count} combinations of them are"
    if known:
        return _Ridge(members, f"{names}: {what} determined much better than each by itself")
    return _Ridge(members, f"{names}: only {what} determined")


def _log_or_place(quantity: Quantity) -> float:
    return 1.0 if quantity.log_slope is None else quantity.log_slope


def _pair(quantities: Sequence[Quantity], members: tuple[int, ...], information: Floats) -> tuple[str, Floats]:
    """What of two parameters is determined, in words and as a row (1, m) of slopes."""
    one, other = members
    direction = _weakest(information, members)
    logs = [quantities[number].log_slope for number in members]
    row = np.zeros((1, len(information)))
    if logs[0] is not None and logs[1] is not None:
        changes = direction * np.array(logs)
        if 1.0 / _ONE_FOR_ONE < abs(changes[0] / changes[1]) < _ONE_FOR_ONE:
            sign = -1.0 if changes[0] * changes[1] > 0.0 else 1.0
            row[0, one], row[0, other] = logs[0], sign * logs[1]
            return ("their product" if sign > 0.0 else "their ratio"), row
    row[0, one], row[0, other] = direction[1], -direction[0]
    row /= np.abs(row).max()
    return "one combination of them", row


def _weakest(information: Floats, members: tuple[int, ...]) -> Floats:
    """(2,), how two parameters change together where the information about both, others eliminated, is least."""
    chosen = list(members)
    rest = [number for number in range(len(information)) if number not in members]
    half, _ = half_inverse(information[np.ix_(rest, rest)])
    through = half @ information[np.ix_(rest, chosen)]
    own = information[np.ix_(chosen, chosen)] - through.T @ through
    size = np.sqrt(np.maximum(np.diag(own), 1e-300))
    _, vectors = np.linalg.eigh(own / np.outer(size, size))
    direction: Floats = vectors[:, 0] / size
    return direction
