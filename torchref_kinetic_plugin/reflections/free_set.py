"""One free set over all datasets of an experiment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import gemmi
import numpy as np

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.files import write_bytes
from torchref_kinetic_plugin.reflections.asymmetric_unit import (
    Flags,
    Indices,
    Keys,
    find_keys,
    indices_of,
    reflection_keys,
    uniform_from_keys,
)
from torchref_kinetic_plugin.reflections.free_flags import FREE, NO_FLAG
from torchref_kinetic_plugin.reflections.observations import Observations

#: Of the reflections drawn when no file says how many.
DEFAULT_FRACTION = 0.05
_LARGEST_FRACTION = 0.5
_FREE_DRAW, _VALIDATION_DRAW = 1, 2


@final
@dataclass(frozen=True, eq=False)
class FreeSet:
    """Which reflections are free and which are for validation; the rest is work.

    Made by `one_free_set`. It answers for any reflection: for those it does not hold, by the same draw.

    Attributes
    ----------
    cell : gemmi.UnitCell
        Of the reference, A and degrees.
    spacegroup : gemmi.SpaceGroup
        Of the reference.
    keys : ndarray
        (n,) int64, sorted: all reflections of the datasets, and all that their flags name.
    free, validation : ndarray
        (n,) bool, never both.
    seed : int
        Of the draws.
    fraction : float
        Of reflections drawn as free.
    validation_fraction : float
        Of the work reflections.
    remarks : tuple of str
        Where the flags came from, how many were drawn, which files disagree.
    """

    cell: gemmi.UnitCell
    spacegroup: gemmi.SpaceGroup
    keys: Keys = field(repr=False)
    free: Flags = field(repr=False)
    validation: Flags = field(repr=False)
    seed: int
    fraction: float
    validation_fraction: float
    remarks: tuple[str, ...]

    @property
    def hkl(self) -> Indices:
        """(n, 3), in the asymmetric unit, sorted."""
        return indices_of(self.keys)

    def at(self, hkl: Indices) -> tuple[Flags, Flags]:
        """Whether reflections (m, 3) of the asymmetric unit are free, and whether they are for validation."""
        wanted = reflection_keys(hkl)
        place, known = find_keys(self.keys, wanted)
        free = uniform_from_keys(wanted, self.seed, _FREE_DRAW) < self.fraction
        free[known] = self.free[place[known]]
        return free, _validation(wanted, free, self.seed, self.validation_fraction)


def one_free_set(
    reference: Observations,
    others: Sequence[Observations] = (),
    *,
    seed: int,
    fraction: float | None = None,
    validation_fraction: float = 0.0,
) -> FreeSet:
    """Make the free set of an experiment.

    It is that of the reference, or of the first of the others with free flags. Reflections without a flag there take
    it from the datasets that agree with it on every reflection they share, when those agree with each other; the
    remaining ones are drawn. A draw is a function of the reflection and the seed alone: it depends on
    the order neither of the datasets nor of the reflections.

    Parameters
    ----------
    reference : Observations
        The dataset whose flags count.
    others : sequence of Observations
        All other datasets of the experiment.
    seed : int
        Of the draws; 0 or above.
    fraction : float, optional
        Of reflections drawn as free; by default that of the flags taken, or 5 % when there are none.
    validation_fraction : float
        Of the work reflections that a stopping rule may look at; 0 for none.

    Raises
    ------
    InputError
        For a fraction that is not in its range, a negative seed, or a set without free reflections.
    """
    if fraction is not None and not 0.0 < fraction < _LARGEST_FRACTION:
        raise InputError(f"free fraction = {fraction!r}: a number between 0 and {_LARGEST_FRACTION:g} is wanted")
    if not 0.0 <= validation_fraction < _LARGEST_FRACTION:
        raise InputError(
            f"validation fraction = {validation_fraction!r}: a number from 0 to {_LARGEST_FRACTION:g} is wanted"
        )
    datasets = [reference, *others]
    keys = _all_keys(datasets)
    flagged = [each for each in datasets if each.flags is not None]
    flags = np.full(len(keys), NO_FLAG, dtype=np.int8)
    remarks: list[str] = []
    if flagged:
        flags, remarks = _from_files(keys, flagged)
    else:
        remarks.append("no dataset has free flags")
    known = flags != NO_FLAG
    if fraction is None:
        fraction = float((flags[known] == FREE).mean()) if flagged else DEFAULT_FRACTION
    free = np.where(known, flags == FREE, uniform_from_keys(keys, seed, _FREE_DRAW) < fraction)
    if not known.all():
        remarks.append(
            f"{int((~known).sum()):,} of {len(keys):,} reflections without a free flag: {int(free[~known].sum()):,} "
            f"drawn as free ({100.0 * fraction:.1f} %, seed {seed})"
        )
    if not free.any():
        raise InputError(f"none of {len(keys):,} reflections is free; give a larger free fraction")
    validation = _validation(keys, free, seed, validation_fraction)
    if validation_fraction:
        remarks.append(f"{int(validation.sum()):,} reflections for validation, drawn from the work set (seed {seed})")
    for values in (keys, free, validation):
        values.flags.writeable = False
    return FreeSet(
        cell=reference.cell,
        spacegroup=reference.spacegroup,
        keys=keys,
        free=free,
        validation=validation,
        seed=seed,
        fraction=fraction,
        validation_fraction=validation_fraction,
        remarks=tuple(remarks),
    )


def write_free_set(path: str | os.PathLike[str], free_set: FreeSet) -> None:
    """Write an MTZ with FreeR_flag (CCP4: 0 = free, 1 = work), and Validation_flag (1) when there are any.

    Raises
    ------
    FileError
        When it cannot be written.
    """
    mtz = gemmi.Mtz(with_base=True)
    mtz.title = "one free set for all datasets"
    mtz.spacegroup = free_set.spacegroup
    mtz.set_cell_for_all(free_set.cell)
    mtz.add_dataset("free")
    columns = {"FreeR_flag": (~free_set.free).astype(np.float32)}
    if free_set.validation.any():
        columns["Validation_flag"] = free_set.validation.astype(np.float32)
    for label in columns:
        mtz.add_column(label, "I")
    mtz.set_data(np.column_stack([free_set.hkl.astype(np.float32), *columns.values()]))
    write_bytes(path, mtz.write_to_bytes())


def _all_keys(datasets: Sequence[Observations]) -> Keys:
    keys = [each.keys for each in datasets] + [each.flags.keys for each in datasets if each.flags is not None]
    return np.asarray(np.unique(np.concatenate(keys)))


def _from_files(keys: Keys, flagged: Sequence[Observations]) -> tuple[np.ndarray, list[str]]:
    """Flags (n,) int8 of the first dataset and of those that agree with it, and remarks."""
    assert flagged[0].flags is not None
    source, flags = flagged[0], flagged[0].flags.at(keys)
    remarks = [f"free set from {source.path!r}: {flagged[0].flags.convention}"]
    said_free, said_work = np.zeros(len(keys), dtype=np.bool_), np.zeros(len(keys), dtype=np.bool_)
    for other in flagged[1:]:
        assert other.flags is not None
        theirs = other.flags.at(keys)
        common = (flags != NO_FLAG) & (theirs != NO_FLAG)
        differing = int((flags[common] != theirs[common]).sum())
        if differing:
            remarks.append(
                f"{other.path!r} flags {differing:,} of {int(common.sum()):,} common reflections otherwise than "
                f"{source.path!r}; its flags are not used"
            )
        elif common.any():
            said_free |= theirs == FREE
            said_work |= (theirs != FREE) & (theirs != NO_FLAG)
    open_here = flags == NO_FLAG
    taken = open_here & (said_free ^ said_work)
    flags[taken] = said_free[taken].astype(np.int8)
    if taken.any():
        remarks.append(f"{int(taken.sum()):,} flags that it lacks taken from datasets that agree with it")
    if disputed := int((open_here & said_free & said_work).sum()):
        remarks.append(f"{disputed:,} flags that it lacks are disputed among the other datasets, and drawn")
    return flags, remarks


def _validation(keys: Keys, free: Flags, seed: int, fraction: float) -> Flags:
    return np.asarray(~free & (uniform_from_keys(keys, seed, _VALIDATION_DRAW) < fraction))
