"""Why the delays of a series say nothing of a rate constant, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import nn

from torchref_kinetic_plugin.analysis.quantities import Quantity
from torchref_kinetic_plugin.occupancies import occupancies_kinetics
from torchref_kinetic_plugin.refinement.experiment import Floats
from torchref_kinetic_plugin.scheme import format_time, seconds_per

#: Population of its source at all delays below which a transition has nothing to act on.
_NOTHING = 0.02
#: Two quantities are one parameter where the angle of their directions is below this.
_SAME = 1e-6


def why_unseen(quantity: Quantity, quantities: Sequence[Quantity], modules: Mapping[str, nn.Module]) -> str | None:
    """What keeps the delays from showing a rate constant, or None where it is not a matter of delays.

    Parameters
    ----------
    quantity : Quantity
        A rate constant; another kind has no reason of this kind.
    quantities : sequence of Quantity
        All, among which are those of the same parameter in other experiments.
    modules : mapping
        Occupancies by the experiment's name.
    """
    if quantity.kind != "rate_constant":
        return None
    shared = [each for each in quantities if each.kind == quantity.kind and _same(each, quantity)]
    seen = [(each, module) for each in shared if isinstance(module := modules[each.key[0]], occupancies_kinetics)]
    delays = np.concatenate([_delays(module) for _, module in seen]) if seen else np.zeros(0)
    if not delays.size:
        return "there is no finite delay after the trigger"
    constants = [1.0 / each.value for each, _ in seen]
    first, last = float(delays.min()), float(delays.max())
    if min(constants) > last:
        return (
            f"no delay beyond its time constant ({format_time(min(constants))}; the last delay is {format_time(last)})"
        )
    if max(constants) < first:
        return (
            f"its time constant is shorter than the first delay ({format_time(max(constants))}; the first delay is "
            f"{format_time(first)})"
        )
    sources = [_source(module, each.name) for each, module in seen]
    if max(population for _, population in sources) < _NOTHING:
        return f"{sources[0][0]} is never populated by more than {100.0 * _NOTHING:.0f} % at these delays"
    return None


def _delays(module: occupancies_kinetics) -> Floats:
    """Finite delays after the trigger, s."""
    after = (module.time - module.kinetics.time_zero.number).cpu().numpy() * seconds_per(module.time_unit or "s")
    return np.asarray(after[np.isfinite(after) & (after > 0.0)])


def _source(module: occupancies_kinetics, transition: str) -> tuple[str, float]:
    """Source of a transition, and its largest population at the delays."""
    scheme = module.scheme
    state = scheme.steps[scheme.transitions.index(transition)].source
    return scheme.states[state], float(module.populations()[:, state].detach().max())


def _same(one: Quantity, other: Quantity) -> bool:
    product = float(one.slope @ other.slope)
    lengths = float(np.linalg.norm(one.slope) * np.linalg.norm(other.slope))
    return abs(product) > (1.0 - _SAME) * lengths
