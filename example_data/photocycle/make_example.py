"""Make the photocycle example from the coordinates of PDB entry 1UBI; see README.md.

From the repository's root:

    python -m example_data.photocycle.make_example               everything, about a minute on two cores
    python -m example_data.photocycle.make_example --data-only   the data from the true structures here, seconds

Everything random follows from the seed; structures go through a minimizer in single precision, so their last
digit may differ between machines, while --data-only is exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from example_data.series import SeriesRecipe
from example_data.structures import Array, Shift, StructureRecipe, Turn
from torchref_kinetic_plugin.scheme import parse_rate
from torchref_kinetic_plugin.simulation import IntensityNoise

RATES = {"A->B": "inf", "B->C": "1/(500 ns)", "C->A": "1/(50 us)"}
YIELD = 0.30

# His 68 turns away from its place on the sheet; the loop between the first two strands, residues 6 to 13, then
# moves along a direction in which it meets nothing.
FLIP = Turn(68, (-80.0, 30.0))
LOOP = Shift(range(6, 14), (0.97, -0.05, -0.25))


def occupancies(times: Sequence[float | None]) -> Array:
    """Occupancies (3, n_datasets) of A->B->C->A after an impulse, in closed form."""
    b_to_c, c_to_a = (parse_rate(RATES[name]) for name in ("B->C", "C->A"))
    columns = []
    for time in times:
        first = second = 0.0
        if time is not None:
            first = YIELD * math.exp(-b_to_c * time)
            second = YIELD * b_to_c / (b_to_c - c_to_a) * (math.exp(-c_to_a * time) - math.exp(-b_to_c * time))
        columns.append([1.0 - first - second, first, second])
    return np.array(columns).T


RECIPE = SeriesRecipe(
    StructureRecipe(Path(__file__).resolve().parent, "source/1ubi.pdb", {"I1": (FLIP,), "I2": (FLIP, LOOP)}, seed=20),
    kinetics={
        "scheme": "A->B,B->C,C->A",
        "light_activated": True,
        "state_mapping": {"A": "dark", "B": "I1", "C": "I2"},
        "rate_constants": RATES,
        "efficiencies": {"A->B": YIELD},
    },
    delays=("10 ns", "50 ns", "200 ns", "800 ns", "4 us", "20 us", "100 us", "1 ms"),
    d_min=1.7,
    noise=IntensityNoise(proportional=0.04, counting=0.0025, background=0.012),
    missing=(0.02, 0.04, 0.03, 0.06, 0.05, 0.04, 0.08, 0.05, 0.03),
    model_error=0.15,
    occupancies=occupancies,
)

if __name__ == "__main__":
    RECIPE.main()
