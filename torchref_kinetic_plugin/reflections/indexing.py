"""Indexing ambiguity: ways to index a crystal whose lattice is more symmetric than its point group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

import gemmi
import numpy as np

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.reflections.asymmetric_unit import Floats, find_keys
from torchref_kinetic_plugin.reflections.observations import FEWEST, Observations

IDENTITY = "h,k,l"
_PER_SHELL = 100
# Another way of indexing has to correlate better by this much to be named; two right ones differ by noise.
_MARGIN = 0.05


@final
@dataclass(frozen=True)
class IndexingReport:
    """How well each way of indexing agrees with a reference.

    Attributes
    ----------
    correlations : mapping
        From operator, as ``"k,h,-l"``, to the correlation of E^2 with the reference; the present indexing first.
    n_common : mapping
        From operator to the number of reflections compared.
    best : str
        The operator to apply; ``"h,k,l"`` when the present one is right, or no other is clearly better.
    text : str
        In words.
    """

    correlations: Mapping[str, float]
    n_common: Mapping[str, int]
    best: str
    text: str

    @property
    def operator(self) -> gemmi.Op:
        """The best operator, for `Observations.reindexed`."""
        return gemmi.Op(self.best)


def alternative_indexing(
    cell: gemmi.UnitCell, spacegroup: gemmi.SpaceGroup, max_obliquity: float = 3.0
) -> tuple[str, ...]:
    """Operators of the lattice that are not of the point group, one for each way to index, as ``"k,h,-l"``.

    Parameters
    ----------
    cell : gemmi.UnitCell
        A and degrees.
    spacegroup : gemmi.SpaceGroup
        Space group.
    max_obliquity : float
        How far the lattice may be from the higher symmetry, degrees (Le Page, J. Appl. Cryst. 15, 255, 1982).
    """
    laws = gemmi.find_twin_laws(cell, spacegroup, max_obliquity, False)
    return tuple(law.as_hkl().triplet() for law in laws)


def best_indexing(reference: Observations, other: Observations, max_obliquity: float = 3.0) -> IndexingReport:
    """Try all ways of indexing a dataset against a reference.

    Compared are squares of normalized amplitudes, so that the fall with resolution does not correlate.

    Parameters
    ----------
    reference, other : Observations
        Datasets of one crystal form.
    max_obliquity : float
        As in `alternative_indexing`, for the lattice of the reference.

    Raises
    ------
    InputError
        When fewer than 50 reflections are common in every indexing, or amplitudes do not vary.
    """
    correlations, common = {}, {}
    mine = _normalized(reference)
    theirs = _normalized(other)
    for triplet in (IDENTITY, *alternative_indexing(reference.cell, reference.spacegroup, max_obliquity)):
        # Indices of the other dataset as they would be after reindexing; its own cell takes no part.
        images = other.images(gemmi.Op(triplet))
        place, found = find_keys(reference.keys, images)
        common[triplet] = int(found.sum())
        if found.sum() >= FEWEST:
            here, there = mine[place[found]], theirs[found]
            for values, observations in ((here, reference), (there, other)):
                if np.ptp(values) == 0.0:
                    raise InputError(f"{observations.path!r}: all amplitudes are alike; that is no measurement")
            correlations[triplet] = float(np.corrcoef(here, there)[0, 1])
    if not correlations:
        raise InputError(
            f"{other.path!r} and {reference.path!r} have {max(common.values())} common reflections; at least "
            f"{FEWEST} are needed"
        )
    best = max(correlations, key=lambda each: correlations[each])
    if IDENTITY in correlations and correlations[best] <= correlations[IDENTITY] + _MARGIN:
        best = IDENTITY
    listed = ", ".join(f"{each}: {value:.3f}" for each, value in correlations.items())
    text = f"{other.path!r} against {reference.path!r}: correlation of E^2 {listed}"
    if best != IDENTITY:
        text += f"; it is indexed otherwise, reindex it as {best}"
    return IndexingReport(MappingProxyType(correlations), MappingProxyType(common), best, text)


def _normalized(observations: Observations) -> Floats:
    """E^2 (n,): intensities over their mean in shells of equal numbers of reflections."""
    squared = observations.amplitude**2 / observations.epsilon
    order = np.argsort(observations.resolution)
    for shell in np.array_split(order, max(1, len(order) // _PER_SHELL)):
        mean = float(squared[shell].mean())
        if mean > 0.0:
            squared[shell] /= mean
    return np.asarray(squared)
