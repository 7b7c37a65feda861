"""Make the series with a branch from the coordinates of PDB entry 1A7G; see README.md.

From the repository's root: ``python -m example_data.branch.make_example [--data-only]``.
"""

from __future__ import annotations

from pathlib import Path

from example_data.series import SeriesRecipe
from example_data.structures import Shift, StructureRecipe, Turn
from torchref_kinetic_plugin.simulation import IntensityNoise

# Tyr 369 turns. On one branch the loop of residues 358 to 366 follows; on the other Tyr 369 returns, His 327 turns
# and the end of a strand, residues 345 to 352, moves.
FLIP = Turn(369, (-120.0, 0.0))
LOOP = Shift(range(358, 367), (0.80, 0.55, -0.40))
OTHER = (Turn(327, (-90.0, 0.0)), Shift(range(345, 353), (0.80, -0.40, 0.20)))

RECIPE = SeriesRecipe(
    StructureRecipe(
        Path(__file__).resolve().parent,
        "source/1a7g.cif.gz",
        {"I1": (FLIP,), "I2": (FLIP, LOOP), "I3": OTHER},
        seed=47,
    ),
    kinetics={
        "scheme": "A->B,B->C,B->D,C->A,D->A",
        "light_activated": True,
        "state_mapping": {"A": "dark", "B": "I1", "C": "I2", "D": "I3"},
        "rate_constants": {
            "A->B": "inf",
            "B->C": "1/(1 us)",
            "B->D": "1/(1500 ns)",
            "C->A": "1/(40 us)",
            "D->A": "1/(1 ms)",
        },
        "efficiencies": {"A->B": 0.40},
    },
    delays=("50 ns", "200 ns", "500 ns", "1500 ns", "5 us", "20 us", "80 us", "300 us", "1 ms", "5 ms"),
    d_min=1.8,
    noise=IntensityNoise(proportional=0.025, counting=0.002, background=0.010),
    missing=(0.02, 0.05, 0.03, 0.04, 0.06, 0.03, 0.05, 0.04, 0.07, 0.05, 0.04),
    model_error=0.16,
)

if __name__ == "__main__":
    RECIPE.main()
