"""Whether two datasets are of one crystal form: space group and cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import gemmi
import numpy as np

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.reflections.observations import Observations

_NAMES = ("a", "b", "c", "alpha", "beta", "gamma")


@final
@dataclass(frozen=True)
class CellChange:
    """Cell of one dataset against that of another.

    Attributes
    ----------
    relative : tuple of float
        Change of a, b, c, alpha, beta, gamma as a fraction of the reference's.
    volume : float
        Change of the volume as a fraction.
    text : str
        In words; empty when there is none.
    """

    relative: tuple[float, ...]
    volume: float
    text: str


def check_same_crystal(reference: Observations, other: Observations, tolerance: float = 0.01) -> CellChange:
    """Compare space group and cell with those of the reference.

    Parameters
    ----------
    reference, other : Observations
        Two datasets.
    tolerance : float
        Largest relative change of a length or an angle of the cell.

    Returns
    -------
    CellChange
        What changed, within the tolerance.

    Raises
    ------
    InputError
        For another space group or setting, or a cell beyond the tolerance.
    """
    mine, theirs = reference.spacegroup, other.spacegroup
    if mine.xhm() != theirs.xhm():
        raise InputError(
            f"{other.path!r} is in space group {theirs.xhm()}, {reference.path!r} in {mine.xhm()}"
            f"{mislabelling(mine, theirs)}"
        )
    before, after = np.array(reference.cell.parameters), np.array(other.cell.parameters)
    relative = after / before - 1.0
    volume = other.cell.volume / reference.cell.volume - 1.0
    changed = [
        f"{name} {old:g} -> {new:g} ({100.0 * change:+.2f} %)"
        for name, old, new, change in zip(_NAMES, before, after, relative, strict=True)
        if abs(change) > 1e-5
    ]
    text = f"cell of {other.path!r} against {reference.path!r}: {', '.join(changed)}" if changed else ""
    if float(np.abs(relative).max()) > tolerance:
        raise InputError(f"{text}; a change of more than {100.0 * tolerance:g} % is not isomorphous")
    if text:
        text += f"; volume {100.0 * volume:+.2f} %"
    return CellChange(tuple(relative.tolist()), volume, text)


def mislabelling(first: gemmi.SpaceGroup, second: gemmi.SpaceGroup) -> str:
    """What two different space groups have in common, as ``"; ..."``, or nothing."""
    if first.number == second.number:
        return "; it is the same group in another setting, reindex one of them"
    if first.point_group_hm() == second.point_group_hm():
        return "; the point group is the same, so one of the two may be mislabelled"
    return ""
