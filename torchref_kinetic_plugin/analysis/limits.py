"""When a parameter counts as not determined."""

from __future__ import annotations

import math

from torchref_kinetic_plugin.analysis.quantities import OCCUPANCY, Quantity
from torchref_kinetic_plugin.refinement.estimates import FRACTION_KINDS, UNKNOWN_ENTHALPY

#: Standard error of ln of a positive number above which it is not determined: the ends of its 95 % interval are a
#: factor of exp(3.92) = 50 apart, so that not even its order of magnitude is known.
LARGEST_LOG_ERROR = 1.0
#: Standard error of a fraction above which nothing is known of it: the spread of numbers between 0 and 1, 1/sqrt(12).
LARGEST_FRACTION_ERROR = 12.0**-0.5
#: Of energies, kJ/mol, and entropies, J/(mol K), at room temperature; that of a Gibbs energy is an error of 1 in ln k.
_LARGEST_ERRORS = {
    "activation_energy": UNKNOWN_ENTHALPY,
    "activation_enthalpy": UNKNOWN_ENTHALPY,
    "reaction_enthalpy": UNKNOWN_ENTHALPY,
    "activation_entropy": 1e3 * UNKNOWN_ENTHALPY / 298.0,
    "reaction_entropy": 1e3 * UNKNOWN_ENTHALPY / 298.0,
    "activation_gibbs_energy": 2.48,
    OCCUPANCY: LARGEST_FRACTION_ERROR,
}


def undetermined(quantity: Quantity, error: float) -> bool:
    """Whether a standard error of the quantity's place on its axis is as good as none.

    Numbers on a linear axis of unknown meaning, as those of other providers, are undetermined where the error is
    infinite only.
    """
    if math.isinf(error):
        return True
    in_value = quantity.error_of_value(error)
    if quantity.kind in FRACTION_KINDS and in_value > LARGEST_FRACTION_ERROR:
        return True
    if (log_slope := quantity.log_slope) is not None:
        return log_slope * error > LARGEST_LOG_ERROR
    return in_value > _LARGEST_ERRORS.get(quantity.kind, math.inf)
