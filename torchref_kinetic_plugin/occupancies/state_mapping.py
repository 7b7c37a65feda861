"""The state mapping: which structure each kinetic state has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral

import torch
from torch import Tensor

from torchref_kinetic_plugin.errors import MappingError, closest_match, listing
from torchref_kinetic_plugin.scheme import Scheme


def resolve_mapping(scheme: Scheme, mapping: Mapping[str, int] | None) -> dict[str, int]:
    """Structure index of every kinetic state.

    Parameters
    ----------
    scheme : Scheme
        The mechanism.
    mapping : mapping or None
        State to structure index, from 0 without gaps; several states may share a structure. None numbers
        the states in flow-chart order. The inactive copy has its parent's structure unless mapped itself.

    Raises
    ------
    MappingError
        For an unknown state, a state left out, an index that is not a whole number >= 0, or a gap.
    """
    if mapping is None:
        mapping = {state: number for number, state in enumerate(scheme.chart.states)}
    if not isinstance(mapping, Mapping):
        raise MappingError(f"state_mapping is a table from state to structure index, not {mapping!r}")
    for state in mapping:
        if state not in scheme.states:
            raise MappingError(
                f"state_mapping names an unknown state {state!r}{closest_match(state, scheme.states)}; "
                f"{listing(scheme.states)}"
            )
    missing = [state for state in scheme.chart.states if state not in mapping]
    if missing:
        raise MappingError(f"state_mapping misses {', '.join(missing)}; every state needs a structure")
    resolved = {state: _index(mapping[state], state) for state in scheme.states if state in mapping}
    if scheme.inactive is not None:
        resolved.setdefault(scheme.inactive, resolved[scheme.initial])
    used = set(resolved.values())
    gaps = sorted(set(range(max(used) + 1)) - used)
    if gaps:
        raise MappingError(
            f"state_mapping uses structures {sorted(used)} but not {gaps}; number them from 0 without a gap"
        )
    return resolved


def _index(value: object, state: str) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 0:
        raise MappingError(f"state_mapping of {state} is {value!r}; it must be a structure's number, 0 or above")
    return int(value)


def mapping_matrix(scheme: Scheme, resolved: Mapping[str, int]) -> Tensor:
    """``M`` of ``W = M P``: (n_structures, n_states), float64, one 1 in each column."""
    matrix = torch.zeros(max(resolved.values()) + 1, len(scheme.states), dtype=torch.float64)
    for number, state in enumerate(scheme.states):
        matrix[resolved[state], number] = 1.0
    return matrix


def structure_labels(scheme: Scheme, resolved: Mapping[str, int], names: Sequence[str] | None) -> tuple[str, ...]:
    """Label of each structure for plots and tables: its name, or the states that have it.

    Raises
    ------
    MappingError
        When the names are not as many as the structures.
    """
    n = max(resolved.values()) + 1
    if names is not None:
        if isinstance(names, str) or len(names) != n:
            raise MappingError(f"structure_names must name all {n} structures, in the order of their numbers")
        return tuple(str(name) for name in names)
    inactive = scheme.inactive
    labels = []
    for number in range(n):
        states = [state for state in scheme.states if resolved[state] == number]
        if inactive in states and scheme.initial in states:
            states.remove(inactive)
        labels.append(f"structure {number} ({', '.join(states)})")
    return tuple(labels)
