"""Make the series with a reversible step from the coordinates of PDB entry 1A8O; see README.md.

From the repository's root: ``python -m example_data.reversible.make_example [--data-only]``.
"""

from __future__ import annotations

from pathlib import Path

from example_data.series import SeriesRecipe
from example_data.structures import Shift, StructureRecipe, Turn
from torchref_kinetic_plugin.simulation import IntensityNoise

# The loop after the second helix moves into solvent first; then Phe 161 turns over as well.
LOOP = Shift(range(193, 201), (0.38, 0.97, -0.12))
FLIP = Turn(161, (90.0, -150.0))

RECIPE = SeriesRecipe(
    StructureRecipe(
        Path(__file__).resolve().parent, "source/1a8o.pdb.gz", {"I1": (LOOP,), "I2": (LOOP, FLIP)}, seed=31
    ),
    kinetics={
        "scheme": "A->B,B->C,C->B,C->A",
        "light_activated": True,
        "state_mapping": {"A": "dark", "B": "I1", "C": "I2"},
        "rate_constants": {"A->B": "inf", "B->C": "1/(2 us)", "C->B": "1/(5 us)", "C->A": "1/(300 us)"},
        "efficiencies": {"A->B": 0.40},
    },
    delays=("100 ns", "500 ns", "2 us", "6 us", "20 us", "100 us", "400 us", "1500 us", "10 ms"),
    d_min=1.8,
    noise=IntensityNoise(proportional=0.05, counting=0.003, background=0.015),
    missing=(0.03, 0.05, 0.04, 0.07, 0.03, 0.06, 0.05, 0.08, 0.04, 0.05),
    model_error=0.17,
)

if __name__ == "__main__":
    RECIPE.main()
